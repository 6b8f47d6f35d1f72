//! CreateLoginProfile.

use super::login::{self, Login};
use super::{given, hash, policy};
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

pub struct CreateLoginProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    password: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    password_reset_required: Option<bool>,
}

impl Operation for CreateLoginProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateLoginProfile";
    const ACTION: &'static str = "iam:CreateLoginProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let name = user_or_caller(call, request.user_name.as_deref(), 64)?;
        let password = given(request.password.as_deref(), "password")?;
        ctx.named::<User>(call, Kind::User, name).await?;
        policy::check(policy::of(ctx, call).await?.as_ref(), &password)?;
        let hash = hash::hash(password).await?;
        let reset = request.password_reset_required.unwrap_or_default();
        let planned = || async {
            let user = ctx.named::<User>(call, Kind::User, name).await?;
            let name = &user.record.name;
            let key = login::key(&call.principal.account, &user.record.id);
            if ctx.find::<Login>(call, key.clone()).await?.is_some() {
                let message = format!("Login Profile for user {name} already exists.");
                return Err(AwsError::new("EntityAlreadyExists", 409, message));
            }
            let login = Login::new(&user.record.id, hash.clone(), reset, ctx.now());
            let answer = json!({"LoginProfile": login.shape(name)});
            let compares = vec![user.unchanged(), Compare::Absent(key.clone())];
            Ok(Change { compares, ops: vec![put(key, &login)?], answer })
        };
        Ok(ctx.commit(call, planned).await?.0)
    }
}
