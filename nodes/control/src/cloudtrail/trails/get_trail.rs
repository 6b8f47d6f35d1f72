//! GetTrail.

use crate::cloudtrail::prelude::*;

pub struct GetTrail;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
}

impl Operation for GetTrail {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetTrail";
    const ACTION: &'static str = "cloudtrail:GetTrail";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = ctx.name(call, request.name.as_deref())?;
        let found = ctx.trail(call, &name).await?;
        Ok(json!({ "Trail": shapes::described(call, &found.record) }))
    }
}
