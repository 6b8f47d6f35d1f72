//! How many events a second the audit group takes: three nodes in one process, with real disks, Raft and mTLS, each with
//! a spool into which callers record one event a call, as front doors do.
//!
//!     cargo run --release -p breakwater-audit --example rate -- [SECONDS] [CALLERS] [FOLDER]

use anyhow::{Result, anyhow};
use breakwater_audit::{AuditService, DataEvents, Spool};
use breakwater_aws::audit::{DataCall, new_id};
use breakwater_aws::{Event, Recorder};
use breakwater_consensus::{Groups, raft_id_of};
use breakwater_identity::{Ca, Credentials, PeerIdentity, new_request};
use breakwater_meta::{MetaClient, Mirror};
use breakwater_net::Listener;
use breakwater_storage::{DevKeyFile, EngineKind, LogOptions, LogStore, Store, StoreOptions};
use breakwater_transport::Transport;
use breakwater_types::formats::{Formats, TRAILS};
use breakwater_types::{AccountId, NodeKind, NodeName, Region, SharedClock, SystemClock};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const NODES: usize = 3;
/// As an event of IAM has.
const RECORD_BYTES: usize = 1_400;
const PATIENCE: Duration = Duration::from_secs(120);

struct Node {
    audit: Arc<AuditService>,
    spool: Arc<Spool>,
    groups: Arc<Groups>,
}

/// Its transport, where it is reached.
async fn connect(ca: &Ca, name: &NodeName, clock: &SharedClock) -> Result<(Arc<Transport>, std::net::SocketAddr)> {
    let region = Region::new("us-east-1")?;
    let identity = PeerIdentity { name: name.clone(), kind: NodeKind::Control, zone: None, region };
    let (key, request) = new_request()?;
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let certificate = ca.sign(&request, &identity, address)?;
    let credentials = Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone())?;
    let transport = Transport::new(credentials, Default::default());
    let listener = Listener::bind((address, 0).into()).await?;
    let at = listener.local_addr()?;
    tokio::spawn(transport.clone().serve(listener, std::future::pending()));
    Ok((transport, at))
}

async fn start(
    dir: &Path,
    names: &[NodeName],
    at: usize,
    transport: Arc<Transport>,
    clock: SharedClock,
) -> Result<Node> {
    let dir = dir.join(names[at].as_str());
    std::fs::create_dir_all(&dir)?;
    let provider = Arc::new(DevKeyFile::open_or_create(dir.join("dev.key"))?);
    let log = LogStore::open(&dir.join("log"), LogOptions::new(provider.clone()))?;
    let store = Store::open(&dir.join("state"), StoreOptions::new(EngineKind::Fjall, provider))?;
    let kinds = &[NodeKind::Control];
    let id = raft_id_of(&names[at], 1);
    let groups = Groups::open(id, transport.clone(), log, store.clone(), kinds, Default::default());
    let formats = Arc::new(Formats::default());
    formats.raise_to(TRAILS);
    let audit = AuditService::start(&transport, formats.clone(), clock);
    let founders: BTreeMap<u64, NodeName> = names.iter().map(|name| (raft_id_of(name, 1), name.clone())).collect();
    audit.start_group(&groups, founders).await?;
    // No trail asks for data events here.
    let trails = Mirror::start(MetaClient::new(transport.clone(), vec![]), breakwater_audit::trails::PREFIX.to_vec());
    let data_events = DataEvents::start(trails, Arc::new(|_, _| DataCall { parameters: Value::Null, api_version: "" }));
    let spool = Spool::start(store, transport, names.to_vec(), formats, data_events)?;
    Ok(Node { audit, spool, groups })
}

fn event(account: &AccountId, clock: &SharedClock) -> Event {
    Event {
        account: account.clone(),
        unix_ms: clock.unix_ms(),
        id: new_id(),
        done: true,
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        user_name: "administrator".to_owned(),
        resources: vec![format!("arn:aws:iam::{account}:user/somebody")],
        record: "x".repeat(RECORD_BYTES),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let seconds: u64 = words.next().map_or(Ok(10), |word| word.parse())?;
    let callers: usize = words.next().map_or(Ok(256), |word| word.parse())?;
    let dir = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("breakwater-audit-rate-{}", std::process::id()));
    let clock = SystemClock::shared();
    let ca = Ca::generate("us-east-1", clock.clone())?;
    let names: Vec<NodeName> = (0..NODES).map(|n| format!("node-{n}").parse()).collect::<Result<_, _>>()?;
    let mut connected = Vec::new();
    for name in &names {
        connected.push(connect(&ca, name, &clock).await?);
    }
    for (transport, _) in &connected {
        for (name, (_, address)) in names.iter().zip(&connected) {
            transport.set_address(name, *address);
        }
    }
    let mut nodes = Vec::new();
    for (n, (transport, _)) in connected.iter().enumerate() {
        nodes.push(start(&dir, &names, n, transport.clone(), clock.clone()).await?);
    }
    let account = AccountId::new("111122223333")?;
    // Somebody has to lead first.
    nodes[0]
        .spool
        .record(vec![event(&account, &clock)], Instant::now() + PATIENCE)
        .await
        .map_err(|e| anyhow!("{e}"))?;
    let arrived = || nodes.iter().map(|node| node.audit.before(i64::MAX)).max().unwrap_or(0);
    let begun = Instant::now();
    while arrived() < 1 {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "nobody leads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (stop, recorded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..callers {
        let (spool, stop, recorded) = (nodes[caller % NODES].spool.clone(), stop.clone(), recorded.clone());
        let (account, clock) = (account.clone(), clock.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let kept = spool.record(vec![event(&account, &clock)], Instant::now() + PATIENCE).await;
                if kept.is_ok() {
                    recorded.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let (kept, at_group) = (recorded.load(Ordering::Relaxed), arrived());
    let elapsed = begun.elapsed().as_secs_f64();
    for task in tasks {
        task.await?;
    }
    println!("recorded, and answered: {:.0} events/s", kept as f64 / elapsed);
    println!("arrived in the group:   {:.0} events/s", at_group as f64 / elapsed);
    let all = recorded.load(Ordering::Relaxed) + 1;
    while arrived() < all {
        anyhow::ensure!(begun.elapsed() < PATIENCE, "only {} of {all} arrived", arrived());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    println!("all {all} arrived in {elapsed:.1} s: {:.0} events/s", all as f64 / elapsed);
    for node in &nodes {
        node.groups.shutdown().await;
    }
    // What still runs in the background may write a file while its folder goes: the figures are told all the same.
    if let Err(e) = std::fs::remove_dir_all(&dir) {
        eprintln!("{} stays: {e}", dir.display());
    }
    Ok(())
}
