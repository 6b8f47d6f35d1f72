//! TagUser.

use crate::iam::prelude::*;

pub struct TagUser;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    tags: Option<Vec<Tag>>,
}

impl Operation for TagUser {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "TagUser";
    const ACTION: &'static str = "iam:TagUser";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        ctx.change(call, || async {
            let mut user = ctx.named::<User>(call, Kind::User, name).await?;
            check::tag(&mut user.record.tags, request.tags.as_deref().unwrap_or_default())?;
            Ok(Change { compares: vec![user.unchanged()], ops: vec![user.put()?], answer: json!({}) })
        })
        .await
    }
}
