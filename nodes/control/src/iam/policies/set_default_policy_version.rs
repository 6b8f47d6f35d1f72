//! SetDefaultPolicyVersion.

use crate::iam::prelude::*;

pub struct SetDefaultPolicyVersion;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    version_id: Option<String>,
}

impl Operation for SetDefaultPolicyVersion {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "SetDefaultPolicyVersion";
    const ACTION: &'static str = "iam:SetDefaultPolicyVersion";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        let version = super::version_number(request.version_id.as_deref())?;
        ctx.change(call, || async {
            let mut policy = ctx.policy(call, arn).await?;
            if !policy.record.versions.iter().any(|v| v.number == version) {
                return Err(super::no_such_version(arn, version));
            }
            policy.record.default = version;
            policy.record.updated_unix_s = ctx.now();
            Ok(Change { compares: vec![policy.unchanged()], ops: vec![policy.put()?], answer: json!({}) })
        })
        .await
    }
}
