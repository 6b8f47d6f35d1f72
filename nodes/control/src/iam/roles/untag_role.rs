//! UntagRole.

use crate::iam::prelude::*;

pub struct UntagRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_name: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Operation for UntagRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UntagRole";
    const ACTION: &'static str = "iam:UntagRole";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::Role, request.role_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.role_name.as_deref(), "roleName", 64)?;
        ctx.change(call, || async {
            let mut role = ctx.named::<Role>(call, Kind::Role, name).await?;
            check::untag(&mut role.record.tags, request.tag_keys.as_deref().unwrap_or_default());
            Ok(Change { compares: vec![role.unchanged()], ops: vec![role.put()?], answer: json!({}) })
        })
        .await
    }
}
