//! DeleteTrail. What it has delivered stays, and what happened before is delivered still.

use crate::cloudtrail::prelude::*;
use breakwater_meta::prefix_end;

/// Deleted ones of an account that still have something to deliver.
const DELETED_MAX: usize = 100;

pub struct DeleteTrail;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
}

impl Operation for DeleteTrail {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteTrail";
    const ACTION: &'static str = "cloudtrail:DeleteTrail";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = ctx.own_name(call, request.name.as_deref())?;
        let account = &call.principal.account;
        ctx.commit(call, || async {
            let mut found = ctx.trail(call, &name).await?;
            let trail = &mut found.record;
            // This call's own event is the last one.
            trail.stop(call.received_unix_ms + 1);
            let delivery = ctx.delivery(call, trail).await?;
            trail.forget(delivery.settled);
            let mut ops = vec![Op::Delete { key: trails::key(account, &name) }];
            if delivery.digest_from_s.is_some() || trail.unsettled(delivery.settled).next().is_some() {
                let deleted: Vec<Trail> = ctx.store().all(call, &trails::deleted_prefix(account)).await?;
                if deleted.len() >= DELETED_MAX {
                    return Err(errors::throttled(
                        "Too many trails were deleted in the last minutes. Try again later.",
                    ));
                }
                ops.push(put(trails::deleted_key(trail), trail)?);
            } else {
                let files = trails::file_prefix(trail);
                ops.push(Op::Delete { key: trails::delivery_key(trail) });
                ops.push(Op::DeleteRange { end: prefix_end(&files), start: files });
            }
            Ok(Change { compares: vec![found.unchanged()], ops, answer: json!({}) })
        })
        .await
    }
}
