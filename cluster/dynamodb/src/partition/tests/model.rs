//! Random writes, retries, crashes and log entries that share batches, against a map.

use super::*;
use breakwater_items::expression::{KeyCondition, RangeCondition};
use breakwater_items::size::item_size;
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
enum Op {
    Put {
        h: &'static str,
        r: i64,
        a: Option<&'static str>,
        b: Option<i64>,
        c: Option<&'static str>,
    },
    Add {
        h: &'static str,
        r: i64,
        by: i64,
    },
    SetA {
        h: &'static str,
        r: i64,
        a: &'static str,
    },
    RemoveB {
        h: &'static str,
        r: i64,
    },
    Delete {
        h: &'static str,
        r: i64,
    },
    PutIfAbsent {
        h: &'static str,
        r: i64,
    },
    /// Sends an earlier request again.
    Retry {
        back: usize,
    },
    Crash,
    Sync,
}

const HASHES: [&str; 3] = ["x", "x\0", "y"];
const SORTS: [&str; 4] = ["p", "pq", "p\0", "q"];

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let key = || (select(&HASHES[..]), -2i64..3);
    let sort = || select(&SORTS[..]);
    let op = prop_oneof![
        4 => (key(), proptest::option::of(sort()), proptest::option::of(-1i64..2), proptest::option::of(sort()))
            .prop_map(|((h, r), a, b, c)| Op::Put { h, r, a, b, c }),
        3 => (key(), 1i64..9).prop_map(|((h, r), by)| Op::Add { h, r, by }),
        2 => (key(), sort()).prop_map(|((h, r), a)| Op::SetA { h, r, a }),
        1 => key().prop_map(|(h, r)| Op::RemoveB { h, r }),
        2 => key().prop_map(|(h, r)| Op::Delete { h, r }),
        2 => key().prop_map(|(h, r)| Op::PutIfAbsent { h, r }),
        2 => (1usize..8).prop_map(|back| Op::Retry { back }),
        1 => Just(Op::Crash),
        1 => Just(Op::Sync),
    ];
    proptest::collection::vec(op, 1..60)
}

fn request(op: &Op, id: u128) -> Option<ItemWrite> {
    let updated = |h, r, update| write(id, WriteAction::Update { key: key_of(h, r), update });
    let mut write = match op {
        Op::Put { h, r, a, b, c } => {
            let mut put = vec![("h", s(h)), ("r", n(*r))];
            put.extend(a.map(|a| ("a", s(a))));
            put.extend(b.map(|b| ("b", n(b))));
            put.extend(c.map(|c| ("c", s(c))));
            super::put(id, &put)
        }
        Op::Add { h, r, by } => updated(h, *r, update("ADD v :v", &[(":v", n(*by))])),
        Op::SetA { h, r, a } => updated(h, *r, update("SET a = :a", &[(":a", s(a))])),
        Op::RemoveB { h, r } => updated(h, *r, update("REMOVE b", &[])),
        Op::Delete { h, r } => super::write(id, WriteAction::Delete { key: key_of(h, *r) }),
        Op::PutIfAbsent { h, r } => ItemWrite {
            condition: Some(condition("attribute_not_exists(h)", &[])),
            return_on_condition_failure: true,
            ..super::put(id, &[("h", s(h)), ("r", n(*r)), ("c", s("first"))])
        },
        Op::Retry { .. } | Op::Crash | Op::Sync => return None,
    };
    write.return_values = ReturnValues::AllOld;
    Some(write)
}

type Model = BTreeMap<(&'static str, i64), Item>;

/// What the write does to a map; the item before.
fn expected(model: &mut Model, op: &Op) -> Result<Option<Item>, Option<Item>> {
    let fresh = |h: &str, r: i64| item(&[("h", s(h)), ("r", n(r))]);
    match op {
        Op::Put { h, r, .. } => {
            let Some(ItemWrite { action: WriteAction::Put { item }, .. }) = request(op, 0) else { unreachable!() };
            Ok(model.insert((h, *r), item))
        }
        Op::Add { h, r, by } => {
            let old = model.get(&(*h, *r)).cloned();
            let item = model.entry((h, *r)).or_insert_with(|| fresh(h, *r));
            let before = match item.get("v") {
                Some(AttributeValue::N(v)) => v.to_string().parse().unwrap(),
                _ => 0,
            };
            item.insert("v".to_owned(), n(before + by));
            Ok(old)
        }
        Op::SetA { h, r, a } => {
            let old = model.get(&(*h, *r)).cloned();
            model.entry((h, *r)).or_insert_with(|| fresh(h, *r)).insert("a".to_owned(), s(a));
            Ok(old)
        }
        Op::RemoveB { h, r } => {
            let old = model.get(&(*h, *r)).cloned();
            if let Some(item) = model.get_mut(&(*h, *r)) {
                item.remove("b");
            }
            Ok(old)
        }
        Op::Delete { h, r } => Ok(model.remove(&(*h, *r))),
        Op::PutIfAbsent { h, r } => match model.get(&(*h, *r)) {
            Some(there) => Err(Some(there.clone())),
            None => {
                let mut put = fresh(h, *r);
                put.insert("c".to_owned(), s("first"));
                Ok(model.insert((h, *r), put))
            }
        },
        Op::Retry { .. } | Op::Crash | Op::Sync => unreachable!(),
    }
}

fn collection(model: &Model, h: &str) -> Vec<Item> {
    model.iter().filter(|((hash, _), _)| *hash == h).map(|(_, item)| item.clone()).collect()
}

fn check(replica: &Replica, model: &Model) {
    let by_text = |item: &Item| format!("{item:?}");
    let sorted = |mut items: Vec<Item>| {
        items.sort_by_key(by_text);
        items
    };
    let all: Vec<Item> = model.values().cloned().collect();
    assert_eq!(sorted(replica.scan_all(None)), sorted(all.clone()));
    let totals = replica.partition.machine().totals();
    assert_eq!(totals.items, all.len() as u64);
    assert_eq!(totals.bytes, all.iter().map(|item| item_size(item) as u64).sum::<u64>());

    let schema = replica.partition.schema().clone();
    let mut collections: BTreeMap<&str, u64> = HASHES.iter().map(|h| (*h, 0)).collect();
    let mut count = |item: &Item| {
        let Some(AttributeValue::S(h)) = item.get("h") else { unreachable!() };
        *collections.get_mut(h.as_str()).unwrap() += item_size(item) as u64;
    };
    all.iter().for_each(&mut count);
    for (ordinal, index) in schema.local_indexes.iter().enumerate() {
        let held = all.iter().filter(|item| item.contains_key(&index.range.name));
        let entries: Vec<Item> = held.map(|item| current::projected(&schema, index, item)).collect();
        assert_eq!(sorted(replica.scan_all(Some(ordinal as u8))), sorted(entries.clone()), "index {}", index.name);
        let of_index = totals.indexes.get(ordinal).copied().unwrap_or_default();
        assert_eq!(of_index.entries, entries.len() as u64);
        assert_eq!(of_index.bytes, entries.iter().map(|item| item_size(item) as u64).sum::<u64>());
        entries.iter().for_each(&mut count);
    }
    if schema.local_indexes.is_empty() {
        return;
    }
    for (h, bytes) in collections {
        let primary = key_of(h, 0);
        let key = key::item_key(key::partition_hash(&[3; 16], &s(h)), &primary);
        let collection_key = &key[..current::collection_key_length(&primary)];
        let measured = replica.partition.machine().collection_bytes(&replica.prefix, collection_key).unwrap();
        assert_eq!(measured, bytes, "collection {h:?}");
    }
}

/// Queries with every kind of condition, against a filter over the collection.
fn check_queries(replica: &Replica, model: &Model) {
    let conditions = [
        None,
        Some(RangeCondition::Equal(n(0))),
        Some(RangeCondition::Less(n(1))),
        Some(RangeCondition::LessOrEqual(n(-1))),
        Some(RangeCondition::Greater(n(-1))),
        Some(RangeCondition::GreaterOrEqual(n(0))),
        Some(RangeCondition::Between(n(-1), n(1))),
    ];
    for h in HASHES {
        for condition in &conditions {
            let mut expected = collection(model, h);
            expected.retain(|item| condition.as_ref().is_none_or(|condition| condition.matches(&item["r"])));
            for forward in [true, false] {
                let key_condition = KeyCondition { hash: s(h), range: condition.clone() };
                let mut read = QueryRead { key_condition, forward, limit: Some(2), ..query(h) };
                let mut found = Vec::new();
                loop {
                    let page = replica.page(PartitionRequest::Query(read.clone())).unwrap();
                    found.extend(page.items);
                    read.exclusive_start = page.last_evaluated;
                    if read.exclusive_start.is_none() {
                        break;
                    }
                }
                assert_eq!(found, expected, "{h:?} {condition:?}");
                expected.reverse();
            }
        }
        for sort in SORTS {
            let begins = RangeCondition::BeginsWith(s(sort));
            let mut expected = collection(model, h);
            expected.retain(|item| item.get("a").is_some_and(|a| begins.matches(a)));
            expected.sort_by(|x, y| x["a"].compare(&y["a"]).unwrap().then(x["r"].compare(&y["r"]).unwrap()));
            let key_condition = KeyCondition { hash: s(h), range: Some(begins) };
            let read = QueryRead { key_condition, index: Some(2), ..query(h) };
            assert_eq!(replica.page(PartitionRequest::Query(read)).unwrap().items, expected, "{h:?} {sort:?}");
        }
    }
}

fn run(schema: TableSchema, ops: &[Op]) {
    let with_index = !schema.local_indexes.is_empty();
    let mut replica = Replica::new(schema);
    let mut model = Model::new();
    let mut sent: Vec<(ItemWrite, Result<WriteDone, PartitionError>)> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        replica.clock.advance_ms(3);
        match op {
            Op::Crash => replica.crash(),
            Op::Sync => replica.engine.sync().unwrap(),
            Op::Retry { back } => {
                let Some((write, answer)) = sent.len().checked_sub(*back).and_then(|at| sent.get(at)) else { continue };
                // What had no effect is not remembered, and may be done anew.
                if answer.as_ref().is_ok_and(|done| done.new_size_bytes.or(done.old_size_bytes).is_some()) {
                    let retry = ItemWrite { age_ms: 20, ..write.clone() };
                    assert_eq!(&replica.write(&retry), answer);
                }
            }
            _ => {
                let Some(write) = request(op, at as u128 + 1) else { unreachable!() };
                let answer = replica.write(&write);
                match (expected(&mut model, op), &answer) {
                    (Ok(old), Ok(done)) => assert_eq!(done.attributes, old, "{op:?}"),
                    (Err(shown), Err(PartitionError::ConditionalCheckFailed { item })) => assert_eq!(*item, shown),
                    (expected, got) => panic!("{op:?}: {expected:?}, {got:?}"),
                }
                sent.push((write, answer));
            }
        }
    }
    check(&replica, &model);
    if with_index {
        check_queries(&replica, &model);
    }
    replica.crash();
    check(&replica, &model);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_partition_is_a_map(ops in ops()) {
        run(plain(), &ops);
    }

    #[test]
    fn a_partition_with_indexes_is_a_map(ops in ops()) {
        run(indexed(), &ops);
    }

    /// Writes of different keys evaluated side by side, in one command, and several commands in one batch.
    #[test]
    fn writes_that_share_commands_and_batches_all_count(
        rounds in proptest::collection::vec(proptest::collection::vec(1i64..4, 1..5), 1..12), crash_at in 0usize..12
    ) {
        let mut replica = Replica::new(indexed());
        let mut model = Model::new();
        let mut id = 0u128;
        for (round, commands) in rounds.iter().enumerate() {
            for (at, keys) in commands.iter().enumerate() {
                let mut effects = Vec::new();
                for r in 0..*keys {
                    // Of keys that no other command of this batch writes.
                    id += 1;
                    let op = Op::Put { h: "x", r: at as i64 * 10 + r, a: Some(SORTS[round % 4]), b: None, c: None };
                    let evaluated = replica.evaluate(&request(&op, id).unwrap()).unwrap();
                    effects.push(evaluated.effects.unwrap());
                    expected(&mut model, &op).unwrap();
                }
                replica.log.push(replica.partition.command(effects));
            }
            replica.apply_log();
            if round == crash_at {
                replica.crash();
            }
        }
        check(&replica, &model);
        prop_assert_eq!(replica.partition.machine().last_sequence(), id as u64);
    }
}
