//! ListPublicKeys: what digests are verified with.

use crate::cloudtrail::prelude::*;
use data_encoding::BASE64;

pub struct ListPublicKeys;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    /// Seconds since 1970.
    start_time: Option<f64>,
    end_time: Option<f64>,
    next_token: Option<String>,
}

fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0).clamp(0.0, 1e15) as i64
}

impl Operation for ListPublicKeys {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListPublicKeys";
    const ACTION: &'static str = "cloudtrail:ListPublicKeys";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if request.next_token.is_some() {
            return Err(AwsError::client("InvalidTokenException", "The token is not valid."));
        }
        if let (Some(start), Some(end)) = (request.start_time, request.end_time)
            && start > end
        {
            return Err(errors::time_range());
        }
        let now = ctx.clock.unix_ms();
        let from = request.start_time.map_or(now, ms);
        let to = request.end_time.map_or(now.max(from), ms);
        let all =
            crate::cloudtrail::delivery::keys::all(&ctx.meta, call.deadline).await.map_err(AwsError::unavailable)?;
        let keys = all.iter().filter(|key| key.from_unix_ms <= to && from <= key.to_unix_ms);
        let shapes = keys.map(|key| {
            json!({
                "Value": BASE64.encode(&key.public),
                "ValidityStartTime": key.from_unix_ms as f64 / 1_000.0,
                "ValidityEndTime": key.to_unix_ms as f64 / 1_000.0,
                "Fingerprint": key.fingerprint(),
            })
        });
        Ok(json!({ "PublicKeyList": shapes.collect::<Vec<_>>() }))
    }
}
