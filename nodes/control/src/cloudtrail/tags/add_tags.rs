//! AddTags.

use crate::cloudtrail::prelude::*;

pub struct AddTags;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_id: Option<String>,
    tags_list: Option<Vec<Tag>>,
}

impl Operation for AddTags {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AddTags";
    const ACTION: &'static str = "cloudtrail:AddTags";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tags(request.tags_list.as_deref().unwrap_or_default())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        request_tags(keys, request.tags_list.as_deref());
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.resource_id.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let more = request.tags_list.unwrap_or_default();
        ctx.tagged(call, request.resource_id.as_deref(), |trail| check::add_tags(&mut trail.tags, &more)).await
    }
}
