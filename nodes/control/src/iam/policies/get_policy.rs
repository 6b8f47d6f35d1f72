//! GetPolicy.

use crate::iam::prelude::*;

pub struct GetPolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
}

impl Operation for GetPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetPolicy";
    const ACTION: &'static str = "iam:GetPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        if let Some(policy) = aws_managed(arn) {
            return Ok(json!({"Policy": shapes::aws_policy(policy, &ctx.usage(call), true)}));
        }
        let policy = ctx.policy(call, arn).await?;
        Ok(json!({"Policy": shapes::policy(&call.principal.account, &policy.record, &ctx.usage(call), true)}))
    }
}
