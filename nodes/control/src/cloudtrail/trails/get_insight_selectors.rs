//! GetInsightSelectors. Nobody looks for what is unusual: no trail has any.

use crate::cloudtrail::prelude::*;

pub struct GetInsightSelectors;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    trail_name: Option<String>,
    event_data_store: Option<String>,
}

impl Operation for GetInsightSelectors {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetInsightSelectors";
    const ACTION: &'static str = "cloudtrail:GetInsightSelectors";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.trail_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if request.trail_name.is_some() == request.event_data_store.is_some() {
            return Err(errors::combination("You must specify either a TrailName or an EventDataStore, and not both."));
        }
        if request.event_data_store.is_some() {
            return Err(AwsError::client("InvalidParameterException", "The event data store does not exist."));
        }
        let name = ctx.name(call, request.trail_name.as_deref())?;
        let found = ctx.trail(call, &name).await?;
        Err(errors::no_insights(&shapes::arn(&call.scope, &found.record.name)))
    }
}
