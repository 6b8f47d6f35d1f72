//! UpdateTrail.

use super::wanted::Wanted;
use crate::cloudtrail::prelude::*;

pub struct UpdateTrail;

impl Operation for UpdateTrail {
    type Context = Context;
    type Request = Wanted;
    type Response = Value;
    const NAME: &'static str = "UpdateTrail";
    const ACTION: &'static str = "cloudtrail:UpdateTrail";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Wanted) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Wanted) -> Result<Value, AwsError> {
        ctx.change_trail(call, request.name.as_deref(), |trail| {
            // This call's own event is the last one that is selected as before.
            request.apply(trail, call.received_unix_ms + 1)?;
            Ok(shapes::made(call, trail))
        })
        .await
    }
}
