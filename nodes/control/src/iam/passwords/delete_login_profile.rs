//! DeleteLoginProfile.

use super::login;
use crate::iam::prelude::*;

pub struct DeleteLoginProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

impl Operation for DeleteLoginProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteLoginProfile";
    const ACTION: &'static str = "iam:DeleteLoginProfile";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 64)?;
        let planned = || async {
            let (_, login) = login::of(ctx, call, name).await?;
            Ok(Change { compares: vec![login.unchanged()], ops: vec![login.delete()], answer: json!({}) })
        };
        Ok(ctx.commit(call, planned).await?.0)
    }
}
