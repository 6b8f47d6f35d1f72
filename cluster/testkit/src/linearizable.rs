//! Is a history of one register linearizable? The search of Wing and Gong with Lowe's memory of visited
//! configurations ("Testing for linearizability", 2017): take any operation that no unfinished one must precede, let
//! it take effect, go on; undo at a dead end. A configuration (which operations took effect, and the value) that was
//! seen before needn't be searched again.

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
    match (operation.action, operation.outcome) {
        (Action::Read(seen), Outcome::Ok) => (seen == value).then_some(value),
        (Action::Write(new), _) => Some(new),
        (Action::CompareAndSet { expected, new }, Outcome::Ok) => (expected == value).then_some(new),
        (Action::CompareAndSet { expected, .. }, Outcome::ConditionFailed) => (expected != value).then_some(value),
        (Action::CompareAndSet { expected, new }, _) => Some(if expected == value { new } else { value }),
        (Action::Read(_), _) => Some(value),
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
    let n = operations.len();
    let must = operations.iter().filter(|o| o.outcome != Outcome::Unknown).count();
    let mut done = vec![0u64; n.div_ceil(64)];
    let is_done = |done: &[u64], i: usize| done[i / 64] >> (i % 64) & 1 == 1;
    let mut value: Value = None;
    let mut explained = 0;
    let mut best = (0, Vec::new());
    let mut seen: HashSet<(Vec<u64>, Value)> = HashSet::new();
    // The operations taken, with the value before, and where the search goes on when they are undone.
    let mut path: Vec<(usize, Value)> = Vec::new();
    let mut first = 0; // every operation before this one is done
    let mut next = 0;
    loop {
        if explained == must {
            return Verdict::Linearizable;
        }
        while first < n && is_done(&done, first) {
            first += 1;
        }
        // Candidates begin before the first end among the unfinished.
        let mut taken = None;
        let mut end_min = u64::MAX;
        for i in first..n {
            let operation = &operations[i];
            if operation.start_ns > end_min {
                break;
            }
            if is_done(&done, i) {
                continue;
            }
            if i >= next
                && let Some(after) = step(operation, value)
            {
                let mut configuration = done.clone();
                configuration[i / 64] |= 1 << (i % 64);
                if seen.insert((configuration.clone(), after)) {
                    taken = Some((i, configuration, after));
                    break;
                }
                if seen.len() > CONFIGURATIONS_MAX {
                    return Verdict::TooLarge { key };
                }
            }
            end_min = end_min.min(operation.end_ns);
        }
        match taken {
            Some((i, configuration, after)) => {
                path.push((i, value));
                done = configuration;
                value = after;
                next = 0;
                if operations[i].outcome != Outcome::Unknown {
                    explained += 1;
                    if explained > best.0 {
                        let stuck = operations
                            .iter()
                            .enumerate()
                            .filter(|(j, o)| !is_done(&done, *j) && o.outcome != Outcome::Unknown)
                            .map(|(_, o)| *o)
                            .take(8)
                            .collect();
                        best = (explained, stuck);
                    }
                }
            }
            None => {
                let Some((i, before)) = path.pop() else {
                    return Verdict::Violation { key, explained: best.0, of: must, stuck: best.1 };
                };
                done[i / 64] &= !(1 << (i % 64));
                value = before;
                if operations[i].outcome != Outcome::Unknown {
                    explained -= 1;
                }
                first = first.min(i);
                next = i + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn op(start: u64, end: u64, action: Action, outcome: Outcome) -> Operation {
        Operation { key: 1, start_ns: start, end_ns: end, action, outcome }
    }
    use Action::{CompareAndSet, Read, Write};
    use Outcome::{ConditionFailed, Failed, Ok as Done, Unknown};

    #[test]
    fn right_histories_pass() {
        let histories = [
            vec![op(0, 1, Write(Some(1)), Done), op(2, 3, Read(Some(1)), Done)],
            // A read beside a write may see either.
            vec![op(0, 9, Write(Some(1)), Done), op(2, 3, Read(None), Done), op(4, 5, Read(Some(1)), Done)],
            // An unknown write may come late.
            vec![op(0, 1, Write(Some(1)), Unknown), op(2, 3, Read(None), Done), op(4, 5, Read(Some(1)), Done)],
            vec![op(0, 1, Write(Some(1)), Unknown), op(2, 3, Read(None), Done)],
            vec![
                op(0, 1, Write(Some(1)), Done),
                op(2, 5, CompareAndSet { expected: Some(1), new: Some(2) }, Done),
                op(2, 5, CompareAndSet { expected: Some(1), new: Some(3) }, ConditionFailed),
                op(6, 7, Read(Some(2)), Done),
            ],
        ];
        for history in histories {
            assert_eq!(check(&history), Verdict::Linearizable, "{history:?}");
        }
    }

    #[test]
    fn wrong_histories_are_caught() {
        let histories = [
            // Lost write.
            vec![op(0, 1, Write(Some(1)), Done), op(2, 3, Read(None), Done)],
            // Stale read: new, then old.
            vec![op(0, 9, Write(Some(1)), Done), op(2, 3, Read(Some(1)), Done), op(4, 5, Read(None), Done)],
            // A write that failed was seen.
            vec![op(0, 1, Write(Some(1)), Failed), op(2, 3, Read(Some(1)), Done)],
            // Two successors of one value.
            vec![
                op(0, 1, Write(Some(1)), Done),
                op(2, 5, CompareAndSet { expected: Some(1), new: Some(2) }, Done),
                op(2, 5, CompareAndSet { expected: Some(1), new: Some(3) }, Done),
            ],
            // An unknown write took effect, went away and came again.
            vec![
                op(0, 1, Write(Some(1)), Unknown),
                op(2, 3, Read(Some(1)), Done),
                op(4, 5, Write(Some(2)), Done),
                op(6, 7, Read(Some(1)), Done),
            ],
            // A condition that failed though it held all the time.
            vec![
                op(0, 1, Write(Some(1)), Done),
                op(2, 3, CompareAndSet { expected: Some(1), new: Some(2) }, ConditionFailed),
            ],
        ];
        for history in histories {
            assert!(matches!(check(&history), Verdict::Violation { .. }), "{history:?}");
        }
    }

    /// Histories made by a real register: each operation takes effect at one moment between its start and its end.
    fn real() -> impl Strategy<Value = Vec<Operation>> {
        prop::collection::vec((0u64..400, 0u64..40, 0u64..40, 0u8..12, 0u64..5, any::<bool>()), 1..40).prop_map(|raw| {
            let mut timed: Vec<_> = raw;
            timed.sort();
            let mut value: Value = None;
            timed
                .into_iter()
                .map(|(at, before, after, kind, v, lost)| {
                    // Effects at distinct moments, in order.
                    let (action, outcome) = match kind {
                        0..=4 => (Read(value), Done),
                        5..=7 => {
                            value = Some(v);
                            (Write(value), Done)
                        }
                        8..=10 => {
                            let expected = Some(v);
                            let new = Some(v + 1);
                            if value == expected {
                                value = new;
                                (CompareAndSet { expected, new }, Done)
                            } else {
                                (CompareAndSet { expected, new }, ConditionFailed)
                            }
                        }
                        _ => {
                            if !lost {
                                value = Some(v);
                            }
                            (Write(Some(v)), Unknown)
                        }
                    };
                    op((at * 10).saturating_sub(before), at * 10 + after, action, outcome)
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn what_a_register_did_is_linearizable(history in real()) {
            prop_assert_eq!(check(&history), Verdict::Linearizable);
        }

        #[test]
        fn a_value_that_was_never_written_is_caught(history in real()) {
            let mut history = history;
            let end = history.iter().map(|o| o.end_ns).max().unwrap_or(0);
            history.push(op(end + 1, end + 2, Read(Some(999)), Done));
            let caught = matches!(check(&history), Verdict::Violation { .. });
            prop_assert!(caught);
        }
    }
}
