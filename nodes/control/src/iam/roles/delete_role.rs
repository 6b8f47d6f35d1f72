//! DeleteRole.

use super::trusted;
use crate::iam::prelude::*;
use crate::iam::service_linked_roles;
use crate::usage;

pub struct DeleteRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
}

impl Operation for DeleteRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteRole";
    const ACTION: &'static str = "iam:DeleteRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let role = ctx.named::<Role>(call, Kind::Role, name).await?;
            service_linked_roles::protect(&role.record)?;
            let account = &call.principal.account;
            let profiles: Vec<String> = ctx.all(call, &store::role_profile_prefix(account, name)).await?;
            if !profiles.is_empty() {
                return Err(errors::delete_conflict("remove roles from instance profile"));
            }
            let policies = &role.record.policies;
            if !policies.attached.is_empty() {
                return Err(errors::delete_conflict("detach all policies"));
            }
            if !policies.inline.is_empty() {
                return Err(errors::delete_conflict("delete policies"));
            }
            let mut attach = Attach::default();
            if let Some(arn) = &role.record.boundary {
                attach.count(ctx, call, arn, -1).await?;
            }
            attach.compares.push(role.unchanged());
            attach.ops.push(role.delete());
            attach.ops.extend(usage::forget(account, &role.record.id));
            attach.ops.push(Op::Delete { key: trusted::key(account, name) });
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
