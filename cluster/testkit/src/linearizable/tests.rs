//! Histories that are right and that are wrong, by hand, by a register, and by an exhaustive search.

use super::*;
use proptest::prelude::*;

fn op(start: u64, end: u64, action: Action, outcome: Outcome) -> Operation {
    Operation { key: 1, start_ns: start, end_ns: end, action, outcome }
}
use Action::{Add, CompareAndSet, Read, Swap, Write};
use Outcome::{ConditionFailed, Failed, Ok as Done, Unknown};

fn cas(expected: u64, new: u64) -> Action {
    CompareAndSet { expected: Some(expected), new: Some(new) }
}

#[test]
fn right_histories_pass() {
    let histories = [
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, Read(Some(1)), Done)],
        // A read beside a write may see either.
        vec![op(0, 9, Write(Some(1)), Done), op(2, 3, Read(None), Done), op(4, 5, Read(Some(1)), Done)],
        // An unknown write that came late, and one that never came.
        vec![op(0, 1, Write(Some(1)), Unknown), op(2, 3, Read(None), Done), op(4, 5, Read(Some(1)), Done)],
        vec![op(0, 1, Write(Some(1)), Unknown), op(2, 3, Read(None), Done)],
        // Late, even after a write that began after its client had given up.
        vec![
            op(0, 1, Write(Some(1)), Unknown),
            op(2, 3, Write(Some(2)), Done),
            op(4, 5, Read(Some(2)), Done),
            op(6, 7, Read(Some(1)), Done),
        ],
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 5, cas(1, 2), Done),
            op(2, 5, cas(1, 3), ConditionFailed),
            op(6, 7, Read(Some(2)), Done),
        ],
        // An unknown delete explains a read that finds nothing.
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 3, Write(None), Unknown),
            op(4, 5, Read(Some(1)), Done),
            op(6, 7, Read(None), Done),
        ],
        // A condition may have failed by an unknown write that is never seen again.
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 3, Write(Some(2)), Unknown),
            op(4, 5, cas(1, 3), ConditionFailed),
            op(6, 7, Write(Some(4)), Done),
            op(8, 9, Read(Some(4)), Done),
        ],
        // Counters: from nothing, beside each other, after an unknown step.
        vec![
            op(0, 5, Add { by: 1, after: 3 }, Done),
            op(0, 5, Add { by: 2, after: 2 }, Done),
            op(6, 7, Add { by: 4, after: 0 }, Unknown),
            op(8, 9, Add { by: 1, after: 8 }, Done),
        ],
        vec![op(0, 5, Swap { new: Some(2), seen: Some(1) }, Done), op(0, 5, Write(Some(1)), Done)],
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
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, Write(Some(2)), Done), op(4, 5, Read(Some(1)), Done)],
        // Lost update: two steps of a counter that both came from the same value.
        vec![
            op(0, 1, Write(Some(10)), Done),
            op(2, 5, Add { by: 1, after: 11 }, Done),
            op(2, 5, Add { by: 1, after: 11 }, Done),
        ],
        vec![
            op(0, 1, Write(Some(10)), Done),
            op(2, 3, Add { by: 1, after: 11 }, Done),
            op(4, 5, Add { by: 2, after: 13 }, Done),
            op(6, 7, Read(Some(12)), Done),
        ],
        // A step that was done twice.
        vec![op(0, 1, Add { by: 5, after: 5 }, Done), op(2, 3, Read(Some(10)), Done)],
        vec![op(0, 1, Add { by: 5, after: 0 }, Unknown), op(2, 3, Read(Some(10)), Done)],
        // Stale read: new, then old.
        vec![op(0, 9, Write(Some(1)), Done), op(2, 3, Read(Some(1)), Done), op(4, 5, Read(None), Done)],
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 9, Write(Some(2)), Done),
            op(3, 4, Read(Some(2)), Done),
            op(5, 6, Read(Some(1)), Done),
        ],
        // Resurrected: deleted, then there again.
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, Write(None), Done), op(4, 5, Read(Some(1)), Done)],
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 3, CompareAndSet { expected: Some(1), new: None }, Done),
            op(4, 5, Add { by: 1, after: 2 }, Done),
        ],
        // A write that failed was seen.
        vec![op(0, 1, Write(Some(1)), Failed), op(2, 3, Read(Some(1)), Done)],
        // A conditional write whose condition failed was done all the same.
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, cas(7, 9), ConditionFailed), op(4, 5, Read(Some(9)), Done)],
        // Two successors of one value.
        vec![op(0, 1, Write(Some(1)), Done), op(2, 5, cas(1, 2), Done), op(2, 5, cas(1, 3), Done)],
        // Two who replaced the same value.
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 5, Swap { new: Some(2), seen: Some(1) }, Done),
            op(2, 5, Swap { new: Some(3), seen: Some(1) }, Done),
        ],
        // An unknown write took effect, went away and came again.
        vec![
            op(0, 1, Write(Some(1)), Unknown),
            op(2, 3, Read(Some(1)), Done),
            op(4, 5, Write(Some(2)), Done),
            op(6, 7, Read(Some(1)), Done),
        ],
        // An unknown write was seen before it was sent.
        vec![op(0, 1, Read(Some(1)), Done), op(2, 3, Write(Some(1)), Unknown)],
        // An unknown conditional write was done though its condition never held.
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, cas(7, 9), Unknown), op(4, 5, Read(Some(9)), Done)],
        // An unknown delete was seen, and what it deleted came back.
        vec![
            op(0, 1, Write(Some(1)), Done),
            op(2, 3, Write(None), Unknown),
            op(4, 5, Read(None), Done),
            op(6, 7, Read(Some(1)), Done),
        ],
        // A condition that failed though it held all the time.
        vec![op(0, 1, Write(Some(1)), Done), op(2, 3, cas(1, 2), ConditionFailed)],
    ];
    for history in histories {
        assert!(matches!(check(&history), Verdict::Violation { .. }), "{history:?}");
    }
}

#[test]
fn a_violation_names_its_key_and_what_is_left() {
    let on = |key: u32, o: Operation| Operation { key, ..o };
    let lost = op(2, 3, Read(None), Done);
    let history = [
        on(1, op(0, 1, Write(Some(1)), Done)),
        on(1, op(2, 3, Read(Some(1)), Done)),
        on(2, op(0, 1, Write(Some(1)), Done)),
        on(2, lost),
    ];
    let Verdict::Violation { key, explained, of, stuck } = check(&history) else { panic!("not caught") };
    assert_eq!((key, explained, of, stuck), (2, 1, 2, vec![on(2, lost)]));
}

#[test]
fn hundreds_of_operations_with_dozens_unknown_are_checked_and_one_lost_write_among_them_is_found() {
    // Six clients at a time, every fifteenth operation unknown, half of those done.
    let mut value = None;
    let mut history = Vec::new();
    for n in 0..600u64 {
        let at = n * 10;
        let (start, end) = (at.saturating_sub(25 + n % 7), at + 25 + n % 3);
        let one = match n % 15 {
            14 => {
                if n % 30 == 14 {
                    value = Some(n);
                }
                op(start, end, Write(Some(n)), Unknown)
            }
            0..5 => op(start, end, Read(value), Done),
            5 => {
                let seen = value.replace(n);
                op(start, end, Swap { new: Some(n), seen }, Done)
            }
            6 => {
                let after = value.unwrap_or(0) + 1_000_000;
                value = Some(after);
                op(start, end, Add { by: 1_000_000, after }, Done)
            }
            7 => {
                value = None;
                op(start, end, Write(None), Done)
            }
            _ => {
                value = Some(n);
                op(start, end, Write(Some(n)), Done)
            }
        };
        history.push(one);
    }
    assert_eq!(check(&history), Verdict::Linearizable);
    // The last but one of the known values comes back at the end.
    let end = history.iter().map(|o| o.end_ns).max().unwrap_or(0);
    history.push(op(end + 1, end + 2, Write(Some(7_777)), Done));
    history.push(op(end + 3, end + 4, Read(value), Done));
    assert!(matches!(check(&history), Verdict::Violation { .. }));
}

/// What a history means, with no cleverness: some order of all that are known and any of the unknown, in which none
/// comes before one that had ended when it began, and which a register can go through.
fn possible(left: &[Operation], value: Value) -> bool {
    if left.iter().all(|o| o.outcome == Unknown || o.outcome == Failed) {
        return true;
    }
    left.iter().enumerate().any(|(i, o)| {
        let first = left.iter().all(|other| matches!(other.outcome, Unknown | Failed) || other.end_ns >= o.start_ns);
        if !first || o.outcome == Failed {
            return false;
        }
        let after = match (o.action, o.outcome) {
            (Read(_), Unknown) => Some(value),
            (Read(seen), _) if seen != value => None,
            (Read(_), _) => Some(value),
            (Write(new), _) => Some(new),
            (CompareAndSet { expected, .. }, ConditionFailed) if expected == value => None,
            (CompareAndSet { .. }, ConditionFailed) => Some(value),
            (CompareAndSet { expected, new }, _) if expected == value => Some(new),
            (CompareAndSet { .. }, Unknown) => Some(value),
            (CompareAndSet { .. }, _) => None,
            (Swap { seen, .. }, Done) if seen != value => None,
            (Swap { new, .. }, _) => Some(new),
            (Add { by, after }, Done) if value.unwrap_or(0) + by != after => None,
            (Add { by, .. }, _) => Some(Some(value.unwrap_or(0) + by)),
        };
        let rest = [&left[..i], &left[i + 1..]].concat();
        after.is_some_and(|after| possible(&rest, after))
    })
}

/// Few values and short histories, so that about as many are right as are wrong.
fn any_history() -> impl Strategy<Value = Vec<Operation>> {
    let value = || prop_oneof![Just(None), (1u64..4).prop_map(Some)];
    let action = prop_oneof![
        value().prop_map(Read),
        value().prop_map(Read),
        value().prop_map(Write),
        (value(), value()).prop_map(|(expected, new)| CompareAndSet { expected, new }),
        (value(), value()).prop_map(|(new, seen)| Swap { new, seen }),
        (1u64..3, 1u64..6).prop_map(|(by, after)| Add { by, after }),
    ];
    let one = (0u64..12, 0u64..8, action, 0u8..8).prop_map(|(start, lasts, action, how)| {
        let outcome = match (how, action) {
            (0, _) => Failed,
            (1 | 2, _) => Unknown,
            (3, CompareAndSet { .. }) => ConditionFailed,
            _ => Done,
        };
        op(start, start + lasts, action, outcome)
    });
    prop::collection::vec(one, 1..7)
}

/// Histories made by a real register: each operation takes effect at one moment between its start and its end.
fn real() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec((0u64..400, 0u64..40, 0u64..40, 0u8..16, 0u64..5, any::<bool>()), 1..40).prop_map(|raw| {
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
                    11 => (Swap { new: None, seen: value.take() }, Done),
                    12 | 13 => {
                        let sum = value.unwrap_or(0) + v;
                        value = Some(sum);
                        (Add { by: v, after: sum }, Done)
                    }
                    14 => {
                        if !lost {
                            value = Some(value.unwrap_or(0) + v);
                        }
                        (Add { by: v, after: 0 }, Unknown)
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]
    #[test]
    fn the_search_agrees_with_trying_every_order(history in any_history()) {
        let right = possible(&history, None);
        prop_assert_eq!(check(&history) == Verdict::Linearizable, right, "{:?}", history);
    }
}
