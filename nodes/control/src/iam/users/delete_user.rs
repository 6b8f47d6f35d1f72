//! DeleteUser.

use crate::iam::passwords::guesses::Place;
use crate::iam::passwords::login::{self, Login};
use crate::iam::prelude::*;
use crate::iam::user_credentials;
use crate::usage;

pub struct DeleteUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

impl Operation for DeleteUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteUser";
    const ACTION: &'static str = "iam:DeleteUser";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        ctx.change(call, || async {
            let user = ctx.named::<User>(call, Kind::User, name).await?;
            let record = &user.record;
            let devices: Vec<String> = ctx.all(call, &store::user_mfa_prefix(&call.principal.account, name)).await?;
            let others = user_credentials::first_to_delete(ctx, call, &record.id).await?;
            let login = login::key(&call.principal.account, &record.id);
            let first = if ctx.find::<Login>(call, login.clone()).await?.is_some() {
                Some("delete login profile")
            } else if !record.access_keys.is_empty() {
                Some("delete access keys")
            } else if !devices.is_empty() {
                Some("delete MFA device")
            } else if others.is_some() {
                others
            } else if !record.policies.attached.is_empty() {
                Some("detach all policies")
            } else if !record.policies.inline.is_empty() {
                Some("delete policies")
            } else if !record.groups.is_empty() {
                Some("remove users from group")
            } else {
                None
            };
            if let Some(first) = first {
                return Err(errors::delete_conflict(first));
            }
            let mut attach = Attach::default();
            if let Some(arn) = &record.boundary {
                attach.count(ctx, call, arn, -1).await?;
            }
            attach.compares.extend([user.unchanged(), Compare::Absent(login)]);
            attach.ops.push(user.delete());
            attach.ops.push(Place::known(&call.principal.account, &record.id).remove());
            attach.ops.extend(usage::forget(&call.principal.account, &record.id));
            attach.ops.push(Op::Delete { key: records::renamed_key(&call.principal.account, &record.id) });
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
