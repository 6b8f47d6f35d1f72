//! CreateAccessKey.

use crate::iam::prelude::*;
use crate::iam::secrets;

const KEYS_MAX: usize = 2;

pub struct CreateAccessKey;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

impl Operation for CreateAccessKey {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateAccessKey";
    const ACTION: &'static str = "iam:CreateAccessKey";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let id = key_id("AKIA");
        let secret = secrets::new_secret();
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            if user.record.access_keys.len() >= KEYS_MAX {
                return Err(errors::quota("AccessKeysPerUser", KEYS_MAX));
            }
            let key = AccessKey { id: id.clone(), active: true, created_unix_s: ctx.now() };
            let mut shape = shapes::access_key(&user.record.name, &key);
            shape["SecretAccessKey"] = secret.as_str().into();
            let arn = records::arn(&call.principal.account, Kind::User, &user.record.path, &user.record.name);
            user.record.access_keys.push(key);
            let ops = vec![user.put()?, secrets::put(&id, &secret, &call.principal.account, &arn)?];
            Ok(Change { compares: vec![user.unchanged()], ops, answer: json!({"AccessKey": shape}) })
        })
        .await
    }
}
