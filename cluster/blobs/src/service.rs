//! A holder's side: keeps chunks for other nodes and gives them out.

use crate::chunks::{Chunks, Read, StoreError};
use crate::wire::{Reply, Request, decode, encode};
use breakwater_transport::{Handler, Inbound, Refusal};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::sync::Arc;

pub(crate) struct Service(pub(crate) Arc<Chunks>);

impl Handler for Service {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let request = decode(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            // It is held once, not twice, while it is written.
            drop(call.payload);
            let reply = match request {
                Request::Store { id, sha256, data } => match self.0.store(id, sha256, data).await {
                    Ok(()) => Reply::Stored,
                    Err(e @ StoreError::Malformed(_)) => return Err((Refusal::Malformed, e.to_string())),
                    Err(StoreError::Busy(why)) => Reply::Busy(why),
                },
                Request::Fetch(chunk) => match self.0.read(chunk).await {
                    Read::Whole(data) => Reply::Chunk(data),
                    Read::Missing => Reply::Missing,
                    Read::Damaged => Reply::Damaged,
                    Read::Busy(why) => Reply::Busy(why),
                },
            };
            encode(&reply).map_err(|e| (Refusal::Failed, e))
        })
    }
}
