//! Group commit: writes that are evaluated while a log entry is on its way share the next one.
//!
//! Nobody waits for company: a write that finds nothing under way leaves at once, alone if need be. Under load each
//! entry carries what came while the one before it was replicated, so the cost of an entry (three syncs, two
//! messages, Raft's own work: about a millisecond of CPU, a hundred times what one more write adds) is divided among
//! as many writes as there are waiting. One entry at a time: two halve the company and so double the cost.

use super::replica::Replica;
use crate::partition::Guard;
use crate::partition::command::Effects;
use crate::rpc::{PartitionError, WriteDone};
use breakwater_consensus::{Lead, ProposeError};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{Instrument, Span};

const ENTRY_WRITES_MAX: usize = 256;
/// Above this an entry takes no more; a single write may be larger.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// An evaluated write. Its latch and its permits are free when its outcome is known, whether or not its caller waits.
pub(super) struct Evaluated {
    pub(super) request_id: u128,
    pub(super) effects: Effects,
    pub(super) done: WriteDone,
    pub(super) lead: Lead,
    pub(super) latch: Guard,
    /// Of their number, and of their bytes.
    pub(super) permits: [OwnedSemaphorePermit; 2],
}

struct Waiting {
    write: Evaluated,
    /// Of the request, where it is traced.
    span: Span,
    answer: oneshot::Sender<Result<WriteDone, PartitionError>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    under_way: bool,
}

#[derive(Default)]
pub(super) struct Commits {
    queue: Mutex<Queue>,
}

/// The right to have an entry under way, given back also when the task that has it ends badly.
struct Turn {
    replica: Arc<Replica>,
    given_back: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.given_back {
            self.replica.commits.queue.lock().under_way = false;
        }
    }
}

impl Queue {
    /// The next entry's writes: those at the front that were evaluated under the same leadership.
    fn next_entry(&mut self) -> Vec<Waiting> {
        let Some(first) = self.waiting.first() else { return Vec::new() };
        let lead = first.write.lead;
        let mut bytes = 0;
        let fits = |waiting: &&Waiting| {
            let free = bytes < ENTRY_BYTES_MAX;
            bytes += waiting.write.effects.encoded_bytes_max();
            free && waiting.write.lead == lead
        };
        let count = self.waiting.iter().take(ENTRY_WRITES_MAX).take_while(fits).count();
        if count == self.waiting.len() {
            return std::mem::take(&mut self.waiting);
        }
        self.waiting.drain(..count).collect()
    }
}

impl Commits {
    /// Replicates a write with whatever others are there. From the call on it is done whether or not the answer is
    /// awaited.
    pub(super) fn commit(
        replica: &Arc<Replica>,
        write: Evaluated,
    ) -> impl Future<Output = Result<WriteDone, PartitionError>> + use<> {
        let (answer, answered) = oneshot::channel();
        let idle = {
            let mut queue = replica.commits.queue.lock();
            queue.waiting.push(Waiting { write, span: Span::current(), answer });
            !std::mem::replace(&mut queue.under_way, true)
        };
        if idle {
            tokio::spawn(drain(Turn { replica: replica.clone(), given_back: false }));
        }
        async move { answered.await.unwrap_or_else(|_| Err(PartitionError::Unknown("a write ended badly".to_owned()))) }
    }
}

async fn drain(mut turn: Turn) {
    loop {
        let entry = {
            let mut queue = turn.replica.commits.queue.lock();
            let entry = queue.next_entry();
            if entry.is_empty() {
                // Under the same lock: whoever queues after this finds nothing under way.
                queue.under_way = false;
                turn.given_back = true;
                return;
            }
            entry
        };
        turn.replica.replicate(entry).await;
    }
}

impl Replica {
    async fn replicate(&self, entry: Vec<Waiting>) {
        let Some(lead) = entry.first().map(|waiting| waiting.write.lead) else { return };
        let mut effects = Vec::with_capacity(entry.len());
        let mut done = Vec::with_capacity(entry.len());
        // Kept until the outcome is known.
        let mut held = Vec::with_capacity(entry.len());
        let mut answers = Vec::with_capacity(entry.len());
        // An entry belongs to one trace, that of its first traced write; the others link to it.
        let mut traced = Span::none();
        for Waiting { write, span, answer } in entry {
            if traced.is_none() {
                traced = span;
            } else {
                span.follows_from(&traced);
            }
            effects.push(write.effects);
            done.push((write.request_id, write.done));
            held.push((write.latch, write.permits));
            answers.push(answer);
        }
        let outcome = self.group.propose(lead, self.partition.command(effects)).instrument(traced).await;
        let results = match outcome {
            Ok(applied) => self.partition.answers(&applied, done),
            Err(e) => {
                if !matches!(e, ProposeError::Stopped(_)) {
                    self.forget(lead);
                }
                let error = match e {
                    ProposeError::NotLeader(hint) => PartitionError::NotLeader { leader: hint.leader, term: hint.term },
                    ProposeError::Unknown(why) => PartitionError::Unknown(why),
                    ProposeError::Stopped(why) => PartitionError::Stopped(why),
                    e @ ProposeError::TooLarge(_) => PartitionError::NotApplied(e.to_string()),
                };
                vec![Err(error); answers.len()]
            }
        };
        drop(held);
        for (answer, result) in answers.into_iter().zip(results) {
            // The caller may have stopped waiting.
            let _ = answer.send(result);
        }
    }
}
