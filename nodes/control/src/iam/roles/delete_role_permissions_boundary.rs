//! DeleteRolePermissionsBoundary.

use crate::iam::prelude::*;

pub struct DeleteRolePermissionsBoundary;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
}

impl Operation for DeleteRolePermissionsBoundary {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteRolePermissionsBoundary";
    const ACTION: &'static str = "iam:DeleteRolePermissionsBoundary";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &["iam:PermissionsBoundary"];

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        ctx.boundary_key(call, Kind::Role, request.role_name.as_deref(), keys);
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            crate::iam::service_linked_roles::protect(&role.record)?;
            let mut attach = Attach::default();
            if let Some(before) = role.record.boundary.take() {
                attach.count(ctx, call, &before, -1).await?;
            }
            attach.compares.push(role.unchanged());
            attach.ops.push(role.put()?);
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
