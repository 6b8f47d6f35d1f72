//! What clients did to one key, and what they were told.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A register's value: none where there is no item.
pub type Value = Option<u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Puts or deletes.
    Write(Value),
    /// A strongly consistent read and what it saw.
    Read(Value),
    /// A conditional write: `expected` before, `new` after.
    CompareAndSet { expected: Value, new: Value },
    /// A write that tells what it replaced.
    Swap { new: Value, seen: Value },
    /// A counter's step, from 0 where there is no item, and what it came to. Done twice, it shows.
    Add { by: u64, after: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Ok,
    /// The condition was found false: it must have been.
    ConditionFailed,
    /// An error that says that nothing was done.
    Failed,
    /// No answer, or one that leaves it open: it may take effect at any later time, or never.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub key: u32,
    /// Nanoseconds on one clock for all clients.
    pub start_ns: u64,
    pub end_ns: u64,
    pub action: Action,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub ok: usize,
    pub failed: usize,
    pub unknown: usize,
}

impl Counts {
    /// Per cent of what reached the region at all, so that refused connections make nothing look better.
    pub fn unknown_share(&self) -> f64 {
        self.unknown as f64 * 100.0 / (self.ok + self.unknown).max(1) as f64
    }
}

pub fn counts(operations: &[Operation]) -> Counts {
    let mut counts = Counts::default();
    for operation in operations {
        match operation.outcome {
            Outcome::Ok | Outcome::ConditionFailed => counts.ok += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Unknown => counts.unknown += 1,
        }
    }
    counts
}

/// The histories of single keys: what is linearizable for each key is linearizable as a whole (Herlihy and Wing).
pub fn by_key(operations: &[Operation]) -> BTreeMap<u32, Vec<Operation>> {
    let mut keys: BTreeMap<u32, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(operation.key).or_default().push(*operation);
    }
    keys
}
