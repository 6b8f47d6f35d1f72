//! DeleteUserPermissionsBoundary.

use crate::iam::prelude::*;

pub struct DeleteUserPermissionsBoundary;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

impl Operation for DeleteUserPermissionsBoundary {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteUserPermissionsBoundary";
    const ACTION: &'static str = "iam:DeleteUserPermissionsBoundary";
    const ACCESS: Access = Access::PermissionsManagement;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";
    const CONDITION_KEYS: &'static [&'static str] = &["iam:PermissionsBoundary"];

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        ctx.boundary_key(call, Kind::User, request.user_name.as_deref(), keys);
    }

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 64)?;
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            let mut attach = Attach::default();
            if let Some(before) = user.record.boundary.take() {
                attach.count(ctx, call, &before, -1).await?;
            }
            attach.compares.push(user.unchanged());
            attach.ops.push(user.put()?);
            Ok(attach.into_change(json!({})))
        })
        .await
    }
}
