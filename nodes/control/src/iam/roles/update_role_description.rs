//! UpdateRoleDescription.

use super::trusted;
use crate::iam::prelude::*;

pub struct UpdateRoleDescription;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    description: Option<String>,
}

impl Operation for UpdateRoleDescription {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateRoleDescription";
    const ACTION: &'static str = "iam:UpdateRoleDescription";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "role";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        let description = check::required(request.description.as_deref(), "description")?;
        check::description(Some(description))?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            role.record.description = Some(description.to_owned());
            let account = &call.principal.account;
            let shown = Role { trust: trusted::meant(&ctx.mirror, account, &role.record), ..role.record.clone() };
            let answer = json!({"Role": shapes::role(account, &shown, true)});
            Ok(Change { compares: vec![role.unchanged()], ops: vec![role.put()?], answer })
        })
        .await
    }
}
