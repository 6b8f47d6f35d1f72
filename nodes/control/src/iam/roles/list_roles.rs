//! ListRoles.

use super::trusted;
use crate::iam::prelude::*;

pub struct ListRoles;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListRoles {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListRoles";
    const ACTION: &'static str = "iam:ListRoles";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "role/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let mut roles: Vec<Role> = ctx.all(call, &store::prefix(call, Kind::Role)).await?;
        roles.retain(|role| role.path.starts_with(prefix));
        let page = store::page(roles, |role| role.name.clone(), request.marker.as_deref(), max);
        let account = &call.principal.account;
        Ok(page.into_json("Roles", |mut role| {
            role.trust = trusted::meant(&ctx.mirror, account, &role);
            shapes::role(account, &role, false)
        }))
    }
}
