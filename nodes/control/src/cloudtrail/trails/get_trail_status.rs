//! GetTrailStatus.

use crate::cloudtrail::prelude::*;
use breakwater_aws::audit::rfc3339;

pub struct GetTrailStatus;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
}

/// Seconds since 1970, as awsJson has times.
fn seconds(unix_ms: i64) -> Value {
    json!(unix_ms as f64 / 1_000.0)
}

fn shape(trail: &Trail, delivery: &Delivery) -> Value {
    let (started, stopped) = (trail.started_unix_ms, trail.stopped_unix_ms);
    let text = |unix_ms: Option<i64>| unix_ms.map_or(String::new(), |ms| rfc3339(ms.div_euclid(1_000)));
    let mut shape = json!({
        "IsLogging": trail.is_logging(),
        // No longer in use, and there, as at AWS.
        "LatestDeliveryAttemptTime": text(delivery.delivered_unix_ms),
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
        "LatestDeliveryAttemptSucceeded": text(delivery.delivered_unix_ms),
        "TimeLoggingStarted": text(started),
        "TimeLoggingStopped": text(stopped),
    });
    for (name, unix_ms) in [
        ("StartLoggingTime", started),
        ("StopLoggingTime", stopped),
        ("LatestDeliveryTime", delivery.delivered_unix_ms),
        ("LatestDigestDeliveryTime", delivery.digest_delivered_unix_ms),
    ] {
        if let Some(unix_ms) = unix_ms {
            shape[name] = seconds(unix_ms);
        }
    }
    for (name, error) in
        [("LatestDeliveryError", &delivery.error), ("LatestDigestDeliveryError", &delivery.digest_error)]
    {
        if let Some(error) = error {
            shape[name] = error.as_str().into();
        }
    }
    shape
}

impl Operation for GetTrailStatus {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetTrailStatus";
    const ACTION: &'static str = "cloudtrail:GetTrailStatus";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = ctx.name(call, request.name.as_deref())?;
        let trail = ctx.trail(call, &name).await?.record;
        Ok(shape(&trail, &ctx.delivery(call, &trail).await?))
    }
}
