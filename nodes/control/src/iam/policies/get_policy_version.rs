//! GetPolicyVersion.

use crate::iam::prelude::*;

pub struct GetPolicyVersion;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    version_id: Option<String>,
}

impl Operation for GetPolicyVersion {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetPolicyVersion";
    const ACTION: &'static str = "iam:GetPolicyVersion";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        let version = super::version_number(request.version_id.as_deref())?;
        if let Some(policy) = aws_managed(arn) {
            return match version {
                1 => Ok(json!({"PolicyVersion": shapes::aws_version(policy, true)})),
                _ => Err(super::no_such_version(arn, version)),
            };
        }
        let policy = ctx.policy(call, arn).await?;
        let found = policy.record.versions.iter().find(|v| v.number == version);
        let found = found.ok_or_else(|| super::no_such_version(arn, version))?;
        Ok(json!({"PolicyVersion": shapes::version(found, version == policy.record.default, true)}))
    }
}
