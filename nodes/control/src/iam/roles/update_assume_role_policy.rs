//! UpdateAssumeRolePolicy.

use super::trusted;
use crate::iam::prelude::*;

pub struct UpdateAssumeRolePolicy;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    policy_document: Option<String>,
}

impl Operation for UpdateAssumeRolePolicy {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateAssumeRolePolicy";
    const ACTION: &'static str = "iam:UpdateAssumeRolePolicy";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let trust = check::trust(request.policy_document.as_deref(), "policyDocument")?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            crate::iam::service_linked_roles::protect(&role.record)?;
            let (trust, ids) = trusted::resolve(ctx, call, trust).await?;
            role.record.trust = trust;
            let ids = put(trusted::key(&call.principal.account, name), &ids)?;
            Ok(Change { compares: vec![role.unchanged()], ops: vec![role.put()?, ids], answer: json!({}) })
        })
        .await
    }
}
