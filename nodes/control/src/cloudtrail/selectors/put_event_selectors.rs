//! PutEventSelectors.

use super::read;
use super::wire::{Advanced, Basic, shape};
use crate::cloudtrail::prelude::*;

pub struct PutEventSelectors;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    trail_name: Option<String>,
    event_selectors: Option<Vec<Basic>>,
    advanced_event_selectors: Option<Vec<Advanced>>,
}

impl Operation for PutEventSelectors {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "PutEventSelectors";
    const ACTION: &'static str = "cloudtrail:PutEventSelectors";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.trail_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let selectors = read::selectors(request.event_selectors, request.advanced_event_selectors)?;
        ctx.change_trail(call, request.trail_name.as_deref(), |trail| {
            // This call's own event is the last one that is selected as before.
            let wants = Wants { selectors: selectors.clone(), ..trail.wants };
            trail.want(wants, call.received_unix_ms + 1);
            Ok(shape(&shapes::arn(&call.scope, &trail.name), &selectors))
        })
        .await
    }
}
