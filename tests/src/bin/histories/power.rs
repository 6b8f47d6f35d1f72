//! Everything dies at once, under load; after the restart everything acknowledged is there.

use crate::Limits;
use crate::report::{Seed, Verdict};
use crate::seed::judge;
use crate::setting::{Setting, call};
use anyhow::{Context, Result, bail};
use breakwater_testkit::client::Client;
use breakwater_testkit::history::{Outcome, counts};
use breakwater_testkit::register::{read_all, run};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LEDGER: &str = "power-loss-ledger";
const BATCH: usize = 10;
/// Load goes on after the restart, so that histories span it.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// Rows by what their writers were told. Each is written once, under a name of its own.
#[derive(Default)]
pub struct Ledger {
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
    /// Tables whose CreateTable was acknowledged.
    tables: BTreeSet<String>,
}

impl Ledger {
    fn add(&mut self, other: Ledger) {
        self.acknowledged.extend(other.acknowledged);
        self.unknown.extend(other.unknown);
        self.tables.extend(other.tables);
    }
}

/// Writes rows one by one and in batches until told to stop; another door after each failure.
async fn write_rows(doors: Vec<Client>, n: usize, round: u64, stop: Arc<AtomicBool>) -> Ledger {
    let mut doors = doors;
    let mut door = n % doors.len();
    let mut ledger = Ledger::default();
    let mut turn = 0u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let count = if turn.is_multiple_of(4) { BATCH } else { 1 };
        let rows: Vec<String> = (0..count).map(|i| format!("row-{round}-{n}-{turn}-{i}")).collect();
        let item = |row: &String| json!({"pk": {"S": row}, "text": {"S": row.repeat(20)}});
        let (operation, body) = match rows.as_slice() {
            [row] => ("PutItem", json!({"TableName": LEDGER, "Item": item(row)})),
            rows => {
                let puts: Vec<Value> = rows.iter().map(|row| json!({"PutRequest": {"Item": item(row)}})).collect();
                ("BatchWriteItem", json!({"RequestItems": {LEDGER: puts}}))
            }
        };
        let answer = doors[door].call(operation, body.to_string().as_bytes()).await;
        let told = answer.ok().filter(|a| a.status == 200).and_then(|a| serde_json::from_slice::<Value>(&a.body).ok());
        match told {
            Some(told) => {
                let again = told["UnprocessedItems"][LEDGER].as_array().into_iter().flatten();
                let again: BTreeSet<String> =
                    again.filter_map(|w| w["PutRequest"]["Item"]["pk"]["S"].as_str().map(str::to_owned)).collect();
                ledger.acknowledged.extend(rows.into_iter().filter(|row| !again.contains(row)));
            }
            None => {
                ledger.unknown.extend(rows);
                door = (door + 1) % doors.len();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    ledger
}

/// Makes tables until one fails.
async fn make_tables(mut client: Client, round: u64, stop: Arc<AtomicBool>) -> Ledger {
    let mut ledger = Ledger::default();
    for n in 0..3 {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("power-loss-{round}-{n}");
        let create = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]});
        if call(&mut client, "CreateTable", &create).await.is_err() {
            break;
        }
        ledger.tables.insert(name);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    ledger
}

/// All rows, by strongly consistent scan, page after page.
async fn scan_rows(client: &mut Client) -> Result<BTreeMap<String, String>> {
    let mut rows = BTreeMap::new();
    let mut body = json!({"TableName": LEDGER, "ConsistentRead": true});
    loop {
        let page = call(client, "Scan", &body).await?;
        for item in page["Items"].as_array().context("a page without items")? {
            let field = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
            rows.insert(field("pk"), field("text"));
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => body["ExclusiveStartKey"] = key.clone(),
            None => return Ok(rows),
        }
    }
}

/// What of the ledger is gone, changed, or was never written.
fn compare(ledger: &Ledger, rows: &BTreeMap<String, String>) -> Option<String> {
    let lost: Vec<&String> = ledger.acknowledged.iter().filter(|row| !rows.contains_key(*row)).collect();
    if !lost.is_empty() {
        let named: Vec<&&String> = lost.iter().take(5).collect();
        return Some(format!("{} of {} acknowledged rows are lost: {named:?}", lost.len(), ledger.acknowledged.len()));
    }
    if let Some((row, _)) = rows.iter().find(|(row, text)| **text != row.repeat(20)) {
        return Some(format!("{row} is there, but not as it was written"));
    }
    let known = |row: &String| ledger.acknowledged.contains(row) || ledger.unknown.contains(row);
    rows.keys().find(|row| !known(row)).map(|row| format!("{row} was never written"))
}

/// The rows and tables that were acknowledged, against what is there.
async fn check_ledger(setting: &Setting, ledger: &Ledger) -> Result<Option<String>> {
    let mut client = setting.client();
    let rows = scan_rows(&mut client).await?;
    if let Some(why) = compare(ledger, &rows) {
        return Ok(Some(why));
    }
    for table in &ledger.tables {
        let described = client.call("DescribeTable", json!({"TableName": table}).to_string().as_bytes()).await?;
        if described.status != 200 {
            let text = String::from_utf8_lossy(&described.body).into_owned();
            return Ok(Some(format!("table {table} was acknowledged and is lost: {text}")));
        }
        setting.await_active(table).await?;
    }
    Ok(None)
}

/// The ledger's table, in a region that never had one.
pub async fn prepare(setting: &Setting) -> Result<()> {
    let body = json!({"TableName": LEDGER}).to_string();
    if setting.client().call("DescribeTable", body.as_bytes()).await?.status == 200 {
        bail!("table {LEDGER} is there already: this needs a region of its own");
    }
    setting.create_table(LEDGER).await
}

/// One round: load, everything killed at once, everything started, everything compared.
pub async fn round(setting: &Setting, ledger: &mut Ledger, seed: u64, limits: &Limits) -> Result<Seed> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5bd1_e995);
    let table = format!("power-{seed}-{}", std::process::id());
    setting.create_table(&table).await?;
    let workload = setting.workload(&table, seed, limits.clients, limits.keys, limits.pause_ms);
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let registers = tokio::spawn(run(workload.clone(), stop.clone()));
    let doors =
        || setting.doors.iter().map(|d| Client::new(*d, setting.key.clone(), Duration::from_secs(12))).collect();
    let writers: Vec<_> =
        (0..limits.clients).map(|n| tokio::spawn(write_rows(doors(), n, seed, stop.clone()))).collect();
    let makers = tokio::spawn(make_tables(setting.client(), seed, stop.clone()));
    // From just begun to well on its way.
    tokio::time::sleep(Duration::from_millis(rng.random_range(300..limits.seconds.max(1) * 1_000))).await;
    // Every other time power goes again while nodes recover.
    let again = (rng.random_range(0..2) == 0).then(|| Duration::from_millis(rng.random_range(0..1_500)));
    let restarted = tokio::task::block_in_place(|| {
        setting.kill_all()?;
        if let Some(after) = again {
            setting.region.start(&mut |_| {})?;
            std::thread::sleep(after);
            setting.kill_all()?;
        }
        setting.up()
    });
    tokio::time::sleep(AFTERWARDS).await;
    stop.store(true, Ordering::Relaxed);
    let mut operations = registers.await?;
    for writer in writers {
        ledger.add(writer.await?);
    }
    ledger.add(makers.await?);
    let seconds = began.elapsed().as_secs_f64();
    let counted = counts(&operations);
    let conditions_failed = operations.iter().filter(|o| o.outcome == Outcome::ConditionFailed).count();
    let total = operations.len();
    let verdict = match restarted {
        Err(e) => Verdict::Failed(format!("{e:#}")),
        Ok(()) => {
            let read = read_all(&workload, &mut operations).await;
            match (judge(seed, &operations, &limits.keep), check_ledger(setting, ledger).await, read) {
                (wrong @ Verdict::Violation(_), _, _) => wrong,
                (_, Ok(Some(lost)), _) => Verdict::Violation(lost),
                (_, Err(e), _) => Verdict::Failed(format!("{e:#}")),
                (_, _, Err(e)) => Verdict::Failed(e),
                (verdict, Ok(None), Ok(())) => verdict,
            }
        }
    };
    if verdict == Verdict::Clean {
        setting.delete_table(&table).await?;
        for table in std::mem::take(&mut ledger.tables) {
            setting.delete_table(&table).await?;
        }
    }
    Ok(Seed {
        seed,
        mode: "power-loss",
        seconds,
        operations: total,
        conditions_failed,
        counts: counted,
        kept: ledger.acknowledged.len(),
        faults: Vec::new(),
        verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_tells_what_is_lost_changed_or_nobodys() {
        let rows = |names: &[&str]| -> BTreeMap<String, String> {
            names.iter().map(|n| ((*n).to_owned(), n.repeat(20))).collect()
        };
        let mut ledger = Ledger::default();
        ledger.acknowledged.extend(["a".to_owned(), "b".to_owned()]);
        ledger.unknown.insert("c".to_owned());
        assert_eq!(compare(&ledger, &rows(&["a", "b"])), None);
        assert_eq!(compare(&ledger, &rows(&["a", "b", "c"])), None, "an unknown one may be there");
        assert!(compare(&ledger, &rows(&["a", "c"])).unwrap().contains("1 of 2 acknowledged rows are lost"));
        assert!(compare(&ledger, &rows(&["a", "b", "d"])).unwrap().contains("never written"));
        let mut changed = rows(&["a", "b"]);
        changed.insert("b".to_owned(), "other".to_owned());
        assert!(compare(&ledger, &changed).unwrap().contains("not as it was written"));
    }
}
