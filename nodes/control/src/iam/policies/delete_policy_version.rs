//! DeletePolicyVersion.

use crate::iam::prelude::*;

pub struct DeletePolicyVersion;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
    version_id: Option<String>,
}

impl Operation for DeletePolicyVersion {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeletePolicyVersion";
    const ACTION: &'static str = "iam:DeletePolicyVersion";
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
            if policy.record.default == version {
                return Err(AwsError::new("DeleteConflict", 409, "Cannot delete the default version of a policy."));
            }
            let before = policy.record.versions.len();
            policy.record.versions.retain(|v| v.number != version);
            if policy.record.versions.len() == before {
                return Err(super::no_such_version(arn, version));
            }
            Ok(Change { compares: vec![policy.unchanged()], ops: vec![policy.put()?], answer: json!({}) })
        })
        .await
    }
}
