//! ChangePassword: of the user who calls.

use super::guesses::{self, Attempt, Place};
use super::{given, hash, login, policy};
use crate::iam::prelude::*;
use breakwater_aws::{Identity, ResourcePolicy};
use breakwater_types::formats::TRAILS;

pub struct ChangePassword;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    old_password: Option<String>,
    new_password: Option<String>,
}

fn unreachable(e: breakwater_meta::MetaError) -> AwsError {
    errors::unavailable(&e.to_string())
}

impl Operation for ChangePassword {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ChangePassword";
    const ACTION: &'static str = "iam:ChangePassword";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resource_policy(ctx: &Context, call: &Call, _request: &Request) -> Option<ResourcePolicy> {
        policy::lets_change(ctx, call)
    }

    fn resources(ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, None))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_format(TRAILS)?;
        let Identity::User(name) = &call.principal.identity else {
            return Err(AwsError::new("InvalidUserType", 400, "Only IAM Users can change their own password"));
        };
        let old = given(request.old_password.as_deref(), "oldPassword")?;
        let new = given(request.new_password.as_deref(), "newPassword")?;
        let (_, login) = login::of(ctx, call, name).await?;
        let login = login.record;
        let place = Place::known(&call.principal.account, &login.user_id);
        // Who holds a user's access key must not find out her password by this.
        let attempt = guesses::count(&ctx.meta, &place, ctx.now(), call.deadline).await;
        let Attempt::Counted { before } = attempt.map_err(unreachable)? else {
            return Err(AwsError::new(
                "EntityTemporarilyUnmodifiable",
                409,
                "The password can't be changed for now: there were too many attempts with a wrong one.",
            ));
        };
        match hash::is_one_of(old, vec![login.hash.clone()]).await {
            Ok(true) => {}
            Ok(false) => return Err(AwsError::new("AccessDenied", 403, "The old password was incorrect.")),
            Err(e) => {
                // Nothing was looked at: too many others' passwords are.
                guesses::take_back(&ctx.meta, &place, before, call.deadline).await.map_err(unreachable)?;
                return Err(e);
            }
        }
        guesses::forget(&ctx.meta, &place, call.deadline).await.map_err(unreachable)?;
        let policy = policy::of(ctx, call).await?;
        policy::check(policy.as_ref(), &new)?;
        policy::is_new(policy.as_ref(), &login, &new).await?;
        let hash = hash::hash(new).await?;
        let planned = || async {
            let (user, mut now) = login::of(ctx, call, name).await?;
            // Another password came in between: the old one isn't right any more.
            if now.record.generation != login.generation {
                return Err(errors::conflict());
            }
            now.record.change(hash.clone(), ctx.now());
            now.record.reset_required = false;
            let compares = vec![user.unchanged(), now.unchanged()];
            Ok(Change { compares, ops: vec![now.put()?], answer: json!({}) })
        };
        Ok(ctx.commit(call, planned).await?.0)
    }
}
