//! Raft's messages over the transport.

use crate::coalesce::Coalesced;
use crate::snapshot::{Snapshot, chunks};
use crate::types::{Member, SnapshotMeta, TypeConfig, Vote};
use breakwater_transport::{CallError, Kind, Transport};
use breakwater_types::{GroupId, NodeName};
use bytes::Bytes;
use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2, stream_append_sequential};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::SnapshotOf;
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const FORMAT: u8 = 2;

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) enum Request {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
    TransferLeader(TransferLeaderRequest<TypeConfig>),
    /// The leader has nothing to do: tick no more until something comes.
    Rest {
        term: u64,
        last_index: u64,
    },
}

/// A node that lost its disk comes back under its old name and a new id: what was meant for the old one must not be
/// answered by the new one, which has forgotten what the old one promised.
#[derive(Serialize, Deserialize)]
pub(crate) struct Addressed {
    pub(crate) to: u64,
    pub(crate) request: Request,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotHeader {
    pub(crate) to: u64,
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Bytes, String> {
    let out = postcard::to_extend(value, vec![FORMAT]).map_err(|e| e.to_string())?;
    Ok(out.into())
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|e| e.to_string()),
        _ => Err("a message of an unknown format".to_owned()),
    }
}

pub(crate) struct Network {
    pub(crate) group: GroupId,
    pub(crate) transport: Arc<Transport>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, member: &Member) -> Client {
        Client { group: self.group, to: target, target: member.name.clone(), transport: self.transport.clone() }
    }
}

pub(crate) struct Client {
    group: GroupId,
    to: u64,
    target: NodeName,
    transport: Arc<Transport>,
}

impl Client {
    async fn ask<R: serde::de::DeserializeOwned>(
        &self,
        request: Request,
        ttl: Duration,
    ) -> Result<R, RPCError<TypeConfig>> {
        let network = |why: String| RPCError::Network(NetworkError::new(&io::Error::other(why)));
        let payload = encode(&Addressed { to: self.to, request }).map_err(network)?;
        match self.transport.call(&self.target, Kind::Raft, self.group.0, payload, Instant::now() + ttl).await {
            Ok(answer) => decode(&answer).map_err(network),
            Err(CallError::NotSent(why)) => Err(RPCError::Unreachable(Unreachable::new(&io::Error::other(why)))),
            Err(CallError::Unknown(why)) => Err(network(why)),
            Err(CallError::Refused(_, why)) => Err(RPCError::Unreachable(Unreachable::new(&io::Error::other(why)))),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = Snapshot;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Request::Append(rpc), option.hard_ttl()).await
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>, RPCError<TypeConfig>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        stream_append_sequential(self, Coalesced::new(input), option)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Request::Vote(rpc), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Request::PreVote(rpc), option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<TypeConfig, Snapshot>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let network = |why: String| StreamingError::Network(NetworkError::new(&io::Error::other(why)));
        let Snapshot::Local { view, prefix } = snapshot.snapshot else {
            return Err(network("a received snapshot isn't sent on".to_owned()));
        };
        let header = encode(&SnapshotHeader { to: self.to, vote, meta: snapshot.meta }).map_err(network)?;
        let data = chunks(view, prefix);
        // A partition holds at most 10 GB; at 20 MB/s that is under ten minutes.
        let deadline = Instant::now() + Duration::from_secs(600);
        let sent = self.transport.upload(&self.target, Kind::Snapshot, self.group.0, header, data, deadline);
        let answer = tokio::select! {
            sent = sent => sent,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match answer {
            Ok(answer) => decode(&answer).map_err(network),
            Err(CallError::NotSent(why)) => Err(StreamingError::Unreachable(Unreachable::new(&io::Error::other(why)))),
            Err(CallError::Unknown(why) | CallError::Refused(_, why)) => Err(network(why)),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ask(Request::TransferLeader(req), option.hard_ttl()).await
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(Duration::from_millis(100))))
    }
}
