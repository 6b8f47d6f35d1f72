//! `scripts/bench auth`: what authentication and authorization add to a GetItem, in CPU of the data node that serves it.
//!
//! The script starts two regions, one of them with data nodes that check nothing. This program loads both in turns, for
//! principals with few and many policies, before and after there are many users, and prints a table.

use anyhow::{Context, Result, bail, ensure};
use breakwater_testkit::client::{AccessKey, Client};
use breakwater_tests::measure::{access_key, cpu_us};
use clap::Parser;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "GetItem with and without authentication and authorization, in turns")]
struct Args {
    /// A data node's endpoint, in the region that checks.
    #[arg(long)]
    checked: SocketAddr,
    #[arg(long)]
    checked_pid: u32,
    /// The same in the region that checks nothing.
    #[arg(long)]
    unchecked: SocketAddr,
    #[arg(long)]
    unchecked_pid: u32,
    /// IAM's endpoint, in the region that checks.
    #[arg(long)]
    iam: SocketAddr,
    /// The administrators' credentials files, one for each account; the first one's has the table.
    #[arg(long)]
    credentials: Vec<PathBuf>,
    /// IAM's endpoint in the region that checks nothing at its data nodes: it gets as many users, so that its nodes store
    /// and remember as much.
    #[arg(long)]
    unchecked_iam: SocketAddr,
    #[arg(long)]
    unchecked_credentials: Vec<PathBuf>,
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Users in the end, over all accounts.
    #[arg(long, default_value_t = 100_000)]
    users: usize,
    /// Every how-manieth of them has an access key.
    #[arg(long, default_value_t = 10)]
    key_every: usize,
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    #[arg(long)]
    json: Option<PathBuf>,
}

const TABLE: &str = "bench";
const KEYS: u64 = 1_000;
const ACCOUNT: &str = "111122223333";
/// AWS's quota of users in an account.
const USERS_OF_ACCOUNT: usize = 5_000;
/// What is added at most, of CPU.
const GOAL_US: f64 = 15.0;

/// Who asks, and what her ten policies are like.
const PRINCIPALS: [(&str, &str); 3] = [
    ("administrator", "AdministratorAccess alone"),
    ("plain", "ten attached policies, 30 statements"),
    ("conditions", "ten attached policies, 30 statements with conditions"),
];

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

async fn iam(client: &mut Client, action: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let mut form = format!("Action={action}&Version=2010-05-08");
    for (name, value) in parameters {
        form.push_str(&format!("&{name}={}", encoded(value)));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.form(&form).await;
        match answer {
            Ok(answer) if answer.status == 200 => return Ok(String::from_utf8_lossy(&answer.body).into_owned()),
            // The call before may have done it without its answer having come.
            Ok(answer) if answer.status == 409 => return Ok(String::new()),
            Ok(answer) if answer.status < 500 && answer.status != 429 || Instant::now() > deadline => {
                bail!("{action}: {}", String::from_utf8_lossy(&answer.body))
            }
            Err(e) if Instant::now() > deadline => bail!("{action}: {e}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn element<'a>(xml: &'a str, name: &str) -> Result<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>")).with_context(|| format!("no {name}"))?;
    Ok(rest.split_once('<').with_context(|| format!("no end of {name}"))?.0)
}

/// The how-manieth of a principal's ten policies. The last one lets her read the table; the others are what people
/// carry with them beside.
fn policy(n: usize, conditions: bool) -> String {
    let arn = |table: &str| format!("arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/{table}");
    let table = if n == 9 { arn(TABLE) } else { arn(&format!("team-{n}-*")) };
    let mut statements = [
        json!({"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem"], "Resource": table}),
        json!({"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": [format!("arn:aws:s3:::data-{n}"), format!("arn:aws:s3:::data-{n}/*")]}),
        json!({"Effect": "Deny", "Action": ["dynamodb:Delete*", "dynamodb:Update*"], "Resource": arn("*")}),
    ];
    if conditions {
        statements[0]["Condition"] = json!({
            "IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "127.0.0.0/8"]},
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["key-*"]},
            "StringEquals": {"aws:PrincipalTag/team": ["red", "blue"]}});
        statements[1]["Condition"] = json!({"Bool": {"aws:SecureTransport": "true"}});
        // Of the table itself: weighed at every read.
        statements[2] = json!({"Effect": "Deny", "Action": "dynamodb:*", "Resource": arn("*"),
            "Condition": {"DateGreaterThan": {"aws:CurrentTime": "2099-01-01T00:00:00Z"}, "StringNotLike": {"aws:username": "c*"}}});
    }
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// A user with ten policies, and her key.
async fn principal(admin: &mut Client, name: &str, region: &str) -> Result<AccessKey> {
    let tag = [("UserName", name), ("Tags.member.1.Key", "team"), ("Tags.member.1.Value", "blue")];
    iam(admin, "CreateUser", &tag).await?;
    for n in 0..10 {
        let (policy_name, document) = (format!("{name}-{n}"), policy(n, name == "conditions"));
        iam(admin, "CreatePolicy", &[("PolicyName", &policy_name), ("PolicyDocument", &document)]).await?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{policy_name}");
        iam(admin, "AttachUserPolicy", &[("UserName", name), ("PolicyArn", &arn)]).await?;
    }
    let made = iam(admin, "CreateAccessKey", &[("UserName", name)]).await?;
    let (id, secret) = (element(&made, "AccessKeyId")?.to_owned(), element(&made, "SecretAccessKey")?.to_owned());
    Ok(AccessKey { id, secret, region: region.to_owned() })
}

/// Many at once.
async fn make_users(args: &Args, iam_at: SocketAddr, admins: &[AccessKey], count: usize) -> Result<()> {
    const WORKERS: usize = 32;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let (admins, key_every) = (admins.to_vec(), args.key_every);
        workers.push(tokio::spawn(async move {
            let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
            for n in (worker..count).step_by(WORKERS) {
                let account = n / (USERS_OF_ACCOUNT - 100);
                let key = admins.get(account).context("too few accounts for so many users")?;
                let client = clients
                    .entry(account)
                    .or_insert_with(|| Client::of(iam_at, key.clone(), "iam", Duration::from_secs(20)));
                let name = format!("user-{n}");
                iam(client, "CreateUser", &[("UserName", &name)]).await?;
                if n % key_every == 0 {
                    iam(client, "CreateAccessKey", &[("UserName", &name)]).await?;
                }
            }
            anyhow::Ok(())
        }));
    }
    for worker in workers {
        worker.await??;
    }
    Ok(())
}

async fn prepare(address: SocketAddr, key: &AccessKey) -> Result<()> {
    let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
    let create = json!({
        "TableName": TABLE, "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]
    });
    let answer = client.call("CreateTable", create.to_string().as_bytes()).await?;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    ensure!(answer.status == 200 || said.contains("ResourceInUse"), "CreateTable: {said}");
    let deadline = Instant::now() + Duration::from_secs(30);
    for n in 0..KEYS {
        let item =
            json!({"TableName": TABLE, "Item": {"pk": {"S": format!("key-{n}")}, "v": {"S": "x".repeat(1_000)}}});
        while client.call("PutItem", item.to_string().as_bytes()).await?.status != 200 {
            ensure!(Instant::now() < deadline, "the table takes no items");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    cpu_us: f64,
    per_second: f64,
}

async fn load(args: &Args, address: SocketAddr, pid: u32, key: &AccessKey) -> Result<Sample> {
    let (started, before) = (Instant::now(), cpu_us(pid).context("the node is gone")?);
    let until = started + Duration::from_secs(args.seconds);
    let mut tasks = Vec::new();
    for c in 0..args.connections {
        let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
        tasks.push(tokio::spawn(async move {
            let (mut done, mut n) = (0u64, c as u64 * 7_919);
            while Instant::now() < until {
                n += 1;
                let body = format!(r#"{{"TableName":"{TABLE}","Key":{{"pk":{{"S":"key-{}"}}}}}}"#, n % KEYS);
                let answer = client.call("GetItem", body.as_bytes()).await?;
                ensure!(answer.status == 200, "GetItem: {}", String::from_utf8_lossy(&answer.body));
                done += 1;
            }
            Ok(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    let cpu = cpu_us(pid).context("the node is gone")? - before;
    ensure!(done > 0, "nothing was done");
    Ok(Sample { cpu_us: cpu / done as f64, per_second: done as f64 / started.elapsed().as_secs_f64() })
}

fn median(mut samples: Vec<Sample>) -> Sample {
    samples.sort_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us));
    samples[samples.len() / 2]
}

/// A row for each principal: with the check, without, and what it adds.
async fn measure(
    args: &Args,
    users: usize,
    who: &[(&str, AccessKey)],
    rows: &mut Vec<serde_json::Value>,
) -> Result<()> {
    let mut samples: Vec<(Vec<Sample>, Vec<Sample>)> = vec![Default::default(); who.len()];
    for _ in 0..args.rounds {
        for ((_, key), (checked, unchecked)) in who.iter().zip(&mut samples) {
            checked.push(load(args, args.checked, args.checked_pid, key).await?);
            unchecked.push(load(args, args.unchecked, args.unchecked_pid, key).await?);
        }
    }
    for ((what, _), (checked, unchecked)) in who.iter().zip(samples) {
        let (with, without) = (median(checked), median(unchecked));
        let adds = with.cpu_us - without.cpu_us;
        println!(
            "| {what} | {users} | {:.1} | {:.1} | {adds:.1} | {:.2} | {:.0} | {:.0} |",
            with.cpu_us,
            without.cpu_us,
            with.cpu_us / without.cpu_us,
            with.per_second,
            without.per_second
        );
        rows.push(json!({
            "principal": what, "users": users, "with_us": with.cpu_us, "without_us": without.cpu_us, "adds_us": adds,
            "with_per_second": with.per_second, "without_per_second": without.per_second}));
    }
    Ok(())
}

/// Waits until the data node knows this key.
async fn known(address: SocketAddr, key: &AccessKey) -> Result<()> {
    let mut client = Client::new(address, key.clone(), Duration::from_secs(10));
    let deadline = Instant::now() + Duration::from_secs(60);
    let body = format!(r#"{{"TableName":"{TABLE}","Key":{{"pk":{{"S":"key-1"}}}}}}"#);
    loop {
        let answer = client.call("GetItem", body.as_bytes()).await?;
        if answer.status == 200 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still not known: {}", String::from_utf8_lossy(&answer.body));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn keys(paths: &[PathBuf], region: &str) -> Result<Vec<AccessKey>> {
    paths.iter().map(|path| access_key(Path::new(path), region)).collect()
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let admins = keys(&args.credentials, &args.region)?;
    let first = admins.first().context("--credentials")?;
    prepare(args.checked, first).await.context("the region that checks")?;
    prepare(args.unchecked, first).await.context("the region that doesn't")?;
    let mut stranger =
        Client::new(args.checked, AccessKey { id: "AKIANOBODY".into(), ..first.clone() }, Duration::from_secs(5));
    ensure!(stranger.call("ListTables", b"{}").await?.status != 200, "the region that checks lets anybody in");

    let mut admin = Client::of(args.iam, first.clone(), "iam", Duration::from_secs(20));
    let mut who = Vec::new();
    for (name, what) in PRINCIPALS {
        let key =
            if name == "administrator" { first.clone() } else { principal(&mut admin, name, &args.region).await? };
        known(args.checked, &key).await?;
        who.push((what, key));
    }
    println!("| principal | users | with, µs | without, µs | the check adds, µs | ratio | per second with | without |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut rows = Vec::new();
    let few = PRINCIPALS.len();
    measure(&args, few, &who, &mut rows).await?;
    if args.users > few {
        let made = args.users - few;
        let unchecked = keys(&args.unchecked_credentials, &args.region)?;
        for (iam_at, admins) in [(args.iam, &admins), (args.unchecked_iam, &unchecked)] {
            let begun = Instant::now();
            make_users(&args, iam_at, admins, made).await.context("making users")?;
            let seconds = begun.elapsed().as_secs_f64();
            eprintln!("{made} users made in {seconds:.0} s, {:.0} a second", made as f64 / seconds);
        }
        for (_, key) in &who {
            known(args.checked, key).await?;
        }
        measure(&args, args.users, &who, &mut rows).await?;
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&rows)?)?;
    }
    let worst = rows.iter().filter_map(|row| row["adds_us"].as_f64()).fold(0.0, f64::max);
    let verdict = if worst <= GOAL_US { "reached" } else { "not reached" };
    println!("\nGoal: at most {GOAL_US} µs more. {verdict}: {worst:.1} µs at most.");
    Ok(())
}
