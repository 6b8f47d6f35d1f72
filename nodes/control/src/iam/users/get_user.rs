//! GetUser.

use crate::iam::passwords::login::{self, Login};
use crate::iam::prelude::*;
use breakwater_aws::Identity;

pub struct GetUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

/// The root user, who has no record of its own: it is as old as the account's first user.
async fn root(ctx: &Context, call: &Call) -> Result<Value, AwsError> {
    let account = &call.principal.account;
    let users: Vec<User> = ctx.all(call, &store::prefix(call, Kind::User)).await?;
    let created = users.iter().map(|user| user.created_unix_s).min().unwrap_or_default();
    let mut shape =
        json!({"UserId": account, "Arn": call.principal.arn, "Path": "/", "CreateDate": shapes::time(created)});
    let login = ctx.find::<Login>(call, login::key(account, login::ROOT)).await?;
    if let Some(used) = login.and_then(|login| login.record.used_unix_s) {
        shape["PasswordLastUsed"] = shapes::time(used).into();
    }
    Ok(json!({"User": shape}))
}

impl Operation for GetUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetUser";
    const ACTION: &'static str = "iam:GetUser";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let account = &call.principal.account;
        if request.user_name.is_none() && call.principal.identity == Identity::Root {
            return root(ctx, call).await;
        }
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let user = ctx.named::<User>(call, Kind::User, name).await?;
        let mut shape = shapes::user(account, &user.record, true);
        let login = ctx.find::<Login>(call, login::key(account, &user.record.id)).await?;
        if let Some(used) = login.and_then(|login| login.record.used_unix_s) {
            shape["PasswordLastUsed"] = shapes::time(used).into();
        }
        Ok(json!({"User": shape}))
    }
}
