//! What a write of 1 KB costs in CPU, without Raft and without a disk. Run by
//! `cargo nextest run --release -p breakwater-dynamodb --run-ignored only cost --no-capture`.

use super::*;
use std::hint::black_box;
use std::time::Instant;

const WRITES: u128 = 100_000;
/// So many keys that most lookups hit, few enough that the memory engine's copies stay out of the figures.
const KEYS: u128 = 1_000;

/// The command's bytes are measured on the way: what the log holds for an item of 1 KB.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_put_of_one_kilobyte() {
    for (name, schema) in [("no index", plain()), ("three local indexes", indexed())] {
        let replica = Replica::new(schema);
        let filler = s(&"v".repeat(150));
        let write_of = |id: u128| {
            let (r, b) = ((id % KEYS) as i64, (id / KEYS) as i64);
            let mut attributes = vec![("h", s("user#1234567")), ("r", n(r)), ("a", s("p")), ("b", n(b))];
            attributes.extend(["c", "d", "e", "f", "g", "i"].map(|name| (name, filler.clone())));
            put(id + 1, &attributes)
        };
        let mut took = [std::time::Duration::ZERO; 5];
        let mut bytes = 0;
        for id in 0..WRITES {
            let write = write_of(id);
            let start = Instant::now();
            let wire = crate::rpc::encode(&write).unwrap();
            let write: ItemWrite = crate::rpc::decode(&wire).unwrap();
            let received = Instant::now();
            let key = replica.partition.latch_key(&write).unwrap();
            let guard = replica.partition.latches().try_lock(&[key]).unwrap();
            let evaluated = replica.evaluate(&write).unwrap();
            let evaluation = Instant::now();
            let command = replica.partition.command(vec![evaluated.effects.unwrap()]);
            let encoding = Instant::now();
            bytes += command.len();
            let mut batch = Batch::new();
            let at = Applying { index: id as u64, term: 1 };
            let machine = replica.partition.machine();
            let applied = machine.apply(at, black_box(&command), &replica.prefix, &mut batch).unwrap();
            drop(guard);
            let applying = Instant::now();
            black_box(applied);
            // Not counted: a map's insert is no engine's.
            replica.engine.write(&batch).unwrap();
            machine.applied(id as u64);
            if id % 100 == 0 {
                replica.engine.sync().unwrap();
            }
            let keys = vec![key_of("user#1234567", (id % KEYS) as i64)];
            let get = PartitionRequest::Get(GetRead { keys, projection: None, consistent: true });
            let getting = Instant::now();
            let answer = replica.read(get).unwrap();
            let got = Instant::now();
            black_box(answer);
            for (sum, part) in took.iter_mut().zip([
                received - start,
                evaluation - received,
                encoding - evaluation,
                applying - encoding,
                got - getting,
            ]) {
                *sum += part;
            }
        }
        let us = |at: usize| took[at].as_secs_f64() * 1e6 / WRITES as f64;
        println!(
            "put of 1 KB, {name}: rpc {:.2} µs, latch and evaluate {:.2} µs, encode {:.2} µs, apply {:.2} µs; {} B of \
             command; get {:.2} µs",
            us(0),
            us(1),
            us(2),
            us(3),
            bytes as u128 / WRITES,
            us(4)
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn cost_of_messages() {
    let filler = s(&"v".repeat(150));
    let mut attributes = vec![("h", s("user#1234567")), ("r", n(5)), ("a", s("p")), ("b", n(7))];
    attributes.extend(["c", "d", "e", "f", "g", "i"].map(|name| (name, filler.clone())));
    let item = item(&attributes);
    let answer = PartitionResponse::Get(vec![GotItem { item: Some(item.clone()), size_bytes: 1_000 }]);
    let write = put(1, &attributes);
    fn time<T>(what: &str, mut f: impl FnMut() -> T) {
        let start = Instant::now();
        for _ in 0..WRITES {
            black_box(f());
        }
        println!("{what}: {:.2} µs", start.elapsed().as_secs_f64() * 1e6 / WRITES as f64);
    }
    for _ in 0..2 {
        time("encode write", || crate::rpc::encode(&write).unwrap());
        time("encode answer", || crate::rpc::encode(&answer).unwrap());
        let bytes = crate::rpc::encode(&write).unwrap();
        time("decode write", || crate::rpc::decode::<ItemWrite>(&bytes).unwrap());
        let bytes = crate::rpc::encode(&answer).unwrap();
        time("decode answer", || crate::rpc::decode::<PartitionResponse>(&bytes).unwrap());
        let bytes = breakwater_items::stored::encode(1, 2, &item);
        time("store", || breakwater_items::stored::encode(1, 2, &item));
        time("load", || breakwater_items::stored::decode(&bytes).unwrap());
        time("partition hash", || key::partition_hash(&[3; 16], &item["h"]));
    }
}
