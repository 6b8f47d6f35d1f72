//! `scripts/bench dynamodb`: the same load on Breakwater, etcd and dynalite, in turns, in one run.
//!
//! The script starts the servers; this program makes the load, measures, prints a table and writes JSON and SVG.

use anyhow::{Context, Result, bail};
use breakwater_testkit::client::{AccessKey, Client};
use breakwater_tests::measure::{access_key, cpu_us};
use clap::Parser;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Load on Breakwater and its peers, in turns")]
struct Args {
    /// Breakwater's DynamoDB endpoint.
    #[arg(long)]
    breakwater: SocketAddr,
    /// File with the access key: an AWS credentials file with one profile.
    #[arg(long)]
    credentials: PathBuf,
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// A member of an etcd cluster.
    #[arg(long)]
    etcd: Option<SocketAddr>,
    #[arg(long)]
    dynalite: Option<SocketAddr>,
    /// A server process whose CPU time is counted: KIND=PID.
    #[arg(long = "pid")]
    pids: Vec<String>,
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    #[arg(long, value_delimiter = ',', default_value = "1,32,128")]
    connections: Vec<usize>,
    #[arg(long)]
    json: Option<PathBuf>,
    #[arg(long)]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Work {
    PutItem,
    UpdateItem,
    GetItemConsistent,
    GetItemEventual,
    Query25,
}

impl Work {
    const ALL: [Work; 5] =
        [Work::PutItem, Work::UpdateItem, Work::GetItemConsistent, Work::GetItemEventual, Work::Query25];

    fn name(self) -> &'static str {
        match self {
            Work::PutItem => "PutItem 1 KB",
            Work::UpdateItem => "UpdateItem 1 KB",
            Work::GetItemConsistent => "GetItem 1 KB, strong",
            Work::GetItemEventual => "GetItem 1 KB, eventual",
            Work::Query25 => "Query of 25 items",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Sample {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    errors: u64,
    /// CPU of the servers per request, by process kind; Breakwater only.
    cpu_us: BTreeMap<String, f64>,
}

const TABLE: &str = "bench";
const KEYS: u64 = 10_000;

fn body(work: Work, n: u64) -> (&'static str, String) {
    let pk = format!("key-{}", n % KEYS);
    match work {
        Work::PutItem => (
            "PutItem",
            format!(
                r#"{{"TableName":"{TABLE}","Item":{{"pk":{{"S":"{pk}"}},"sk":{{"N":"0"}},"v":{{"S":"{}"}}}}}}"#,
                "x".repeat(1_000)
            ),
        ),
        Work::UpdateItem => (
            "UpdateItem",
            format!(
                r#"{{"TableName":"{TABLE}","Key":{{"pk":{{"S":"{pk}"}},"sk":{{"N":"0"}}}},"UpdateExpression":"SET v = :v","ExpressionAttributeValues":{{":v":{{"S":"{}"}}}}}}"#,
                "y".repeat(1_000)
            ),
        ),
        Work::GetItemConsistent | Work::GetItemEventual => (
            "GetItem",
            format!(
                r#"{{"TableName":"{TABLE}","Key":{{"pk":{{"S":"{pk}"}},"sk":{{"N":"0"}}}},"ConsistentRead":{}}}"#,
                work == Work::GetItemConsistent
            ),
        ),
        Work::Query25 => (
            "Query",
            format!(
                r#"{{"TableName":"{TABLE}","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{{":p":{{"S":"q-{}"}}}},"ConsistentRead":true}}"#,
                n % 40
            ),
        ),
    }
}

fn percentile(sorted: &[u64], p: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * p) as usize] as f64 / 1_000.0
}

fn summed(latencies: Vec<Vec<u64>>, errors: u64, elapsed: Duration, cpu: BTreeMap<String, f64>) -> Sample {
    let mut all: Vec<u64> = latencies.into_iter().flatten().collect();
    all.sort_unstable();
    let n = all.len().max(1) as f64;
    Sample {
        per_second: all.len() as f64 / elapsed.as_secs_f64(),
        p50_us: percentile(&all, 0.5),
        p99_us: percentile(&all, 0.99),
        errors,
        cpu_us: cpu.into_iter().map(|(kind, us)| (kind, us / n)).collect(),
    }
}

/// CPU microseconds of the processes so far, by kind.
fn cpu(pids: &[(String, u32)]) -> BTreeMap<String, f64> {
    let mut by_kind = BTreeMap::new();
    for (kind, pid) in pids {
        *by_kind.entry(kind.clone()).or_insert(0.0) += cpu_us(*pid).unwrap_or(0.0);
    }
    by_kind
}

async fn dynamodb(
    address: SocketAddr,
    key: &AccessKey,
    work: Work,
    connections: usize,
    duration: Duration,
    pids: &[(String, u32)],
) -> Sample {
    let until = Instant::now() + duration;
    let before = cpu(pids);
    let started = Instant::now();
    let mut tasks = Vec::new();
    for c in 0..connections {
        let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut errors = 0;
            let mut n = c as u64 * 7_919;
            while Instant::now() < until {
                n += 1;
                let (operation, body) = body(work, n);
                let at = Instant::now();
                match client.call(operation, body.as_bytes()).await {
                    Ok(answer) if answer.status == 200 => latencies.push(at.elapsed().as_nanos() as u64),
                    _ => errors += 1,
                }
            }
            (latencies, errors)
        }));
    }
    let mut latencies = Vec::new();
    let mut errors = 0;
    for task in tasks {
        if let Ok((l, e)) = task.await {
            latencies.push(l);
            errors += e;
        }
    }
    let elapsed = started.elapsed();
    let after = cpu(pids);
    let used = after.into_iter().map(|(kind, us)| (kind.clone(), us - before.get(&kind).unwrap_or(&0.0))).collect();
    summed(latencies, errors, elapsed, used)
}

#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

/// What etcd answers isn't looked into.
#[derive(Clone, PartialEq, prost::Message)]
struct Ignored {}

async fn etcd(address: SocketAddr, work: Work, connections: usize, duration: Duration) -> Result<Option<Sample>> {
    let path = match work {
        Work::PutItem => "/etcdserverpb.KV/Put",
        Work::GetItemConsistent => "/etcdserverpb.KV/Range",
        Work::UpdateItem | Work::GetItemEventual | Work::Query25 => return Ok(None),
    };
    let until = Instant::now() + duration;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for c in 0..connections {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        tasks.push(tokio::spawn(async move {
            let mut grpc = tonic::client::Grpc::new(channel);
            let mut latencies = Vec::new();
            let mut errors = 0;
            let mut n = c as u64 * 7_919;
            while Instant::now() < until {
                n += 1;
                let key = format!("key-{}", n % KEYS).into_bytes();
                let at = Instant::now();
                if grpc.ready().await.is_err() {
                    errors += 1;
                    continue;
                }
                let path = http::uri::PathAndQuery::from_static(path);
                let done = if work == Work::PutItem {
                    let request = PutRequest { key, value: vec![b'x'; 1_000] };
                    let codec = tonic_prost::ProstCodec::<PutRequest, Ignored>::default();
                    grpc.unary(tonic::Request::new(request), path, codec).await.is_ok()
                } else {
                    let codec = tonic_prost::ProstCodec::<RangeRequest, Ignored>::default();
                    grpc.unary(tonic::Request::new(RangeRequest { key }), path, codec).await.is_ok()
                };
                if done {
                    latencies.push(at.elapsed().as_nanos() as u64);
                } else {
                    errors += 1;
                }
            }
            (latencies, errors)
        }));
    }
    let mut latencies = Vec::new();
    let mut errors = 0;
    for task in tasks {
        let (l, e) = task.await?;
        latencies.push(l);
        errors += e;
    }
    Ok(Some(summed(latencies, errors, started.elapsed(), BTreeMap::new())))
}

async fn prepare(address: SocketAddr, key: &AccessKey) -> Result<()> {
    let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
    let create = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"}]
    });
    let answer = client.call("CreateTable", create.to_string().as_bytes()).await?;
    if answer.status != 200 && !String::from_utf8_lossy(&answer.body).contains("ResourceInUse") {
        bail!("CreateTable: {}", String::from_utf8_lossy(&answer.body));
    }
    let describe = json!({ "TableName": TABLE }).to_string();
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = client.call("DescribeTable", describe.as_bytes()).await?;
        if String::from_utf8_lossy(&answer.body).contains("\"ACTIVE\"") {
            break;
        }
        if Instant::now() > deadline {
            bail!("the table didn't become ACTIVE");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What is read has to be there: items of 1 KB, and 40 collections of 25.
    let mut tasks = Vec::new();
    for c in 0..16u64 {
        let key = key.clone();
        tasks.push(tokio::spawn(async move {
            let mut client = Client::new(address, key, Duration::from_secs(10));
            for n in (c..KEYS).step_by(16) {
                let (operation, body) = body(Work::PutItem, n);
                let answer = client.call(operation, body.as_bytes()).await?;
                anyhow::ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
            }
            for n in (c..1_000).step_by(16) {
                let item = json!({"TableName": TABLE, "Item": {
                    "pk": {"S": format!("q-{}", n / 25)}, "sk": {"N": (n % 25).to_string()},
                    "v": {"S": "z".repeat(200)}}});
                let answer = client.call("PutItem", item.to_string().as_bytes()).await?;
                anyhow::ensure!(answer.status == 200, "{}", String::from_utf8_lossy(&answer.body));
            }
            anyhow::Ok(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn median(mut samples: Vec<Sample>) -> Option<Sample> {
    samples.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = samples.len() / 2;
    samples.into_iter().nth(middle)
}

type Results = BTreeMap<(Work, usize), BTreeMap<&'static str, Sample>>;

fn table(results: &Results) -> String {
    let mut out = String::from(
        "| work | connections | server | per second | p50 ms | p99 ms | ours / theirs | CPU µs a request |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for ((work, connections), servers) in results {
        let ours = servers.get("breakwater").map_or(f64::NAN, |s| s.per_second);
        for (server, s) in servers {
            let ratio = if *server == "breakwater" { String::new() } else { format!("{:.2}", ours / s.per_second) };
            let total: f64 = s.cpu_us.values().sum();
            let parts: Vec<String> = s.cpu_us.iter().map(|(k, v)| format!("{k} {v:.0}")).collect();
            let cpu = if parts.is_empty() { String::new() } else { format!("{total:.0} ({})", parts.join(", ")) };
            let errors = if s.errors > 0 { format!(" ({} errors)", s.errors) } else { String::new() };
            let _ = writeln!(
                out,
                "| {} | {connections} | {server} | {:.0}{errors} | {:.2} | {:.2} | {ratio} | {cpu} |",
                work.name(),
                s.per_second,
                s.p50_us / 1_000.0,
                s.p99_us / 1_000.0
            );
        }
    }
    out
}

/// Bars of throughput, a group for each work and number of connections.
fn svg(results: &Results) -> String {
    let colours = [("breakwater", "#0b6e99"), ("dynalite", "#b5651d"), ("etcd", "#6a7f3f")];
    let bar = 16;
    let rows: usize = results.values().map(|s| s.len()).sum::<usize>() + results.len();
    let height = 60 + rows * (bar + 4);
    let most = results.values().flat_map(|s| s.values()).map(|s| s.per_second).fold(1.0, f64::max);
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}" font-family="sans-serif" font-size="12"><rect width="900" height="{height}" fill="white"/><text x="10" y="24" font-size="16">Requests a second (2 cores, load generator included)</text>"#
    );
    let mut y = 44;
    for ((work, connections), servers) in results {
        let _ = write!(out, r#"<text x="10" y="{}">{}, {connections} connections</text>"#, y + 13, work.name());
        for (server, s) in servers {
            let colour = colours.iter().find(|(name, _)| name == server).map_or("#888", |(_, c)| c);
            let width = (s.per_second / most * 420.0).max(1.0);
            let _ = write!(
                out,
                r#"<rect x="270" y="{y}" width="{width:.0}" height="{bar}" fill="{colour}"/><text x="{:.0}" y="{}">{server} {:.0}/s, p50 {:.2} ms</text>"#,
                276.0 + width,
                y + 13,
                s.per_second,
                s.p50_us / 1_000.0
            );
            y += bar + 4;
        }
        y += bar + 4;
    }
    out.push_str("</svg>\n");
    out
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let key = access_key(&args.credentials, &args.region)?;
    let pids = args
        .pids
        .iter()
        .map(|p| {
            let (kind, pid) = p.split_once('=').context("--pid takes KIND=PID")?;
            Ok((kind.to_owned(), pid.parse()?))
        })
        .collect::<Result<Vec<(String, u32)>>>()?;
    prepare(args.breakwater, &key).await.context("preparing Breakwater")?;
    if let Some(address) = args.dynalite {
        prepare(address, &key).await.context("preparing dynalite")?;
    }
    let duration = Duration::from_secs(args.seconds);
    let mut results = Results::new();
    for connections in &args.connections {
        for work in Work::ALL {
            let mut samples: BTreeMap<&'static str, Vec<Sample>> = BTreeMap::new();
            for _ in 0..args.rounds {
                let sample = dynamodb(args.breakwater, &key, work, *connections, duration, &pids).await;
                samples.entry("breakwater").or_default().push(sample);
                if let Some(address) = args.dynalite {
                    let sample = dynamodb(address, &key, work, *connections, duration, &[]).await;
                    samples.entry("dynalite").or_default().push(sample);
                }
                if let Some(address) = args.etcd
                    && let Some(sample) = etcd(address, work, *connections, duration).await?
                {
                    samples.entry("etcd").or_default().push(sample);
                }
            }
            let medians = samples.into_iter().filter_map(|(server, s)| Some((server, median(s)?))).collect();
            results.insert((work, *connections), medians);
            eprintln!("{} at {connections} connections done", work.name());
        }
    }
    println!("{}", table(&results));
    if let Some(path) = &args.json {
        let rows: Vec<_> = results
            .iter()
            .map(|((work, connections), servers)| {
                json!({"work": work.name(), "connections": connections, "servers": servers})
            })
            .collect();
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    if let Some(path) = &args.svg {
        std::fs::write(path, svg(&results))?;
    }
    Ok(())
}
