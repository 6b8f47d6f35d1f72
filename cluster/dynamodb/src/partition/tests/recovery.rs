//! Retries, crashes, snapshots: what is acknowledged stays, and nothing is done twice.

use super::*;
use breakwater_storage::Direction;

fn add(request_id: u128, by: i64) -> ItemWrite {
    let update = update("ADD v :v", &[(":v", n(by))]);
    let return_values = ReturnValues::UpdatedNew;
    ItemWrite { return_values, ..write(request_id, WriteAction::Update { key: key_of("x", 1), update }) }
}

fn value(replica: &Replica) -> Option<AttributeValue> {
    replica.get("x", 1).and_then(|item| item.get("v").cloned())
}

#[test]
fn a_retry_is_answered_as_the_first_attempt_was() {
    let mut replica = Replica::new(indexed());
    let first = replica.write(&add(1, 5)).unwrap();
    replica.write(&add(2, 1)).unwrap();
    let logged = replica.log.len();
    for crash in [false, true] {
        if crash {
            replica.crash();
        }
        let again = replica.write(&ItemWrite { age_ms: 500, ..add(1, 5) }).unwrap();
        assert_eq!((again, replica.log.len()), (first.clone(), logged));
        assert_eq!(value(&replica), Some(n(6)));
    }
}

/// The first wall is the evaluation; should it ever have a hole, applying is the second.
#[test]
fn effects_that_stand_twice_in_the_log_are_applied_once() {
    let mut replica = Replica::new(indexed());
    let effects = replica.evaluate(&add(1, 5)).unwrap();
    let command = replica.partition.command(vec![effects.effects.unwrap()]);
    replica.log.push(command.clone());
    replica.apply_log();
    replica.write(&add(2, 1)).unwrap();
    replica.log.push(command);
    let result = replica.apply_log().pop().unwrap();
    assert_eq!(ApplyResult::decode(&result).unwrap().duplicates, [0]);
    let answers = replica.partition.answers(&result, vec![(1, WriteDone::default())]);
    assert_eq!(answers, [Ok(effects.done)]);
    assert_eq!(value(&replica), Some(n(6)));
    assert_eq!(replica.partition.machine().totals().items, 1);
}

#[test]
fn a_retry_that_may_be_forgotten_is_never_applied() {
    let retention = Retention { changes_max: 4, ..Retention::default() };
    let mut replica = Replica::with(plain(), Settings { retention, ..Settings::default() });
    replica.write(&add(1, 5)).unwrap();
    for id in 2..12 {
        replica.clock.advance_ms(1_000);
        replica.write(&add(id, 1)).unwrap();
    }
    // However the wall clock is set, and whoever it is that forgot.
    for (crash, jump_ms) in [(false, 0), (false, 3_600_000), (false, -7_200_000), (false, 3_600_000), (true, 0)] {
        replica.clock.jump_ms(jump_ms);
        if crash {
            replica.crash();
        }
        let retry = replica.write(&ItemWrite { age_ms: 10_000, ..add(1, 5) });
        assert!(matches!(retry, Err(PartitionError::Unknown(_))), "{retry:?}");
        assert_eq!(replica.partition.machine().last_sequence(), 11);
    }
    // One that would be remembered, if it had been applied, is done.
    replica.clock.advance_ms(10_000);
    replica.write(&ItemWrite { age_ms: 100, ..add(12, 100) }).unwrap();
    assert_eq!(value(&replica), Some(n(115)));
}

#[test]
fn what_is_old_is_forgotten_with_the_next_command() {
    let mut replica = Replica::new(plain());
    for id in 1..=3 {
        replica.write(&add(id, 1)).unwrap();
    }
    replica.clock.jump_ms(3_600_000);
    replica.write(&add(4, 1)).unwrap();
    assert!(replica.partition.machine().remembered(1).is_some(), "only the wall clock says that it is old");
    replica.clock.advance_ms(61_000);
    replica.write(&add(5, 1)).unwrap();
    assert!(replica.partition.machine().remembered(3).is_none());
    assert!(replica.partition.machine().remembered(5).is_some());
}

/// Every step of a write interrupted: before it is proposed it is gone, afterwards it is there, and either way its
/// retry is answered as if nothing had happened.
#[test]
fn a_crash_between_any_two_steps_loses_nothing_acknowledged() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        Evaluated,
        Proposed,
        Applied,
        Synced,
    }
    for step in [Step::Evaluated, Step::Proposed, Step::Applied, Step::Synced] {
        for schema in [plain(), indexed()] {
            let mut replica = Replica::new(schema);
            replica.write(&add(1, 1)).unwrap();
            let evaluated = replica.evaluate(&add(2, 10)).unwrap();
            if step != Step::Evaluated {
                replica.log.push(replica.partition.command(vec![evaluated.effects.unwrap()]));
            }
            if matches!(step, Step::Applied | Step::Synced) {
                replica.apply_log();
            }
            if step == Step::Synced {
                replica.engine.sync().unwrap();
            }
            replica.crash();
            let before = if step == Step::Evaluated { 1 } else { 11 };
            assert_eq!(value(&replica), Some(n(before)), "{step:?}");
            let retried = replica.write(&ItemWrite { age_ms: 50, ..add(2, 10) }).unwrap();
            assert_eq!(retried, evaluated.done, "{step:?}");
            assert_eq!(value(&replica), Some(n(11)), "{step:?}");
            replica.crash();
            assert_eq!(value(&replica), Some(n(11)), "{step:?}");
        }
    }
}

/// As consensus installs a snapshot: the keys under the prefix, under another generation, and `open`.
#[test]
fn a_snapshot_carries_items_requests_and_sequence_numbers() {
    let mut replica = Replica::new(indexed());
    for id in 1..=20 {
        replica.write(&put(id, &[("h", s("x")), ("r", n(id as i64 % 7)), ("a", s("p")), ("b", n(2))])).unwrap();
    }
    let first = replica.write(&add(21, 5)).unwrap();
    let prefix = KeyPrefix::new(GROUP, 9);
    let engine = MemoryEngine::new(2);
    let view = replica.engine.snapshot().unwrap();
    let mut batch = Batch::new();
    for entry in view.scan(replica.prefix.range(), Direction::Forward).unwrap() {
        let (key, value) = entry.unwrap();
        batch.put(prefix.key(&key[replica.prefix.as_bytes().len()..]), value);
    }
    engine.write(&batch).unwrap();
    let descriptor = replica.partition.descriptor().clone();
    let mut other = Replica::open(descriptor, Settings::default(), engine, prefix, Vec::new(), replica.clock.clone());
    for index in [None, Some(0), Some(1), Some(2)] {
        assert_eq!(other.scan_all(index), replica.scan_all(index));
    }
    assert_eq!(other.write(&ItemWrite { age_ms: 9, ..add(21, 5) }).unwrap(), first);
    let (ours, theirs) = (replica.partition.machine(), other.partition.machine());
    assert_eq!(ours.last_sequence(), theirs.last_sequence());
    assert_eq!(ours.totals(), theirs.totals());
}

#[test]
fn two_replicas_of_one_log_are_equal_to_the_byte() {
    let retention = Retention { changes_max: 9, ..Retention::default() };
    let mut leader = Replica::with(indexed(), Settings { retention, ..Settings::default() });
    for id in 1..40u128 {
        leader.clock.advance_ms(10);
        leader.write(&put(id, &[("h", s("x")), ("r", n(id as i64 % 5)), ("a", s("p"))])).unwrap();
    }
    // Applies all in one batch, with other settings.
    let descriptor = leader.partition.descriptor().clone();
    let log = leader.log.clone();
    let follower =
        Replica::open(descriptor, Settings::default(), MemoryEngine::new(3), leader.prefix, log, leader.clock.clone());
    let dump = |replica: &Replica| {
        let entries = replica.engine.scan(replica.prefix.range(), Direction::Forward).unwrap();
        entries.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(dump(&leader), dump(&follower));
}

#[test]
fn a_read_while_a_snapshot_is_installed_is_done_again() {
    let mut replica = Replica::new(plain());
    replica.write(&add(1, 5)).unwrap();
    let calls = std::cell::Cell::new(0);
    // The prefix moves during the first attempt, from a generation that is gone already.
    let prefix = || {
        calls.set(calls.get() + 1);
        if calls.get() == 1 { KeyPrefix::new(GROUP, 77) } else { replica.prefix }
    };
    let get = PartitionRequest::Get(GetRead { keys: vec![key_of("x", 1)], projection: None, consistent: true });
    let PartitionResponse::Get(found) = replica.partition.read(prefix, &get).unwrap() else { panic!() };
    assert!(matches!(&found[..], [GotItem { item: Some(_), .. }]));
}
