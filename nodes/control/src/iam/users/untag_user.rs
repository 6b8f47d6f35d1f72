//! UntagUser.

use crate::iam::prelude::*;

pub struct UntagUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Operation for UntagUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UntagUser";
    const ACTION: &'static str = "iam:UntagUser";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            check::untag(&mut user.record.tags, request.tag_keys.as_deref().unwrap_or_default());
            Ok(Change { compares: vec![user.unchanged()], ops: vec![user.put()?], answer: json!({}) })
        })
        .await
    }
}
