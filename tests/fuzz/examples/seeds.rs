//! Writes the binary part of the corpus: `cargo run -p breakwater-fuzz --example seeds`, after a format changed.

use breakwater_dynamodb::partition::Totals;
use breakwater_dynamodb::partition::command::{Change, Command, Effects};
use breakwater_dynamodb::partition::journal::{ChangeRecord, JournalRecord};
use breakwater_dynamodb::rpc::{self, GetRead, PartitionAnswer, PartitionCall, PartitionError, PartitionRequest};
use breakwater_items::json::WireItem;
use breakwater_items::{Item, PrimaryKey, key, stored};
use breakwater_meta::records::{LeaderRecord, leader_key, to_stored};
use breakwater_meta::{Op, Txn};
use breakwater_types::GroupId;
use bytes::Bytes;
use std::path::Path;

fn put(target: &str, name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).join(name);
    std::fs::write(path, bytes).expect("the corpus can be written");
}

fn item(json: &str) -> Item {
    serde_json::from_str::<WireItem>(json).expect("JSON").into_item().expect("an item")
}

fn main() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/value");
    let mut items = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the corpus is there") {
        let text = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let Ok(wire) = serde_json::from_slice::<WireItem>(&text) else { continue };
        items.extend(wire.into_item());
    }
    for (n, item) in items.iter().enumerate() {
        put("stored", &format!("item{n}"), &stored::encode(n as u64, 1_795_448_000_000 << 16, item));
        for (m, value) in item.values().enumerate() {
            let mut bytes = Vec::new();
            stored::encode_value(value, &mut bytes);
            put("stored", &format!("value{n}-{m}"), &bytes);
        }
    }
    for n in 0..3 {
        put("token", &format!("token{n}"), breakwater_fuzz::sample_token(n * 5).as_bytes());
    }
    let keys = item(r#"{"s":{"S":"a\u0000b"},"n":{"N":"-12.5e7"},"b":{"B":"AAH/AA=="},"e":{"S":""},"z":{"N":"0"}}"#);
    for (n, hash) in keys.values().enumerate() {
        put("key", &format!("component{n}"), &key::encode_component(hash));
        for (m, range) in keys.values().enumerate().take(2) {
            let primary = PrimaryKey { hash: hash.clone(), range: (m > 0).then(|| range.clone()) };
            put("key", &format!("item{n}-{m}"), &key::item_key(u128::MAX / 3, &primary));
            put("key", &format!("index{n}-{m}"), &key::index_key(1, &primary, range));
        }
    }
    let effects = |n: u64, change| Effects {
        request_id: u128::from(n) << 64,
        hlc: (1_795_448_000_000 + n) << 16,
        item_version: n,
        key: Bytes::from_static(b"key"),
        change,
        bytes_delta: -12,
        indexed: None,
        answer: Bytes::from_static(b"\x01\0\0"),
    };
    let value = Bytes::from(stored::encode(1, 2, &items[0]));
    let command =
        Command { purge_below: 7, effects: vec![effects(1, Change::Insert(value)), effects(2, Change::Remove)] };
    for format in 1..=breakwater_types::formats::NEWEST {
        put("record", &format!("command{format}"), &[b"c", &command.encode(format)[..]].concat());
    }
    let journal = JournalRecord {
        totals: Totals { items: 2, bytes: 99, indexes: vec![] },
        changes: command.effects.iter().map(ChangeRecord::from).collect(),
    };
    put("record", "journal", &[b"j", &journal.encode()[..]].concat());
    let read = GetRead {
        keys: vec![PrimaryKey { hash: keys["s"].clone(), range: Some(keys["n"].clone()) }],
        projection: None,
        consistent: true,
    };
    let call = PartitionCall { table_id: uuid::Uuid::from_u128(7), request: PartitionRequest::Get(read) };
    put("record", "call", &[b"q", &rpc::encode(&call).expect("a call")[..]].concat());
    let refused: PartitionAnswer = Err(PartitionError::Unknown("because".to_owned()));
    put("record", "answer", &[b"p", &rpc::encode(&refused).expect("an answer")[..]].concat());
    let leader = LeaderRecord { group: GroupId(1_000), node: "dynamo-node-a1".parse().expect("a name"), term: 3 };
    let stored = to_stored(&leader).expect("a record");
    put("record", "leader", &[b"l", &stored[..]].concat());
    let txn = Txn { success: vec![Op::put(leader_key(leader.group), stored)], ..Txn::default() };
    put("record", "txn", &[b"x", &to_stored(&txn).expect("a transaction")[..]].concat());
}
