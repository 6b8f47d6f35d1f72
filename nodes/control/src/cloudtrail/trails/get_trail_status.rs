//! GetTrailStatus.

use crate::cloudtrail::prelude::*;
use breakwater_types::rfc3339;

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
    let lost = delivery.lost.then_some("EventsExpired");
    for (name, error) in [
        ("LatestDeliveryError", delivery.error.as_deref().or(lost)),
        ("LatestDigestDeliveryError", delivery.digest_error.as_deref()),
    ] {
        if let Some(error) = error {
            shape[name] = error.into();
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

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    #[test]
    fn events_that_were_forgotten_undelivered_are_told_of() {
        let trail = Trail::new(1, AccountId::new("111122223333").unwrap(), "music", 0);
        let lost = Delivery { lost: true, ..Delivery::default() };
        assert_eq!(shape(&trail, &lost)["LatestDeliveryError"], "EventsExpired");
        let failed = Delivery { error: Some("ServiceUnavailable".to_owned()), ..lost };
        assert_eq!(shape(&trail, &failed)["LatestDeliveryError"], "ServiceUnavailable");
        assert_eq!(shape(&trail, &Delivery::default()).get("LatestDeliveryError"), None);
    }
}
