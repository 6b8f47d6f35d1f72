//! Mirrors of a store whose contents don't fit into one message, and mirrors that were kept. Real Raft, real mTLS.

use anyhow::Result;
use breakwater_consensus::{Groups, raft_id_of};
use breakwater_identity::{Ca, Credentials, PeerIdentity, new_request};
use breakwater_meta::{MetaClient, MetaMachine, MetaService, Mirror, Op, Txn};
use breakwater_net::Listener;
use breakwater_storage::{DevKeyFile, Engine, LogOptions, LogStore, MemoryEngine};
use breakwater_transport::Transport;
use breakwater_types::{GroupId, ManualClock, NodeKind, NodeName, Region, SharedClock, SystemClock};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

fn patience() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

struct Node {
    name: NodeName,
    transport: Arc<Transport>,
    address: SocketAddr,
}

async fn node(ca: &Ca, clock: &SharedClock, name: &str, kind: NodeKind) -> Result<Node> {
    let name: NodeName = name.parse()?;
    let identity = PeerIdentity { name: name.clone(), kind, zone: None, region: Region::new("us-east-1")? };
    let (key, request) = new_request()?;
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let certificate = ca.sign(&request, &identity, address)?;
    let credentials = Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone())?;
    let transport = Transport::new(credentials, Default::default());
    let listener = Listener::bind((address, 0).into()).await?;
    let address = listener.local_addr()?;
    tokio::spawn(transport.clone().serve(listener, std::future::pending()));
    Ok(Node { name, transport, address })
}

fn open(node: &Node, dir: &Path) -> Result<Arc<Groups>> {
    let dir = dir.join(node.name.as_str());
    std::fs::create_dir_all(&dir)?;
    let provider = Arc::new(DevKeyFile::open_or_create(dir.join("dev.key"))?);
    let log = LogStore::open(&dir.join("log"), LogOptions::new(provider))?;
    let store = Arc::new(MemoryEngine::new(1));
    let id = raft_id_of(&node.name, 1);
    Ok(Groups::open(id, node.transport.clone(), log, store, &[NodeKind::Control], Default::default()))
}

async fn serve(
    node: &Node,
    groups: &Arc<Groups>,
    founders: BTreeMap<u64, NodeName>,
    clock: &SharedClock,
) -> Result<()> {
    let machine = Arc::new(MetaMachine::default());
    let group = groups.start(GroupId::META, machine.clone(), founders).await?;
    MetaService::start(group, machine, &node.transport, clock.clone());
    Ok(())
}

/// A control node with the store, a second one that only waits to become a member, and a data node.
struct Store {
    control: Node,
    groups: Vec<Arc<Groups>>,
    data: Node,
    waiting: NodeName,
    dir: PathBuf,
}

impl Store {
    async fn start() -> Result<Store> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("breakwater-meta-{}-{number}", std::process::id()));
        let clock = SystemClock::shared();
        let ca = Ca::generate("us-east-1", clock.clone())?;
        let control = node(&ca, &clock, "control-node-a1", NodeKind::Control).await?;
        let waiting = node(&ca, &clock, "control-node-b1", NodeKind::Control).await?;
        let data = node(&ca, &clock, "dynamo-node-b1", NodeKind::Dynamo).await?;
        data.transport.set_address(&control.name, control.address);
        data.transport.set_address(&waiting.name, waiting.address);
        let groups = vec![open(&control, &dir)?, open(&waiting, &dir)?];
        let founders = BTreeMap::from([(raft_id_of(&control.name, 1), control.name.clone())]);
        serve(&control, &groups[0], founders, &clock).await?;
        serve(&waiting, &groups[1], BTreeMap::new(), &clock).await?;
        Ok(Store { control, groups, data, waiting: waiting.name, dir })
    }

    /// The data node's, which asks the one first that knows nothing.
    fn client(&self) -> MetaClient {
        MetaClient::new(self.data.transport.clone(), vec![self.waiting.clone(), self.control.name.clone()])
    }

    /// A data node's, with every control node out of reach.
    fn cut_off(&self) -> MetaClient {
        MetaClient::new(self.data.transport.clone(), vec!["control-node-c1".parse().expect("a name")])
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<u64> {
        let txn = Txn { success: vec![Op::put(key, value)], ..Txn::default() };
        Ok(self.client().txn(txn, patience()).await?.revision)
    }

    async fn stop(self) {
        for groups in &self.groups {
            groups.shutdown().await;
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// In one message it was refused by the transport, and every mirror waited for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_more_than_a_message_is_mirrored_while_it_changes() -> Result<()> {
    let store = Arc::new(Store::start().await?);
    for n in 0..40 {
        store.put(&format!("large/{n:02}"), vec![n; 1_000_000]).await?;
    }
    let changing = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for n in 0..60usize {
                last = store.put(&format!("large/{:02}", n % 40), vec![200; 1_000_000 - n]).await?;
            }
            anyhow::Ok(last)
        })
    };
    let mirror = Mirror::start(store.client(), b"large/".to_vec());
    assert!(mirror.filled(patience()).await);
    assert_eq!(mirror.scan_prefix(b"large/").len(), 40, "a node that only learns was believed");
    let last = changing.await??;
    assert!(mirror.wait_for(last, patience()).await);
    for (n, entry) in (0..).zip(mirror.scan_prefix(b"large/")) {
        let newest: usize = if n < 20 { 40 + n } else { n };
        assert_eq!((entry.value.len(), entry.value[0]), (1_000_000 - newest, 200), "{n}");
    }
    if let Ok(store) = Arc::try_unwrap(store) {
        store.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_mirror_begins_as_it_was_and_says_how_old_it_is() -> Result<()> {
    let store = Store::start().await?;
    let disk: Arc<dyn Engine> = Arc::new(MemoryEngine::new(1));
    let clock = ManualClock::new(1_000_000_000);
    let kept = |client| Mirror::start_kept(client, b"aws/".to_vec(), disk.clone(), clock.clone());
    for n in 0..10 {
        store.put(&format!("aws/{n}"), vec![n]).await?;
    }
    let first = kept(store.client());
    assert!(first.filled(patience()).await && first.is_fresh());
    // One change by the watch, which is kept too; then the node ends.
    let revision = store.put("aws/3", vec![33]).await?;
    assert!(first.wait_for(revision, patience()).await);
    let until = patience();
    loop {
        let again = kept(store.cut_off());
        if again.revision() == revision {
            break;
        }
        anyhow::ensure!(Instant::now() < until, "the change isn't kept");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(first);
    store.put("aws/new", vec![1]).await?;
    clock.advance_ms(7_000);
    let again = kept(store.cut_off());
    assert!(again.filled(Instant::now()).await && !again.is_fresh());
    assert!(again.age_ms().is_some_and(|age| age >= 7_000));
    assert_eq!(again.scan_prefix(b"aws/").len(), 10);
    assert_eq!(again.get(b"aws/3").map(|e| e.value.to_vec()), Some(vec![33]));
    drop(again);
    // And with the control store there it goes on from where it was.
    let third = kept(store.client());
    let until = patience();
    while third.get(b"aws/new").is_none() {
        anyhow::ensure!(Instant::now() < until, "it stays old");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(third.is_fresh() && third.age_ms().is_some_and(|age| age < 7_000));
    store.stop().await;
    Ok(())
}
