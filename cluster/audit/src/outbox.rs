//! Events that were committed together with what their calls changed, on their way to the group.

use breakwater_aws::{AwsError, Call, Event};
use breakwater_meta::Op;
use breakwater_meta::records::to_stored;
use serde_json::Value;

/// In the control store. Other nodes than control nodes may add to it, and not look at it.
pub const PREFIX: &[u8] = breakwater_meta::OUTBOX;

fn key(event: &Event) -> Vec<u8> {
    [PREFIX, format!("{:016x}{:032x}", event.unix_ms.max(0), event.id).as_bytes()].concat()
}

/// What a transaction that does what the call asks for has to write too, with the answer that the call will get. Tell
/// the call when it is committed: [`committed`].
pub fn ops(call: &Call, answer: &Value) -> Result<Vec<Op>, AwsError> {
    let put = |event: Event| Ok(Op::put(key(&event), to_stored(&event).map_err(AwsError::internal)?));
    call.events(Ok(answer)).into_iter().map(put).collect()
}

/// The transaction that has the call's event took place.
pub fn committed(call: &Call) {
    if let Some(pending) = &call.audit {
        pending.set_written();
    }
}
