//! RemoveTags: by key, whatever value is given.

use crate::cloudtrail::prelude::*;

pub struct RemoveTags;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_id: Option<String>,
    tags_list: Option<Vec<Tag>>,
}

impl Operation for RemoveTags {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "RemoveTags";
    const ACTION: &'static str = "cloudtrail:RemoveTags";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tags(request.tags_list.as_deref().unwrap_or_default())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let tags = request.tags_list.as_deref().unwrap_or_default();
        if !tags.is_empty() {
            keys.set_many("aws:TagKeys", tags.iter().map(|tag| tag.key.clone()).collect());
        }
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.resource_id.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let gone = request.tags_list.unwrap_or_default();
        ctx.tagged(call, request.resource_id.as_deref(), |trail| {
            trail.tags.retain(|key, _| !gone.iter().any(|tag| tag.key == *key));
            Ok(())
        })
        .await
    }
}
