//! One replica of a partition: the way of a request from the transport through latches, evaluation and Raft.

use super::commits::{Commits, Evaluated};
use crate::partition::{Partition, Settings};
use crate::rpc::{ItemWrite, PartitionCall, PartitionError, PartitionRequest, PartitionResponse, WriteDone};
use breakwater_consensus::{Group, Lead, ReadError};
use breakwater_types::SharedClock;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Writes of one partition under way at the same time; more are throttled before anything is done.
const WRITES_MAX: usize = 2_048;
/// What these writes may hold of memory; a leader without a quorum keeps them until it knows their outcome.
const WRITES_BYTES_MAX: usize = 64 << 20;
const READS_MAX: usize = 1_024;

pub struct Replica {
    pub partition: Partition,
    pub group: Arc<Group>,
    clock: SharedClock,
    /// The leadership that was confirmed last. Good for evaluating: what is proposed under it when it has ended is
    /// refused. Never good for an answer that proposes nothing.
    lead: Mutex<Option<Lead>>,
    writes: Arc<Semaphore>,
    write_bytes: Arc<Semaphore>,
    pub(super) commits: Commits,
    reads: Semaphore,
}

fn read_error(e: ReadError) -> PartitionError {
    match e {
        ReadError::NotLeader(hint) => PartitionError::NotLeader { leader: hint.leader, term: hint.term },
        // Without a quorum it may lead no more: somebody else may.
        ReadError::NotConfirmed(_) => PartitionError::NotLeader { leader: None, term: 0 },
        ReadError::Stopped(why) => PartitionError::Stopped(why),
    }
}

impl Replica {
    pub fn new(partition: Partition, group: Arc<Group>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Replica {
            partition,
            group,
            clock,
            lead: Mutex::new(None),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            write_bytes: Arc::new(Semaphore::new(WRITES_BYTES_MAX)),
            commits: Commits::default(),
            reads: Semaphore::new(READS_MAX),
        })
    }

    pub fn settings() -> Settings {
        Settings::default()
    }

    /// Answers a call.
    pub async fn answer(
        self: &Arc<Self>,
        call: &PartitionCall,
        deadline: Instant,
    ) -> Result<PartitionResponse, PartitionError> {
        if call.table_id != self.partition.descriptor().table_id {
            return Err(PartitionError::WrongPartition);
        }
        match &call.request {
            PartitionRequest::Write(write) => self.write(write, deadline).await.map(PartitionResponse::Write),
            PartitionRequest::BatchWrite(writes) => {
                // The whole batch is told at once, so that the router goes on to the leader.
                if !self.group.is_leader() {
                    self.group.touch();
                    let hint = self.group.leader();
                    return Err(PartitionError::NotLeader { leader: hint.leader, term: hint.term });
                }
                let all = writes.iter().map(|write| self.write(write, deadline));
                Ok(PartitionResponse::BatchWrite(futures::future::join_all(all).await))
            }
            request @ (PartitionRequest::Get(_) | PartitionRequest::Query(_) | PartitionRequest::Scan(_)) => {
                self.read(request).await
            }
        }
    }

    async fn read(self: &Arc<Self>, request: &PartitionRequest) -> Result<PartitionResponse, PartitionError> {
        let Ok(_permit) = self.reads.try_acquire() else { return Err(PartitionError::Throttled) };
        let consistent = match request {
            PartitionRequest::Get(get) => get.consistent,
            PartitionRequest::Query(query) => query.consistent,
            PartitionRequest::Scan(scan) => scan.consistent,
            PartitionRequest::Write(_) | PartitionRequest::BatchWrite(_) => true,
        };
        if !consistent && !self.group.is_voter() {
            // What it has not learnt yet it would call absent, however long ago it was written: that isn't staleness.
            return Err(PartitionError::NotLeader { leader: None, term: 0 });
        }
        if consistent && !cfg!(feature = "broken-follower-reads") {
            self.group.lead().await.map_err(read_error)?;
        }
        let small = matches!(request, PartitionRequest::Get(get) if get.keys.len() <= 4);
        if small {
            // A look-up or two: cheaper here than on another thread.
            return self.partition.read(|| self.group.prefix(), request);
        }
        let (this, request) = (self.clone(), request.clone());
        tokio::task::spawn_blocking(move || this.partition.read(|| this.group.prefix(), &request))
            .await
            .map_err(|e| PartitionError::NotApplied(format!("a read ended badly: {e}")))?
    }

    /// From the proposal on a write goes on also when its caller has gone: latch and permit go with it.
    async fn write(self: &Arc<Self>, write: &ItemWrite, deadline: Instant) -> Result<WriteDone, PartitionError> {
        let Ok(permit) = self.writes.clone().try_acquire_owned() else { return Err(PartitionError::Throttled) };
        if !self.group.is_leader() {
            self.group.touch();
            let hint = self.group.leader();
            return Err(PartitionError::NotLeader { leader: hint.leader, term: hint.term });
        }
        let key = self.partition.latch_key(write)?;
        let keys = [key];
        let latch = match self.partition.latches().try_lock(&keys) {
            Some(latch) => latch,
            None => match tokio::time::timeout_at(deadline, self.partition.latches().lock(&keys)).await {
                Ok(latch) => latch,
                Err(_) => return Err(PartitionError::NotApplied("the item was busy until the deadline".to_owned())),
            },
        };
        let known = *self.lead.lock();
        let lead = match known {
            Some(lead) => lead,
            None => {
                let lead = self.group.lead().await.map_err(read_error)?;
                *self.lead.lock() = Some(lead);
                lead
            }
        };
        let evaluated = self.partition.evaluate(&self.group.prefix(), write, self.clock.unix_ms());
        let (done, effects) = match evaluated {
            Ok(evaluated) => match evaluated.effects {
                Some(effects) => (evaluated.done, effects),
                None => {
                    self.confirm(lead).await?;
                    return Ok(evaluated.done);
                }
            },
            // Each of these may come from the item as it was read.
            Err(
                e @ (PartitionError::ConditionalCheckFailed { .. }
                | PartitionError::Validation(_)
                | PartitionError::ItemCollectionSizeLimitExceeded),
            ) => {
                self.confirm(lead).await?;
                return Err(e);
            }
            Err(e) => return Err(e),
        };
        let bytes = u32::try_from(effects.encoded_bytes_max()).map_err(|_| PartitionError::Throttled)?;
        let Ok(bytes) = self.write_bytes.clone().try_acquire_many_owned(bytes) else {
            return Err(PartitionError::Throttled);
        };
        let permits = [permit, bytes];
        let evaluated = Evaluated { request_id: write.request_id, effects, done, lead, latch, permits };
        if cfg!(feature = "broken-ack-before-quorum") {
            let done = evaluated.done.clone();
            tokio::spawn(Commits::commit(self, evaluated));
            return Ok(done);
        }
        Commits::commit(self, evaluated).await
    }

    pub(super) fn forget(&self, lead: Lead) {
        let mut known = self.lead.lock();
        if *known == Some(lead) {
            *known = None;
        }
    }

    /// An answer that proposes nothing is a read: it holds only if the leadership under which it was evaluated is
    /// still the one now.
    async fn confirm(&self, evaluated_under: Lead) -> Result<(), PartitionError> {
        let now = self.group.lead().await.map_err(|e| {
            self.forget(evaluated_under);
            read_error(e)
        })?;
        if now == evaluated_under {
            return Ok(());
        }
        *self.lead.lock() = Some(now);
        Err(PartitionError::NotApplied("leadership changed meanwhile".to_owned()))
    }
}
