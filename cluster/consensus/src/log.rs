//! openraft's log on the process's shared log.

use crate::types::{Command, Entry, LeaderId, LogId, TypeConfig, Vote};
use breakwater_storage::{LogEntry, LogStore, StorageError};
use breakwater_types::GroupId;
use bytes::{BufMut, Bytes, BytesMut};
use openraft::entry::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use tokio::sync::oneshot;

const META_VOTE: u8 = 1;
const META_COMMITTED: u8 = 2;
const META_PURGED: u8 = 3;
const FORMAT: u8 = 1;
/// Entries read at once for one follower; bounds the memory of a replica that catches up.
const READ_BYTES_MAX: usize = 4 << 20;

pub(crate) fn io_error(e: StorageError) -> io::Error {
    io::Error::other(e)
}

fn corrupt(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log holds {what}"))
}

fn encode<T: serde::Serialize>(value: &T) -> io::Result<Bytes> {
    let mut out = vec![FORMAT];
    out.extend(postcard::to_allocvec(value).map_err(io::Error::other)?);
    Ok(out.into())
}

fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|_| corrupt("a record that can't be read")),
        Some((version, _)) => Err(corrupt(&format!("a record of the unknown format {version}"))),
        None => Err(corrupt("an empty record")),
    }
}

const KIND_BLANK: u8 = 0;
const KIND_NORMAL: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// `format | kind | term (8) | node (8) | body`; a normal entry's body is `trace length (1) | trace | command`.
pub(crate) fn encode_entry(entry: &Entry) -> io::Result<Bytes> {
    let mut out = BytesMut::with_capacity(
        24 + match &entry.payload {
            EntryPayload::Normal(command) => command.data.len() + command.traceparent.len(),
            EntryPayload::Blank | EntryPayload::Membership(_) => 64,
        },
    );
    out.put_u8(FORMAT);
    out.put_u8(match &entry.payload {
        EntryPayload::Blank => KIND_BLANK,
        EntryPayload::Normal(_) => KIND_NORMAL,
        EntryPayload::Membership(_) => KIND_MEMBERSHIP,
    });
    out.put_u64(entry.log_id.leader_id.term);
    out.put_u64(entry.log_id.leader_id.node_id);
    match &entry.payload {
        EntryPayload::Blank => {}
        EntryPayload::Normal(command) => {
            let trace = command.traceparent.as_bytes();
            let trace = if trace.len() <= 255 { trace } else { &[] };
            out.put_u8(trace.len() as u8);
            out.put_slice(trace);
            out.put_slice(&command.data);
        }
        EntryPayload::Membership(membership) => {
            out.put_slice(&postcard::to_allocvec(membership).map_err(io::Error::other)?);
        }
    }
    Ok(out.freeze())
}

pub(crate) fn decode_entry(index: u64, bytes: &Bytes) -> io::Result<Entry> {
    if bytes.len() < 18 || bytes[0] != FORMAT {
        return Err(corrupt("an entry of an unknown format"));
    }
    let number = |at: usize| {
        let mut raw = [0; 8];
        raw.copy_from_slice(&bytes[at..at + 8]);
        u64::from_be_bytes(raw)
    };
    let log_id = LogId { leader_id: LeaderId { term: number(2), node_id: number(10) }, index };
    let body = bytes.slice(18..);
    let payload = match bytes[1] {
        KIND_BLANK => EntryPayload::Blank,
        KIND_NORMAL => {
            let trace = *body.first().ok_or_else(|| corrupt("a short entry"))? as usize;
            if body.len() < 1 + trace {
                return Err(corrupt("a short entry"));
            }
            let traceparent =
                String::from_utf8(body[1..1 + trace].to_vec()).map_err(|_| corrupt("a trace that isn't text"))?;
            EntryPayload::Normal(Command { traceparent, data: body.slice(1 + trace..) })
        }
        KIND_MEMBERSHIP => EntryPayload::Membership(
            postcard::from_bytes(&body).map_err(|_| corrupt("a membership that can't be read"))?,
        ),
        kind => return Err(corrupt(&format!("an entry of the unknown kind {kind}"))),
    };
    Ok(Entry { log_id, payload })
}

/// One group's part of the shared log. Indexes are stored one higher than Raft's, which begin at 0, so that
/// "nothing" has a number too.
#[derive(Clone)]
pub(crate) struct GroupLog {
    group: GroupId,
    store: Arc<LogStore>,
}

type Done = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

impl GroupLog {
    pub(crate) fn new(group: GroupId, store: Arc<LogStore>) -> Self {
        GroupLog { group, store }
    }

    async fn finished(&self, start: impl FnOnce(&LogStore, Done)) -> io::Result<()> {
        let (tx, rx) = oneshot::channel();
        start(
            &self.store,
            Box::new(move |result| {
                // The waiter is gone only when the group is being dropped.
                let _ = tx.send(result);
            }),
        );
        rx.await.map_err(|_| io::Error::other("the log writer has stopped"))?.map_err(io_error)
    }

    fn record<T: serde::de::DeserializeOwned>(&self, key: u8) -> io::Result<Option<T>> {
        self.store.meta(self.group, key).map(|bytes| decode(&bytes)).transpose()
    }

    fn read(&self, start: u64, end: u64, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let found = self.store.read(self.group, start + 1..end + 1, bytes_max).map_err(io_error)?;
        let mut entries = Vec::with_capacity(found.len());
        for (expected, entry) in (start..).zip(&found) {
            if entry.index != expected + 1 {
                return Err(corrupt("a gap"));
            }
            entries.push(decode_entry(expected, &entry.payload)?);
        }
        Ok(entries)
    }

    fn last_log_id(&self) -> io::Result<Option<LogId>> {
        let bounds = self.store.bounds(self.group);
        match bounds.last {
            Some(last) if last > 0 => {
                let entry = self.read(last - 1, last, usize::MAX)?.pop().ok_or_else(|| corrupt("no last entry"))?;
                Ok(Some(entry.log_id))
            }
            _ => Ok(None),
        }
    }
}

impl RaftLogReader<TypeConfig> for GroupLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(n) => *n,
            Bound::Excluded(n) => n + 1,
            Bound::Unbounded => self.store.bounds(self.group).first.map_or(0, |n| n - 1),
        };
        let end = match range.end_bound() {
            Bound::Included(n) => n + 1,
            Bound::Excluded(n) => *n,
            Bound::Unbounded => self.store.bounds(self.group).last.unwrap_or(0),
        };
        if start >= end {
            return Ok(Vec::new());
        }
        self.read(start, end, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.read(start, end, READ_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.record(META_VOTE)
    }
}

impl RaftLogStorage<TypeConfig> for GroupLog {
    type LogReader = GroupLog;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let purged: Option<LogId> = self.record(META_PURGED)?;
        let last = self.last_log_id()?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
    }

    async fn get_log_reader(&mut self) -> GroupLog {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let value = encode(vote)?;
        self.finished(|store, done| store.save_meta(self.group, META_VOTE, value, done, true)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // A lower committed index after a crash is safe: it is learnt again from the leader.
        let value = encode(&committed)?;
        self.store.save_meta(self.group, META_COMMITTED, value, Box::new(|_| {}), false);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.record::<Option<LogId>>(META_COMMITTED)?.flatten())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut encoded = Vec::new();
        for entry in entries {
            if let EntryPayload::Normal(command) = &entry.payload
                && !command.traceparent.is_empty()
            {
                breakwater_transport::event_in(&command.traceparent, "raft.append", self.group.0);
            }
            encoded.push(LogEntry {
                index: entry.log_id.index + 1,
                term: entry.log_id.leader_id.term,
                payload: encode_entry(&entry)?,
            });
        }
        self.store.append(self.group, encoded, Box::new(move |result| callback.io_completed(result.map_err(io_error))));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let index = last_log_id.map_or(0, |id| id.index + 1);
        self.finished(|store, done| store.truncate_after(self.group, index, done)).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        // The purged id goes first: a log that begins after it is whole, one that lacks it is not.
        let value = encode(&log_id)?;
        self.finished(|store, done| store.save_meta(self.group, META_PURGED, value, done, false)).await?;
        self.finished(|store, done| store.purge_to(self.group, log_id.index + 1, done)).await
    }
}
