//! GetLoginProfile.

use super::login;
use crate::iam::prelude::*;

pub struct GetLoginProfile;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
}

impl Operation for GetLoginProfile {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetLoginProfile";
    const ACTION: &'static str = "iam:GetLoginProfile";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 64)?;
        let (user, login) = login::of(ctx, call, name).await?;
        Ok(json!({"LoginProfile": login.record.shape(&user.record.name)}))
    }
}
