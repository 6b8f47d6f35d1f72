//! Asking holders, this node itself among them.

use crate::chunks::sha256;
use crate::model::ChunkRef;
use crate::wire::{Reply, Request, decode, encode};
use breakwater_transport::{Kind, Transport};
use breakwater_types::NodeName;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One holder's share of the time to read a chunk, so that one that fell silent doesn't use up all of it.
const ATTEMPT: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub(crate) struct Peers(pub(crate) Arc<Transport>);

pub(crate) enum Fetched {
    /// Its checksum is right.
    Whole(Bytes),
    /// It was asked, and hasn't got it as it should be.
    Not(String),
    /// It may have it.
    Unreachable(String),
}

impl Peers {
    async fn ask(&self, node: &NodeName, request: &Request, deadline: Instant) -> Result<Reply, String> {
        let payload = encode(request)?;
        let answer = self.0.call(node, Kind::Blobs, 1, payload, deadline).await.map_err(|e| e.to_string())?;
        decode(&answer)
    }

    /// Durable there when it says so.
    pub(crate) async fn store(
        &self,
        node: &NodeName,
        chunk: ChunkRef,
        data: Bytes,
        deadline: Instant,
    ) -> Result<(), String> {
        let request = Request::Store { id: chunk.id, sha256: chunk.sha256, data };
        match self.ask(node, &request, deadline).await {
            Ok(Reply::Stored) => Ok(()),
            Ok(Reply::Busy(why)) | Err(why) => Err(format!("{node}: {why}")),
            Ok(Reply::Chunk(_) | Reply::Missing | Reply::Damaged) => {
                Err(format!("{node}: an answer to another question"))
            }
        }
    }

    pub(crate) async fn fetch(&self, node: &NodeName, chunk: ChunkRef, deadline: Instant) -> Fetched {
        let deadline = deadline.min(Instant::now() + ATTEMPT);
        match self.ask(node, &Request::Fetch(chunk), deadline).await {
            Ok(Reply::Chunk(data)) => {
                let checked = tokio::task::spawn_blocking(move || (sha256(&data), data)).await;
                match checked {
                    Ok((digest, data)) if digest == chunk.sha256 => Fetched::Whole(data),
                    Ok(_) => Fetched::Not(format!("{node} gave something else")),
                    Err(e) => Fetched::Unreachable(e.to_string()),
                }
            }
            Ok(Reply::Missing) => Fetched::Not(format!("{node} hasn't got it")),
            Ok(Reply::Damaged) => Fetched::Not(format!("{node}'s copy is damaged")),
            Ok(Reply::Stored) => Fetched::Not(format!("{node}: an answer to another question")),
            Ok(Reply::Busy(why)) | Err(why) => Fetched::Unreachable(format!("{node}: {why}")),
        }
    }

    /// From the first of these nodes that has it. `Not` only where all of them were asked.
    pub(crate) async fn find(&self, nodes: &[NodeName], chunk: ChunkRef, deadline: Instant) -> Fetched {
        let mut not = Vec::new();
        let mut unreachable = None;
        for node in nodes {
            match self.fetch(node, chunk, deadline).await {
                Fetched::Whole(data) => return Fetched::Whole(data),
                Fetched::Not(why) => not.push(why),
                Fetched::Unreachable(why) => unreachable = Some(why),
            }
        }
        match unreachable {
            Some(why) => Fetched::Unreachable(why),
            None if nodes.is_empty() => Fetched::Unreachable("no other holder is known".to_owned()),
            None => Fetched::Not(not.join("; ")),
        }
    }
}
