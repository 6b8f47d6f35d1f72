//! GetAccountPasswordPolicy.

use super::policy;
use crate::iam::prelude::*;
use breakwater_aws::ResourcePolicy;

pub struct GetAccountPasswordPolicy;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for GetAccountPasswordPolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetAccountPasswordPolicy";
    const ACTION: &'static str = "iam:GetAccountPasswordPolicy";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resource_policy(ctx: &Context, call: &Call, _request: &Request) -> Option<ResourcePolicy> {
        policy::lets_change(ctx, call)
    }

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let policy = policy::of(ctx, call).await?;
        let policy = policy.ok_or_else(|| policy::no_such(&call.principal.account))?;
        Ok(json!({"PasswordPolicy": policy.shape()}))
    }
}
