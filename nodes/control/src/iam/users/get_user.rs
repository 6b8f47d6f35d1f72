//! GetUser.

use crate::iam::passwords::login::{self, Login};
use crate::iam::prelude::*;

pub struct GetUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
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
        let Some(name) = named_or_self(call, request.user_name.as_deref()) else {
            // The root user has no record of its own.
            let root =
                json!({"UserId": account, "Arn": call.principal.arn, "Path": "/", "CreateDate": shapes::time(0)});
            return Ok(json!({"User": root}));
        };
        let name = check::name(Some(name), "userName", 128)?;
        let user = ctx.named::<User>(call, Kind::User, name).await?;
        let mut shape = shapes::user(account, &user.record, true);
        let login = ctx.find::<Login>(call, login::key(account, &user.record.id)).await?;
        if let Some(used) = login.and_then(|login| login.record.used_unix_s) {
            shape["PasswordLastUsed"] = shapes::time(used).into();
        }
        Ok(json!({"User": shape}))
    }
}
