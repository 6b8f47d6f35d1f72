//! Concurrent clients on registers that are items, with their history.
//!
//! Each key is an item `{pk, v}`; its value is `v`. Written values are a million apart and steps of counters smaller,
//! so that a read nearly always names its write.

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
    /// Front doors. A client stays with one until that fails it, then goes to the next.
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

const WRITTEN_APART: u64 = 1_000_000;
/// After a refused connection, so that a history doesn't fill with them.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

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

/// Strongly consistent reads of all keys at the end, as a continuation of the history.
pub async fn read_all(workload: &Workload, history: &mut Vec<Operation>) -> Result<(), String> {
    let mut now = history.iter().map(|o| o.end_ns).max().unwrap_or(0);
    let address = *workload.addresses.first().ok_or("no address")?;
    let mut client = Client::new(address, workload.key.clone(), workload.timeout);
    for key in 0..workload.keys {
        let (action, outcome) = perform(&mut client, &workload.table, key, Action::Read(None), false).await.done();
        if outcome != Outcome::Ok {
            return Err(format!("key {key} can't be read at the end"));
        }
        history.push(Operation { key, start_ns: now + 1, end_ns: now + 2, action, outcome });
        now += 2;
    }
    Ok(())
}

fn choose(rng: &mut StdRng, new: u64, last_seen: Value) -> Action {
    let new = Some(new * WRITTEN_APART);
    match rng.random_range(0..20) {
        0..7 => Action::Read(None),
        7..11 => Action::Write(new),
        11 => Action::Write(None),
        12..15 => Action::CompareAndSet { expected: last_seen, new },
        15 => Action::CompareAndSet { expected: last_seen, new: None },
        16 => Action::Swap { new, seen: None },
        17 => Action::Swap { new: None, seen: None },
        _ => Action::Add { by: rng.random_range(1..1_000), after: 0 },
    }
}

async fn client(
    n: usize,
    workload: Workload,
    born: Instant,
    stop: Arc<AtomicBool>,
    next_value: Arc<AtomicU64>,
) -> Vec<Operation> {
    let mut rng = StdRng::seed_from_u64(workload.seed.wrapping_mul(1_000).wrapping_add(n as u64));
    let mut doors: Vec<Client> = workload
        .addresses
        .iter()
        .map(|address| Client::new(*address, workload.key.clone(), workload.timeout))
        .collect();
    let mut door = n % doors.len();
    let mut last_seen: HashMap<u32, Value> = HashMap::new();
    let mut operations = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let key = rng.random_range(0..workload.keys);
        let new = next_value.fetch_add(1, Ordering::Relaxed);
        let action = choose(&mut rng, new, last_seen.get(&key).copied().flatten());
        let query = rng.random_range(0..4) == 0;
        let start_ns = born.elapsed().as_nanos() as u64;
        let performed = perform(&mut doors[door], &workload.table, key, action, query).await;
        let end_ns = born.elapsed().as_nanos() as u64;
        let (action, outcome) = performed.done();
        if outcome == Outcome::Ok {
            let seen = match action {
                Action::Read(value) | Action::Write(value) => value,
                Action::CompareAndSet { new, .. } | Action::Swap { new, .. } => new,
                Action::Add { after, .. } => Some(after),
            };
            last_seen.insert(key, seen);
        }
        operations.push(Operation { key, start_ns, end_ns, action, outcome });
        if matches!(performed, Performed::NotSent(_) | Performed::NoAnswer(_)) {
            door = (door + 1) % doors.len();
            tokio::time::sleep(REFUSED_PAUSE).await;
        } else if !workload.pause.is_zero() {
            tokio::time::sleep(workload.pause).await;
        }
    }
    operations
}

/// What a client was told, with what it observed.
#[derive(Clone, Copy, Debug)]
enum Performed {
    Answered(Action, Outcome),
    NotSent(Action),
    NoAnswer(Action),
}

impl Performed {
    fn done(self) -> (Action, Outcome) {
        match self {
            Performed::Answered(action, outcome) => (action, outcome),
            Performed::NotSent(action) => (action, Outcome::Failed),
            Performed::NoAnswer(action) => (action, Outcome::Unknown),
        }
    }
}

fn number(v: u64) -> Json {
    json!({"N": v.to_string()})
}

/// The operation and its body. A read is a GetItem, or a Query of one key.
fn request(table: &str, key: u32, action: Action, query: bool) -> (&'static str, Json) {
    let pk = json!({"S": format!("register-{key}")});
    let mut body = json!({"TableName": table});
    let operation = match action {
        Action::Read(_) if query => {
            body["KeyConditionExpression"] = json!("pk = :pk");
            body["ExpressionAttributeValues"] = json!({":pk": pk});
            body["ConsistentRead"] = json!(true);
            return ("Query", body);
        }
        Action::Read(_) => {
            body["Key"] = json!({"pk": pk});
            body["ConsistentRead"] = json!(true);
            return ("GetItem", body);
        }
        Action::Write(Some(v)) | Action::Swap { new: Some(v), .. } | Action::CompareAndSet { new: Some(v), .. } => {
            body["Item"] = json!({"pk": pk, "v": number(v)});
            "PutItem"
        }
        Action::Write(None) | Action::Swap { new: None, .. } | Action::CompareAndSet { new: None, .. } => {
            body["Key"] = json!({"pk": pk});
            "DeleteItem"
        }
        Action::Add { by, .. } => {
            body["Key"] = json!({"pk": pk});
            body["UpdateExpression"] = json!("ADD v :by");
            body["ExpressionAttributeValues"] = json!({":by": number(by)});
            body["ReturnValues"] = json!("UPDATED_NEW");
            "UpdateItem"
        }
    };
    match action {
        Action::CompareAndSet { expected: Some(v), .. } => {
            body["ConditionExpression"] = json!("v = :expected");
            body["ExpressionAttributeValues"] = json!({":expected": number(v)});
        }
        Action::CompareAndSet { expected: None, .. } => {
            body["ConditionExpression"] = json!("attribute_not_exists(pk)");
        }
        Action::Swap { .. } => body["ReturnValues"] = json!("ALL_OLD"),
        Action::Read(_) | Action::Write(_) | Action::Add { .. } => {}
    }
    (operation, body)
}

async fn perform(client: &mut Client, table: &str, key: u32, action: Action, query: bool) -> Performed {
    let (operation, body) = request(table, key, action, query);
    match client.call(operation, body.to_string().as_bytes()).await {
        Ok(Answer { status: 200, body }) => match observed(action, &body) {
            Some(action) => Performed::Answered(action, Outcome::Ok),
            // Half an answer: what it did is open.
            None => Performed::Answered(action, Outcome::Unknown),
        },
        Ok(Answer { status: 400, body }) => {
            let code = serde_json::from_slice::<Json>(&body)
                .ok()
                .and_then(|v| v["__type"].as_str().map(str::to_owned))
                .unwrap_or_default();
            // Other client errors are answered before anything is done.
            let conditional = code.ends_with("ConditionalCheckFailedException");
            Performed::Answered(action, if conditional { Outcome::ConditionFailed } else { Outcome::Failed })
        }
        Ok(_) => Performed::Answered(action, Outcome::Unknown),
        Err(RequestError::NotSent(_)) => Performed::NotSent(action),
        Err(RequestError::NoAnswer(_)) => Performed::NoAnswer(action),
    }
}

/// The action with what its answer told.
fn observed(action: Action, body: &[u8]) -> Option<Action> {
    let answer: Json = serde_json::from_slice(body).ok()?;
    let value_of = |item: Option<&Json>| -> Option<Value> {
        match item {
            None => Some(None),
            Some(item) => item["v"]["N"].as_str()?.parse().ok().map(Some),
        }
    };
    match action {
        Action::Read(_) => match answer.get("Items") {
            Some(items) => value_of(items.as_array()?.first()).map(Action::Read),
            None => value_of(answer.get("Item")).map(Action::Read),
        },
        Action::Swap { new, .. } => value_of(answer.get("Attributes")).map(|seen| Action::Swap { new, seen }),
        Action::Add { by, .. } => {
            let after = value_of(Some(answer.get("Attributes")?))??;
            Some(Action::Add { by, after })
        }
        Action::Write(_) | Action::CompareAndSet { .. } => Some(action),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_tell_what_was_seen() {
        let read = Action::Read(None);
        let item = br#"{"Item":{"pk":{"S":"a"},"v":{"N":"7"}}}"#;
        assert_eq!(observed(read, item), Some(Action::Read(Some(7))));
        assert_eq!(observed(read, b"{}"), Some(Action::Read(None)));
        let page = br#"{"Count":1,"Items":[{"pk":{"S":"a"},"v":{"N":"7"}}],"ScannedCount":1}"#;
        assert_eq!(observed(read, page), Some(Action::Read(Some(7))));
        assert_eq!(observed(read, br#"{"Count":0,"Items":[]}"#), Some(Action::Read(None)));
        // An item without its value, or no JSON, is no answer that a history can use.
        assert_eq!(observed(read, br#"{"Item":{"pk":{"S":"a"}}}"#), None);
        assert_eq!(observed(read, b"{"), None);
        let swap = Action::Swap { new: Some(1), seen: None };
        let old = br#"{"Attributes":{"pk":{"S":"a"},"v":{"N":"3"}}}"#;
        assert_eq!(observed(swap, old), Some(Action::Swap { new: Some(1), seen: Some(3) }));
        assert_eq!(observed(swap, b"{}"), Some(swap));
        let add = Action::Add { by: 2, after: 0 };
        assert_eq!(observed(add, br#"{"Attributes":{"v":{"N":"5"}}}"#), Some(Action::Add { by: 2, after: 5 }));
        assert_eq!(observed(add, b"{}"), None, "a counter's step tells its sum");
    }

    #[test]
    fn every_kind_of_operation_is_in_the_mix() {
        let mut rng = StdRng::seed_from_u64(1);
        let operations: std::collections::BTreeSet<_> = (0..400)
            .map(|n| {
                let action = choose(&mut rng, n, (n % 2 == 0).then_some(4));
                let (operation, body) = request("t", 1, action, n % 4 == 0);
                (operation, body.get("ConditionExpression").is_some(), body.get("ReturnValues").is_some())
            })
            .collect();
        let expected = [
            ("DeleteItem", false, false),
            ("DeleteItem", false, true),
            ("DeleteItem", true, false),
            ("GetItem", false, false),
            ("PutItem", false, false),
            ("PutItem", false, true),
            ("PutItem", true, false),
            ("Query", false, false),
            ("UpdateItem", false, true),
        ];
        assert_eq!(operations, expected.into_iter().collect());
    }
}
