//! DeletePolicy.

use crate::iam::prelude::*;

pub struct DeletePolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    policy_arn: Option<String>,
}

impl Operation for DeletePolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeletePolicy";
    const ACTION: &'static str = "iam:DeletePolicy";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "policy";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.policy_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.policy_arn.as_deref(), "policyArn")?;
        ctx.change(call, || async {
            let policy = ctx.policy(call, arn).await?;
            if policy.record.attachments > 0 {
                return Err(AwsError::new("DeleteConflict", 409, "Cannot delete a policy attached to entities."));
            }
            if policy.record.versions.len() > 1 {
                return Err(AwsError::new(
                    "DeleteConflict",
                    409,
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                     versions. The default version is deleted with the policy.",
                ));
            }
            Ok(Change { compares: vec![policy.unchanged()], ops: vec![policy.delete()], answer: json!({}) })
        })
        .await
    }
}
