//! GetContextKeysForPrincipalPolicy: the condition keys that the policies of a user, group or role look at.

use super::get_context_keys_for_custom_policy::keys;
use super::input::Source;
use crate::iam::prelude::*;

pub struct GetContextKeysForPrincipalPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_source_arn: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    policy_input_list: Option<Vec<String>>,
}

impl Operation for GetContextKeysForPrincipalPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetContextKeysForPrincipalPolicy";
    const ACTION: &'static str = "iam:GetContextKeysForPrincipalPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_source_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_source_arn.as_deref(), "policySourceArn")?;
        let inputs = Source::find(ctx, call, arn).await?.identity;
        keys(inputs, request.policy_input_list.unwrap_or_default()).await
    }
}
