//! DeleteAccessKey.

use crate::iam::prelude::*;
use crate::iam::secrets;

pub struct DeleteAccessKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    access_key_id: Option<String>,
}

impl Operation for DeleteAccessKey {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteAccessKey";
    const ACTION: &'static str = "iam:DeleteAccessKey";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let id = check::required(request.access_key_id.as_deref(), "accessKeyId")?;
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            let before = user.record.access_keys.len();
            user.record.access_keys.retain(|key| key.id != id);
            if user.record.access_keys.len() == before {
                return Err(secrets::no_such_key(id));
            }
            let mut ops = secrets::delete(id).to_vec();
            ops.push(Op::Delete { key: crate::usage::access_key(&call.principal.account, id) });
            ops.push(user.put()?);
            Ok(Change { compares: vec![user.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
