//! One replica of a partition: the way of a request from the transport through latches, evaluation and Raft.

use crate::partition::{Partition, Settings};
use crate::rpc::{ItemWrite, PartitionCall, PartitionError, PartitionRequest, PartitionResponse, WriteDone};
use breakwater_consensus::{Group, Lead, ProposeError, ReadError};
use breakwater_types::SharedClock;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Writes of one partition under way at the same time; more are throttled before anything is done.
const WRITES_MAX: usize = 2_048;
const READS_MAX: usize = 1_024;

pub struct Replica {
    pub partition: Partition,
    pub group: Arc<Group>,
    clock: SharedClock,
    /// The leadership that was confirmed last. Good for evaluating: what is proposed under it when it has ended is
    /// refused. Never good for an answer that proposes nothing.
    lead: Mutex<Option<Lead>>,
    writes: Semaphore,
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
            writes: Semaphore::new(WRITES_MAX),
            reads: Semaphore::new(READS_MAX),
        })
    }

    pub fn settings() -> Settings {
        Settings::default()
    }

    /// Answers a call. A write goes on when its caller has gone: its latch is held until its outcome is known.
    pub async fn answer(
        self: Arc<Self>,
        call: PartitionCall,
        deadline: Instant,
    ) -> Result<PartitionResponse, PartitionError> {
        if call.table_id != self.partition.descriptor().table_id {
            return Err(PartitionError::WrongPartition);
        }
        match call.request {
            PartitionRequest::Write(write) => self.write_detached(write, deadline).await.map(PartitionResponse::Write),
            PartitionRequest::BatchWrite(writes) => {
                // The whole batch is told at once, so that the router goes on to the leader.
                if !self.group.is_leader() {
                    self.group.touch();
                    let hint = self.group.leader();
                    return Err(PartitionError::NotLeader { leader: hint.leader, term: hint.term });
                }
                let all = writes.into_iter().map(|write| self.write_detached(write, deadline));
                Ok(PartitionResponse::BatchWrite(futures::future::join_all(all).await))
            }
            request @ (PartitionRequest::Get(_) | PartitionRequest::Query(_) | PartitionRequest::Scan(_)) => {
                self.read(request).await
            }
        }
    }

    async fn read(self: Arc<Self>, request: PartitionRequest) -> Result<PartitionResponse, PartitionError> {
        let Ok(_permit) = self.reads.try_acquire() else { return Err(PartitionError::Throttled) };
        let consistent = match &request {
            PartitionRequest::Get(get) => get.consistent,
            PartitionRequest::Query(query) => query.consistent,
            PartitionRequest::Scan(scan) => scan.consistent,
            PartitionRequest::Write(_) | PartitionRequest::BatchWrite(_) => true,
        };
        if consistent && !cfg!(feature = "broken-follower-reads") {
            self.group.lead().await.map_err(read_error)?;
        }
        let small = matches!(&request, PartitionRequest::Get(get) if get.keys.len() <= 4);
        if small {
            // A look-up or two: cheaper here than on another thread.
            return self.partition.read(|| self.group.prefix(), &request);
        }
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.partition.read(|| this.group.prefix(), &request))
            .await
            .map_err(|e| PartitionError::NotApplied(format!("a read ended badly: {e}")))?
    }

    async fn write_detached(
        self: &Arc<Self>,
        write: ItemWrite,
        deadline: Instant,
    ) -> Result<WriteDone, PartitionError> {
        let this = self.clone();
        tokio::spawn(async move { this.write(write, deadline).await })
            .await
            .map_err(|e| PartitionError::Unknown(format!("a write ended badly: {e}")))?
    }

    async fn write(self: Arc<Self>, write: ItemWrite, deadline: Instant) -> Result<WriteDone, PartitionError> {
        let Ok(_permit) = self.writes.try_acquire() else { return Err(PartitionError::Throttled) };
        if !self.group.is_leader() {
            self.group.touch();
            let hint = self.group.leader();
            return Err(PartitionError::NotLeader { leader: hint.leader, term: hint.term });
        }
        let key = self.partition.latch_key(&write)?;
        let keys = [key];
        let _guard = match self.partition.latches().try_lock(&keys) {
            Some(guard) => guard,
            None => match tokio::time::timeout_at(deadline, self.partition.latches().lock(&keys)).await {
                Ok(guard) => guard,
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
        let evaluated = self.partition.evaluate(&self.group.prefix(), &write, self.clock.unix_ms());
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
        let command = self.partition.command(vec![effects]);
        if cfg!(feature = "broken-ack-before-quorum") {
            let (this, done) = (self.clone(), done);
            tokio::spawn(async move {
                let _guard = _guard;
                this.group.propose(lead, command).await
            });
            return Ok(done);
        }
        match self.group.propose(lead, command).await {
            Ok(applied) => self
                .partition
                .answers(&applied, vec![(write.request_id, done)])
                .pop()
                .unwrap_or_else(|| Err(PartitionError::Unknown("no answer".to_owned()))),
            Err(ProposeError::NotLeader(hint)) => {
                self.forget(lead);
                Err(PartitionError::NotLeader { leader: hint.leader, term: hint.term })
            }
            Err(ProposeError::Unknown(why)) => {
                self.forget(lead);
                Err(PartitionError::Unknown(why))
            }
            Err(ProposeError::Stopped(why)) => Err(PartitionError::Stopped(why)),
        }
    }

    fn forget(&self, lead: Lead) {
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
