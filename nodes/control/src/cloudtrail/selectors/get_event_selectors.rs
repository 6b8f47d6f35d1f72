//! GetEventSelectors.

use super::wire::shape;
use crate::cloudtrail::prelude::*;

pub struct GetEventSelectors;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    trail_name: Option<String>,
}

impl Operation for GetEventSelectors {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetEventSelectors";
    const ACTION: &'static str = "cloudtrail:GetEventSelectors";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.trail_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = ctx.name(call, request.trail_name.as_deref())?;
        let trail = ctx.trail(call, &name).await?.record;
        Ok(shape(&shapes::arn(&call.scope, &trail.name), &trail.wants.selectors))
    }
}
