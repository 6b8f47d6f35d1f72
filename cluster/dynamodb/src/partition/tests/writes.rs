//! Tables of what single writes do and answer.

use super::*;
use crate::rpc::IndexWrite;

fn validation(result: Result<WriteDone, PartitionError>) -> String {
    match result {
        Err(PartitionError::Validation(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn return_values_show_what_aws_shows() {
    let old = [("h", s("x")), ("r", n(1)), ("v", n(1)), ("w", s("same"))];
    let set = || WriteAction::Update { key: key_of("x", 1), update: update("SET v = v + :one", &[(":one", n(1))]) };
    let new = item(&[("h", s("x")), ("r", n(1)), ("v", n(2)), ("w", s("same"))]);
    let put_new = || WriteAction::Put { item: item(&[("h", s("x")), ("r", n(1))]) };
    let delete = || WriteAction::Delete { key: key_of("x", 1) };
    let cases = [
        (set(), ReturnValues::None, None),
        (set(), ReturnValues::AllOld, Some(item(&old))),
        (set(), ReturnValues::AllNew, Some(new)),
        (set(), ReturnValues::UpdatedOld, Some(item(&[("v", n(1))]))),
        (set(), ReturnValues::UpdatedNew, Some(item(&[("v", n(2))]))),
        (put_new(), ReturnValues::None, None),
        (put_new(), ReturnValues::AllOld, Some(item(&old))),
        (delete(), ReturnValues::None, None),
        (delete(), ReturnValues::AllOld, Some(item(&old))),
    ];
    for (action, return_values, expected) in cases {
        let mut replica = Replica::new(plain());
        replica.write(&put(1, &old)).unwrap();
        let done = replica.write(&ItemWrite { return_values, ..write(2, action.clone()) }).unwrap();
        assert_eq!(done.attributes, expected, "{action:?} {return_values:?}");
    }
}

#[test]
fn sizes_are_of_before_and_after() {
    let mut replica = Replica::new(plain());
    let done = replica.write(&put(1, &[("h", s("x")), ("r", n(1)), ("v", s("1234"))])).unwrap();
    assert_eq!((done.old_size_bytes, done.new_size_bytes), (None, Some(2 + 3 + 5)));
    let done = replica.write(&put(2, &[("h", s("x")), ("r", n(1))])).unwrap();
    assert_eq!((done.old_size_bytes, done.new_size_bytes), (Some(10), Some(5)));
    let done = replica.write(&write(3, WriteAction::Delete { key: key_of("x", 1) })).unwrap();
    assert_eq!((done.old_size_bytes, done.new_size_bytes), (Some(5), None));
    let logged = replica.log.len();
    let done = replica.write(&write(4, WriteAction::Delete { key: key_of("x", 1) })).unwrap();
    assert_eq!((done, replica.log.len()), (WriteDone::default(), logged), "nothing to replicate");
    assert_eq!(replica.partition.machine().totals(), Totals::default());
}

#[test]
fn a_failed_condition_changes_nothing() {
    let mut replica = Replica::new(plain());
    replica.write(&put(1, &[("h", s("x")), ("r", n(1)), ("v", n(1))])).unwrap();
    let conditional = |id, r, show| ItemWrite {
        condition: Some(condition("v = :v", &[(":v", n(9))])),
        return_on_condition_failure: show,
        ..put(id, &[("h", s("x")), ("r", n(r)), ("v", n(2))])
    };
    let old = item(&[("h", s("x")), ("r", n(1)), ("v", n(1))]);
    for (r, show, shown) in [(1, false, None), (1, true, Some(old.clone())), (2, true, None)] {
        let refused = replica.write(&conditional(2, r, show));
        assert_eq!(refused, Err(PartitionError::ConditionalCheckFailed { item: shown }));
    }
    assert_eq!(replica.get("x", 1), Some(old));
    assert_eq!((replica.get("x", 2), replica.log.len()), (None, 1));
}

#[test]
fn an_update_creates_the_item_unless_it_only_removes() {
    let mut replica = Replica::new(plain());
    let removes = WriteAction::Update { key: key_of("x", 1), update: update("REMOVE v", &[]) };
    assert_eq!(replica.write(&write(1, removes)).unwrap(), WriteDone::default());
    assert_eq!(replica.get("x", 1), None);
    let adds = WriteAction::Update { key: key_of("x", 1), update: update("ADD v :v", &[(":v", n(5))]) };
    replica.write(&write(2, adds)).unwrap();
    assert_eq!(replica.get("x", 1), Some(item(&[("h", s("x")), ("r", n(1)), ("v", n(5))])));
}

#[test]
fn what_is_wrong_is_refused_in_aws_words() {
    let mut replica = Replica::new(indexed());
    let large = "x".repeat(400 * 1024);
    let cases = [
        (put(1, &[("h", s("x")), ("r", n(1)), ("v", s(&large))]), "Item size has exceeded the maximum allowed size"),
        (
            write(1, WriteAction::Update { key: key_of("x", 1), update: update("SET v = :v", &[(":v", s(&large))]) }),
            "Item size to update has exceeded the maximum allowed size",
        ),
        (
            put(1, &[("h", s("x")), ("r", n(1)), ("a", n(3))]),
            "One or more parameter values were invalid: Type mismatch for Index Key a Expected: S Actual: N IndexName: \
             whole",
        ),
        (
            put(1, &[("h", s("x")), ("r", n(1)), ("a", s(""))]),
            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. \
             The AttributeValue for a key attribute cannot contain an empty string value. IndexName: whole, IndexKey: a",
        ),
        (
            write(1, WriteAction::Update { key: key_of("x", 1), update: update("SET b = :v", &[(":v", s("q"))]) }),
            "The update expression attempted to update the secondary index key to unsupported type",
        ),
        (
            write(1, WriteAction::Update { key: key_of("x", 1), update: update("SET v = w", &[]) }),
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (put(1, &[("h", s("x"))]), "One or more parameter values were invalid: Missing the key r in the item"),
        (
            write(1, WriteAction::Delete { key: PrimaryKey { hash: s("x"), range: None } }),
            "The provided key element does not match the schema",
        ),
        (
            write(1, WriteAction::Update { key: key_of("x", 1), update: update("SET r = :v", &[(":v", n(2))]) }),
            "One or more parameter values were invalid: Cannot update attribute r. This attribute is part of the key",
        ),
    ];
    for (write, message) in cases {
        assert_eq!(validation(replica.write(&write)), message);
    }
    assert!(replica.log.is_empty());
}

#[test]
fn another_partitions_key_is_refused() {
    let mut replica = Replica::new(plain());
    let hash = breakwater_items::key::partition_hash(&[3; 16], &s("x"));
    replica.partition.descriptor.hash_start = hash + 1;
    let wrong = Err(PartitionError::WrongPartition);
    assert_eq!(replica.write(&put(1, &[("h", s("x")), ("r", n(1))])), wrong);
    let get = GetRead { keys: vec![key_of("x", 1)], projection: None, consistent: true };
    assert_eq!(replica.read(PartitionRequest::Get(get)).unwrap_err(), PartitionError::WrongPartition);
    assert_eq!(replica.page(PartitionRequest::Query(query("x"))).unwrap_err(), PartitionError::WrongPartition);
}

#[test]
fn index_writes_cost_what_they_change() {
    let base = [("h", s("x")), ("r", n(1)), ("a", s("p")), ("b", n(1)), ("c", s("c")), ("d", s("d"))];
    let units = |done: WriteDone| done.indexes.iter().map(|w| (w.index, w.units)).collect::<Vec<_>>();
    type Case = (&'static str, AttributeValue, Vec<(u8, u32)>);
    let cases: [Case; 5] = [
        // In the whole index only.
        ("SET d = :v", s("e"), vec![(0, 1)]),
        ("SET c = :v", s("e"), vec![(0, 1), (2, 1)]),
        // The old entry goes, the new one appears.
        ("SET a = :v", s("q"), vec![(0, 2), (2, 2)]),
        ("SET b = :v", n(2), vec![(0, 1), (1, 2)]),
        ("SET d = :v", s("d"), vec![]),
    ];
    for (text, value, expected) in cases {
        let mut replica = Replica::new(indexed());
        assert_eq!(units(replica.write(&put(1, &base)).unwrap()), [(0, 1), (1, 1), (2, 1)]);
        let action = WriteAction::Update { key: key_of("x", 1), update: update(text, &[(":v", value)]) };
        assert_eq!(units(replica.write(&write(2, action)).unwrap()), expected, "{text}");
    }
    let mut replica = Replica::new(indexed());
    let large = s(&"c".repeat(3_000));
    let done = replica.write(&put(1, &[("h", s("x")), ("r", n(1)), ("a", s("p")), ("c", large)])).unwrap();
    assert_eq!(done.indexes, [IndexWrite { index: 0, units: 3 }, IndexWrite { index: 2, units: 3 }]);
}

#[test]
fn a_collection_is_measured_and_limited() {
    let settings = Settings { collection_bytes_max: 1_000, ..Settings::default() };
    let mut replica = Replica::with(indexed(), settings);
    let with = |id, r, length: usize| ItemWrite {
        want_collection_metrics: true,
        ..put(id, &[("h", s("x")), ("r", n(r)), ("a", s("p")), ("d", s(&"d".repeat(length)))])
    };
    // The item and its whole entry, and an entry of keys and `a`.
    let keys = 2 + 3 + 2;
    let done = replica.write(&with(1, 1, 99)).unwrap();
    assert_eq!(done.collection_size_bytes, Some(2 * (keys + 100) + keys));
    replica.write(&with(2, 2, 299)).unwrap();
    assert_eq!(replica.write(&with(3, 3, 299)), Err(PartitionError::ItemCollectionSizeLimitExceeded));
    // What makes it smaller is allowed, and another collection is another.
    let done = replica.write(&with(4, 2, 0)).unwrap();
    assert_eq!(done.collection_size_bytes, Some(2 * (keys + 100) + keys + 2 * (keys + 1) + keys));
    replica.write(&put(5, &[("h", s("y")), ("r", n(1)), ("a", s(&"p".repeat(200)))])).unwrap();
    for (id, r) in [(6, 1), (7, 2)] {
        replica.write(&write(id, WriteAction::Delete { key: key_of("x", r) })).unwrap();
    }
    let done = replica.write(&with(8, 1, 0)).unwrap();
    assert_eq!(done.collection_size_bytes, Some(2 * (keys + 1) + keys));
}

#[test]
fn versions_and_times_of_an_item_only_grow() {
    let mut replica = Replica::new(plain());
    let write = |id, v| put(id, &[("h", s("x")), ("r", n(1)), ("v", n(v))]);
    let first = replica.evaluate(&write(1, 1)).unwrap().effects.unwrap();
    replica.write(&write(1, 1)).unwrap();
    // The clock is set back, and the leader is a new one.
    replica.clock.jump_ms(-3_600_000);
    replica.crash();
    let second = replica.evaluate(&write(2, 2)).unwrap().effects.unwrap();
    assert_eq!((first.item_version, second.item_version), (1, 2));
    assert!(second.hlc > first.hlc);
}
