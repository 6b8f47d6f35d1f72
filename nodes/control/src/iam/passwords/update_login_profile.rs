//! UpdateLoginProfile: an administrator sets a user's password, or has her set another.

use super::{given, hash, login, policy};
use crate::iam::prelude::*;
use breakwater_types::formats::TRAILS;

pub struct UpdateLoginProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    password: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    password_reset_required: Option<bool>,
}

impl Operation for UpdateLoginProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateLoginProfile";
    const ACTION: &'static str = "iam:UpdateLoginProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, Some(request.user_name.as_deref().unwrap_or_default()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let name = check::name(request.user_name.as_deref(), "userName", 64)?;
        let password = request.password.as_deref().map(|text| given(Some(text), "password")).transpose()?;
        let (_, login) = login::of(ctx, call, name).await?;
        let (mut new, mut generation) = (None, 0);
        if let Some(password) = password {
            let policy = policy::of(ctx, call).await?;
            policy::check(policy.as_ref(), &password)?;
            policy::is_new(policy.as_ref(), &login.record, &password).await?;
            new = Some(hash::hash(password).await?);
            generation = login.record.generation;
        }
        let planned = || async {
            let (user, mut login) = login::of(ctx, call, name).await?;
            if let Some(hash) = &new {
                // What was compared with the former ones must still be newer than all of them.
                if login.record.generation != generation {
                    return Err(errors::conflict());
                }
                login.record.change(hash.clone(), ctx.now());
            }
            if let Some(required) = request.password_reset_required {
                login.record.reset_required = required;
            }
            let compares = vec![user.unchanged(), login.unchanged()];
            Ok(Change { compares, ops: vec![login.put()?], answer: json!({}) })
        };
        Ok(ctx.commit(call, planned).await?.0)
    }
}
