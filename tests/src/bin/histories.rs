//! Histories of concurrent clients under faults, checked for linearizability key by key.

use anyhow::{Context, Result, bail};
use breakwater_launcher::{Region, Settings, chaos};
use breakwater_testkit::client::{AccessKey, Client};
use breakwater_testkit::history::{Outcome, counts};
use breakwater_testkit::linearizable::{Verdict, check};
use breakwater_testkit::register::{Workload, run};
use clap::Parser;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Concurrent clients on registers while faults hit the region; their history must be linearizable")]
struct Args {
    /// The folder of a running region.
    #[arg(long)]
    region_root: PathBuf,
    /// Where clients go: the edge, or several front doors.
    #[arg(long, value_delimiter = ',')]
    endpoint: Vec<SocketAddr>,
    #[arg(long)]
    seed: u64,
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 5)]
    faults: usize,
    #[arg(long, default_value_t = 8)]
    clients: usize,
    #[arg(long, default_value_t = 40)]
    keys: u32,
    /// Spreads the operations over the run: about clients × 1000 / this a second.
    #[arg(long, default_value_t = 30)]
    pause_ms: u64,
    /// Where the history is kept if it is not linearizable.
    #[arg(long, default_value = "/tmp")]
    keep: PathBuf,
}

async fn table(address: SocketAddr, key: &AccessKey, name: &str) -> Result<()> {
    let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
    let create = json!({"TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]});
    let answer = client.call("CreateTable", create.to_string().as_bytes()).await?;
    anyhow::ensure!(answer.status == 200, "CreateTable: {}", String::from_utf8_lossy(&answer.body));
    let describe = json!({"TableName": name}).to_string();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = client.call("DescribeTable", describe.as_bytes()).await?;
        if String::from_utf8_lossy(&answer.body).contains("\"ACTIVE\"") {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "the table didn't become ACTIVE");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let name = args.region_root.file_name().and_then(|n| n.to_str()).context("the region's folder has no name")?;
    let binaries = std::env::current_exe()?.parent().context("no folder")?.to_owned();
    let region = Region::open(args.region_root.clone(), Settings::new(name), binaries, false)?;
    let admin = region.admin()?;
    let key = AccessKey {
        id: admin.access_key_id,
        secret: admin.secret_access_key,
        region: region.settings.region.to_string(),
    };
    let table_name = format!("registers-{}-{}", args.seed, std::process::id());
    let first = *args.endpoint.first().context("--endpoint is missing")?;
    table(first, &key, &table_name).await?;

    let stop = Arc::new(AtomicBool::new(false));
    let workload = Workload {
        addresses: args.endpoint.clone(),
        key: key.clone(),
        table: table_name.clone(),
        clients: args.clients,
        keys: args.keys,
        seed: args.seed,
        pause: Duration::from_millis(args.pause_ms),
        timeout: Duration::from_secs(12),
    };
    let clients = tokio::spawn(run(workload, stop.clone()));
    let (seed, seconds, faults, hit) = (args.seed, args.seconds, args.faults, table_name.clone());
    let broke = tokio::task::spawn_blocking(move || {
        let done = chaos::random(&region, seed, Duration::from_secs(seconds), faults, Some(&hit), |line| {
            println!("{line}");
        });
        (region, done)
    });
    let (region, done) = broke.await?;
    stop.store(true, Ordering::Relaxed);
    let operations = clients.await?;
    done?;
    let counts = counts(&operations);
    let total = operations.len();
    let conditions = operations.iter().filter(|o| o.outcome == Outcome::ConditionFailed).count();
    let share = counts.unknown as f64 * 100.0 / total.max(1) as f64;
    println!(
        "seed {}: {total} operations, {} ok ({conditions} of them conditions that failed), {} failed, {} unknown ({share:.1} %)",
        args.seed, counts.ok, counts.failed, counts.unknown
    );
    let verdict = check(&operations);
    region.start(&mut |_| {})?;
    region.wait_ready(Duration::from_secs(60), &mut |_| {})?;
    let mut client = Client::new(first, key, Duration::from_secs(10));
    client.call("DeleteTable", json!({"TableName": table_name}).to_string().as_bytes()).await?;
    match verdict {
        Verdict::Linearizable => {
            println!("seed {}: linearizable", args.seed);
            anyhow::ensure!(counts.ok * 2 > total, "fewer than half of the operations were answered");
            Ok(())
        }
        Verdict::Violation { key, explained, of, stuck } => {
            let file = args.keep.join(format!("history-{}.json", args.seed));
            let history: Vec<_> = operations.iter().filter(|o| o.key == key).collect();
            std::fs::write(&file, serde_json::to_vec_pretty(&history)?)?;
            bail!(
                "seed {}: key {key} is not linearizable: {explained} of {of} explained, then {stuck:?}; kept in {}",
                args.seed,
                file.display()
            )
        }
        Verdict::TooLarge { key } => bail!("seed {}: the history of key {key} is too large to check", args.seed),
    }
}
