//! ListTags.

use crate::cloudtrail::prelude::*;

const RESOURCES_MAX: usize = 20;

pub struct ListTags;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_id_list: Option<Vec<String>>,
    next_token: Option<String>,
}

impl Operation for ListTags {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListTags";
    const ACTION: &'static str = "cloudtrail:ListTags";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let all = request.resource_id_list.as_deref().unwrap_or_default();
        match all {
            [] => vec![crate::cloudtrail::resource(call, None)],
            all => all.iter().take(RESOURCES_MAX).map(|arn| crate::cloudtrail::resource(call, Some(arn))).collect(),
        }
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if request.next_token.is_some() {
            return Err(AwsError::client("InvalidTokenException", "The token is not valid."));
        }
        let arns = request.resource_id_list.unwrap_or_default();
        if arns.is_empty() || arns.len() > RESOURCES_MAX {
            let message = format!("ResourceIdList must have between 1 and {RESOURCES_MAX} ARNs.");
            return Err(AwsError::client("InvalidParameterException", message));
        }
        let mut all = Vec::new();
        for arn in &arns {
            let trail = ctx.resource(call, Some(arn)).await?.record;
            let tags: Vec<Value> = trail.tags.iter().map(|(k, v)| json!({"Key": k, "Value": v})).collect();
            all.push(json!({"ResourceId": arn, "TagsList": tags}));
        }
        Ok(json!({ "ResourceTagList": all }))
    }
}
