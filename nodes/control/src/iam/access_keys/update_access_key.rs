//! UpdateAccessKey.

use crate::iam::prelude::*;
use crate::iam::secrets;

pub struct UpdateAccessKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    access_key_id: Option<String>,
    status: Option<String>,
}

impl Operation for UpdateAccessKey {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateAccessKey";
    const ACTION: &'static str = "iam:UpdateAccessKey";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let id = check::required(request.access_key_id.as_deref(), "accessKeyId")?;
        let active = match check::required(request.status.as_deref(), "status")? {
            "Active" => true,
            "Inactive" => false,
            other => {
                let words = "Member must satisfy enum value set: [Active, Inactive]";
                return Err(check::constraint(other, "status", words));
            }
        };
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            let Some(key) = user.record.access_keys.iter_mut().find(|key| key.id == id) else {
                return Err(secrets::no_such_key(id));
            };
            let mut ops = Vec::new();
            let mut compares = Vec::new();
            if std::mem::replace(&mut key.active, active) != active {
                let moved = secrets::switch(ctx, call, id, active).await?;
                compares.extend(moved.compares);
                ops.extend(moved.ops);
            }
            compares.push(user.unchanged());
            ops.push(user.put()?);
            Ok(Change { compares, ops, answer: json!({}) })
        })
        .await
    }
}
