//! StartLogging and StopLogging.

use crate::cloudtrail::prelude::*;

pub struct StartLogging;
pub struct StopLogging;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
}

impl Operation for StartLogging {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "StartLogging";
    const ACTION: &'static str = "cloudtrail:StartLogging";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.change_trail(call, request.name.as_deref(), |trail| {
            // This call's own event is the first one.
            trail.start(call.received_unix_ms);
            Ok(json!({}))
        })
        .await
    }
}

impl Operation for StopLogging {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "StopLogging";
    const ACTION: &'static str = "cloudtrail:StopLogging";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.change_trail(call, request.name.as_deref(), |trail| {
            // This call's own event is the last one.
            trail.stop(call.received_unix_ms + 1);
            Ok(json!({}))
        })
        .await
    }
}
