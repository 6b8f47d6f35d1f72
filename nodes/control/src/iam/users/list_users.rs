//! ListUsers.

use crate::iam::passwords::login;
use crate::iam::prelude::*;

pub struct ListUsers;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path_prefix: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListUsers {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListUsers";
    const ACTION: &'static str = "iam:ListUsers";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "user/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = check::path_prefix(request.path_prefix.as_deref())?;
        let max = check::max_items(request.max_items)?;
        let mut users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
        users.retain(|user| user.path.starts_with(prefix));
        let page = store::page(users, |user| user.name.clone(), request.marker.as_deref(), max);
        let used = login::last_used(ctx, call).await?;
        Ok(page.into_json("Users", |user| {
            let mut shape = shapes::user(&call.principal.account, &user, false);
            if let Some(used) = used.get(&user.id) {
                shape["PasswordLastUsed"] = shapes::time(*used).into();
            }
            shape
        }))
    }
}
