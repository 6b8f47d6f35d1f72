//! Concurrent clients on registers that are items, with their history.
//!
//! Each key is an item `{pk, v}`; its value is `v`. Written values are unique, so that a read names its write.

use crate::client::{AccessKey, Answer, Client, RequestError};
use crate::history::{Action, Operation, Outcome, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Workload {
    pub addresses: Vec<SocketAddr>,
    pub key: AccessKey,
    pub table: String,
    pub clients: usize,
    pub keys: u32,
    pub seed: u64,
    /// Pause between two operations of a client; spreads them over the run.
    pub pause: Duration,
    pub timeout: Duration,
}

/// Runs until `stop` is set.
pub async fn run(workload: Workload, stop: Arc<AtomicBool>) -> Vec<Operation> {
    let born = Instant::now();
    let next_value = Arc::new(AtomicU64::new(1));
    let mut clients = Vec::new();
    for n in 0..workload.clients {
        let (workload, stop, next_value) = (workload.clone(), stop.clone(), next_value.clone());
        clients.push(tokio::spawn(async move { client(n, workload, born, stop, next_value).await }));
    }
    let mut all = Vec::new();
    for client in clients {
        match client.await {
            Ok(operations) => all.extend(operations),
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        }
    }
    all
}

async fn client(
    n: usize,
    workload: Workload,
    born: Instant,
    stop: Arc<AtomicBool>,
    next_value: Arc<AtomicU64>,
) -> Vec<Operation> {
    let mut rng = StdRng::seed_from_u64(workload.seed.wrapping_mul(1_000).wrapping_add(n as u64));
    let address = workload.addresses[n % workload.addresses.len()];
    let mut client = Client::new(address, workload.key.clone(), workload.timeout);
    let mut last_seen: HashMap<u32, Value> = HashMap::new();
    let mut operations = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = rng.random_range(0..workload.keys);
        let new = Some(next_value.fetch_add(1, Ordering::Relaxed));
        let action = match rng.random_range(0..10) {
            0..4 => Action::Read(None),
            4..7 => Action::Write(new),
            7 => Action::Write(None),
            _ => Action::CompareAndSet { expected: last_seen.get(&key).copied().flatten(), new },
        };
        let start_ns = born.elapsed().as_nanos() as u64;
        let (action, outcome) = perform(&mut client, &workload.table, key, action).await;
        let end_ns = born.elapsed().as_nanos() as u64;
        if outcome == Outcome::Ok {
            let seen = match action {
                Action::Read(value) | Action::Write(value) | Action::CompareAndSet { new: value, .. } => value,
            };
            last_seen.insert(key, seen);
        }
        operations.push(Operation { key, start_ns, end_ns, action, outcome });
        if !workload.pause.is_zero() {
            tokio::time::sleep(workload.pause).await;
        }
    }
    operations
}

async fn perform(client: &mut Client, table: &str, key: u32, action: Action) -> (Action, Outcome) {
    let pk = json!({"S": format!("register-{key}")});
    let (operation, body) = match action {
        Action::Read(_) => ("GetItem", json!({"TableName": table, "Key": {"pk": pk}, "ConsistentRead": true})),
        Action::Write(Some(v)) => {
            ("PutItem", json!({"TableName": table, "Item": {"pk": pk, "v": {"N": v.to_string()}}}))
        }
        Action::Write(None) => ("DeleteItem", json!({"TableName": table, "Key": {"pk": pk}})),
        Action::CompareAndSet { expected, new } => {
            let item = json!({"pk": pk, "v": {"N": new.unwrap_or(0).to_string()}});
            match expected {
                Some(v) => (
                    "PutItem",
                    json!({"TableName": table, "Item": item, "ConditionExpression": "v = :v",
                           "ExpressionAttributeValues": {":v": {"N": v.to_string()}}}),
                ),
                None => (
                    "PutItem",
                    json!({"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}),
                ),
            }
        }
    };
    let answer = client.call(operation, body.to_string().as_bytes()).await;
    match (action, answer) {
        (Action::Read(_), Ok(Answer { status: 200, body })) => match read_value(&body) {
            Some(value) => (Action::Read(value), Outcome::Ok),
            None => (action, Outcome::Unknown),
        },
        (_, Ok(Answer { status: 200, .. })) => (action, Outcome::Ok),
        (_, Ok(Answer { status: 400, body })) => {
            let code = serde_json::from_slice::<Json>(&body)
                .ok()
                .and_then(|v| v["__type"].as_str().map(str::to_owned))
                .unwrap_or_default();
            if code.ends_with("ConditionalCheckFailedException") {
                (action, Outcome::ConditionFailed)
            } else {
                // Client errors are answered before anything is done.
                (action, Outcome::Failed)
            }
        }
        (_, Ok(_)) => (action, Outcome::Unknown),
        (_, Err(RequestError::NotSent(_))) => (action, Outcome::Failed),
        (_, Err(RequestError::NoAnswer(_))) => (action, Outcome::Unknown),
    }
}

fn read_value(body: &[u8]) -> Option<Value> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    match answer.get("Item") {
        None => Some(None),
        Some(item) => item["v"]["N"].as_str()?.parse().ok().map(Some),
    }
}
