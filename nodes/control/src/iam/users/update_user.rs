//! UpdateUser: another name or path.

use super::follows;
use crate::iam::prelude::*;

pub struct UpdateUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    new_path: Option<String>,
    new_user_name: Option<String>,
}

impl Operation for UpdateUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateUser";
    const ACTION: &'static str = "iam:UpdateUser";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    /// The user as she is, and as she will be.
    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        let name = request.user_name.as_deref();
        ctx.before_and_after(call, Kind::User, name, request.new_path.as_deref(), request.new_user_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        let new_name = request.new_user_name.as_deref();
        let new_name = new_name.map(|new| check::name(Some(new), "newUserName", 64)).transpose()?;
        let new_path = request.new_path.as_deref().map(|new| check::path(Some(new))).transpose()?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let found = ctx.named::<User>(call, Kind::User, name).await?;
            let mut after = found.record.clone();
            after.name = new_name.unwrap_or(&after.name).to_owned();
            after.path = new_path.unwrap_or(&after.path).to_owned();
            if after == found.record {
                return Ok(Change { compares: vec![found.unchanged()], ops: vec![found.put()?], answer: json!({}) });
            }
            let key = records::key(account, Kind::User, &after.name);
            let mut change = follows::moves(ctx, call, &found.record, &after).await?;
            change.compares.push(found.unchanged());
            if key != found.key {
                if ctx.find::<User>(call, key.clone()).await?.is_some() {
                    return Err(errors::exists("User", &after.name));
                }
                change.compares.push(Compare::Absent(key.clone()));
                change.ops.push(found.delete());
            }
            change.ops.push(put(key, &after)?);
            Ok(Change { compares: change.compares, ops: change.ops, answer: json!({}) })
        })
        .await
    }
}
