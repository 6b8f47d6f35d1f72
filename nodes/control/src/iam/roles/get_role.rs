//! GetRole.

use super::trusted;
use crate::iam::prelude::*;

pub struct GetRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
}

impl Operation for GetRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetRole";
    const ACTION: &'static str = "iam:GetRole";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
        role.record.trust = trusted::meant(&ctx.mirror, &call.principal.account, &role.record);
        let mut shape = shapes::role(&call.principal.account, &role.record, true);
        shape["RoleLastUsed"] = ctx.role_last_used(call, &role.record.id).await?;
        Ok(json!({ "Role": shape }))
    }
}
