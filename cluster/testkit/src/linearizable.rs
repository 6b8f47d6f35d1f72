//! Is a history of one register linearizable? The search of Wing and Gong with Lowe's memory of visited
//! configurations ("Testing for linearizability", 2017): take any operation that no unfinished one must precede, let
//! it take effect, go on; undo at a dead end. A configuration (which operations took effect, and the value) that was
//! seen before needn't be searched again. An operation that changes nothing and fits is taken at once: it would fit
//! nowhere better. One of unknown outcome is taken only where the next one tells that it was: otherwise it may as well
//! never have happened.

use crate::history::{Action, Operation, Outcome, Value, by_key};
use std::collections::HashSet;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    /// No order explains this key's history; the operations that the longest explanation left unexplained.
    Violation {
        key: u32,
        explained: usize,
        of: usize,
        stuck: Vec<Operation>,
    },
    /// The search was given up: too many configurations.
    TooLarge {
        key: u32,
    },
}

/// Bounds memory: a configuration takes a few dozen bytes.
const CONFIGURATIONS_MAX: usize = 5_000_000;

/// Checks every key; the first that fails is the answer.
pub fn check(operations: &[Operation]) -> Verdict {
    for (key, history) in by_key(operations) {
        let verdict = check_key(key, &history);
        if verdict != Verdict::Linearizable {
            return verdict;
        }
    }
    Verdict::Linearizable
}

/// What an operation does to the value if it takes effect now; none where what was observed forbids it.
fn step(operation: &Operation, value: Value) -> Option<Value> {
    let known = operation.outcome != Outcome::Unknown;
    match operation.action {
        Action::Read(seen) => (seen == value).then_some(value),
        Action::Write(new) => Some(new),
        Action::CompareAndSet { expected, new } => match operation.outcome {
            Outcome::Ok => (expected == value).then_some(new),
            Outcome::ConditionFailed => (expected != value).then_some(value),
            Outcome::Unknown | Outcome::Failed => Some(if expected == value { new } else { value }),
        },
        Action::Swap { new, seen } => (!known || seen == value).then_some(new),
        Action::Add { by, after } => {
            let sum = value.unwrap_or(0).checked_add(by)?;
            (!known || sum == after).then_some(Some(sum))
        }
    }
}

/// Whether an operation is sure to have changed nothing.
fn only_observes(operation: &Operation) -> bool {
    match operation.outcome {
        Outcome::ConditionFailed => true,
        Outcome::Ok => matches!(operation.action, Action::Read(_)),
        Outcome::Failed | Outcome::Unknown => false,
    }
}

/// What one key's clients did, in order of their starts; those of unknown outcome never end.
struct Search {
    operations: Vec<Operation>,
    done: Vec<u64>,
    /// Every operation before this one is done.
    first: usize,
}

/// A place in the search: what could be next, how much of it was tried, and the value then.
struct Place {
    choices: Vec<usize>,
    tried: usize,
    value: Value,
}

/// What took effect, the value, and the one before where an operation of unknown outcome came last.
type Configuration = (Vec<u64>, Value, Option<Value>);

impl Search {
    fn is_done(&self, i: usize) -> bool {
        self.done[i / 64] >> (i % 64) & 1 == 1
    }

    fn flip(&mut self, i: usize) {
        self.done[i / 64] ^= 1 << (i % 64);
    }

    fn is_known(&self, i: usize) -> bool {
        self.operations[i].outcome != Outcome::Unknown
    }

    fn place(&mut self, value: Value, before: Option<Value>) -> Place {
        while self.first < self.operations.len() && self.is_done(self.first) {
            self.first += 1;
        }
        let mut choices = Vec::new();
        let mut end_min = u64::MAX;
        // Candidates begin before the first end among the unfinished.
        for (i, operation) in self.operations.iter().enumerate().skip(self.first) {
            if operation.start_ns > end_min {
                break;
            }
            if self.is_done(i) {
                continue;
            }
            end_min = end_min.min(operation.end_ns);
            let after = step(operation, value);
            if after.is_some() && before.is_none_or(|before| step(operation, before) != after) {
                if only_observes(operation) {
                    return Place { choices: vec![i], tried: 0, value };
                }
                choices.push(i);
            }
        }
        // What may never have happened comes last: most of it did when its client was told nothing, or not at all.
        choices.sort_by_key(|i| !self.is_known(*i));
        Place { choices, tried: 0, value }
    }

    fn unexplained(&self) -> Vec<Operation> {
        let left = (0..self.operations.len()).filter(|i| !self.is_done(*i) && self.is_known(*i));
        left.map(|i| self.operations[i]).take(8).collect()
    }
}

fn check_key(key: u32, history: &[Operation]) -> Verdict {
    // What failed did nothing; a read without an answer says nothing.
    let mut operations: Vec<Operation> = history
        .iter()
        .filter(|o| o.outcome != Outcome::Failed)
        .filter(|o| !(matches!(o.action, Action::Read(_)) && o.outcome != Outcome::Ok))
        .copied()
        .collect();
    for operation in &mut operations {
        if operation.outcome == Outcome::Unknown {
            operation.end_ns = u64::MAX;
        }
    }
    operations.sort_by_key(|o| (o.start_ns, o.end_ns));
    let must = operations.iter().filter(|o| o.outcome != Outcome::Unknown).count();
    let done = vec![0u64; operations.len().div_ceil(64)];
    let mut search = Search { operations, done, first: 0 };
    let mut explained = 0;
    let mut best = (0, search.unexplained());
    let mut seen: HashSet<Configuration> = HashSet::new();
    let mut path = vec![search.place(None, None)];
    while explained < must {
        let Some(place) = path.last_mut() else {
            return Verdict::Violation { key, explained: best.0, of: must, stuck: best.1 };
        };
        let Some(&i) = place.choices.get(place.tried) else {
            path.pop();
            // Undoes what led here.
            if let Some(before) = path.last() {
                let i = before.choices[before.tried - 1];
                search.flip(i);
                search.first = search.first.min(i);
                explained -= usize::from(search.is_known(i));
            }
            continue;
        };
        place.tried += 1;
        let Some(after) = step(&search.operations[i], place.value) else { continue };
        let before = (!search.is_known(i)).then_some(place.value);
        search.flip(i);
        if !seen.insert((search.done.clone(), after, before)) {
            search.flip(i);
            continue;
        }
        if seen.len() > CONFIGURATIONS_MAX {
            return Verdict::TooLarge { key };
        }
        explained += usize::from(search.is_known(i));
        if explained > best.0 {
            best = (explained, search.unexplained());
        }
        let next = search.place(after, before);
        path.push(next);
    }
    Verdict::Linearizable
}

#[cfg(test)]
mod tests;
