//! PutRolePermissionsBoundary.

use crate::iam::prelude::*;

pub struct PutRolePermissionsBoundary;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    permissions_boundary: Option<String>,
}

impl Operation for PutRolePermissionsBoundary {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "PutRolePermissionsBoundary";
    const ACTION: &'static str = "iam:PutRolePermissionsBoundary";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &["iam:PermissionsBoundary"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::arn(request.permissions_boundary.as_deref(), "permissionsBoundary")
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        if let Some(boundary) = &request.permissions_boundary {
            keys.set("iam:PermissionsBoundary", boundary.as_str());
        }
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let arn = check::required(request.permissions_boundary.as_deref(), "permissionsBoundary")?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            crate::iam::service_linked_roles::protect(&role.record)?;
            let mut attach = Attach::default();
            let before = role.record.boundary.replace(arn.to_owned());
            if before.as_deref() != Some(arn) {
                attach.count(ctx, call, arn, 1).await?;
                if let Some(before) = before {
                    attach.count(ctx, call, &before, -1).await?;
                }
            }
            attach.compares.push(role.unchanged());
            attach.ops.push(role.put()?);
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
