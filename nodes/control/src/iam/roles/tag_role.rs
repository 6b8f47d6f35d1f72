//! TagRole.

use crate::iam::prelude::*;

pub struct TagRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    tags: Option<Vec<Tag>>,
}

impl Operation for TagRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "TagRole";
    const ACTION: &'static str = "iam:TagRole";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            check::tag(&mut role.record.tags, request.tags.as_deref().unwrap_or_default())?;
            Ok(Change { compares: vec![role.unchanged()], ops: vec![role.put()?], answer: json!({}) })
        })
        .await
    }
}
