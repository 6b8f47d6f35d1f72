//! Nodes in one process: real Raft and real mTLS over loopback, stores in memory, logs on disk.
#![allow(dead_code)]

use breakwater_consensus::{Applying, Group, Groups, KeyPrefix, Settings, StateMachine};
use breakwater_identity::{Ca, Credentials, PeerIdentity, new_request};
use breakwater_net::Listener;
use breakwater_storage::{Batch, DevKeyFile, Direction, Engine, LogOptions, LogStore, MemoryEngine, StorageError};
use breakwater_transport::Transport;
use breakwater_types::{GroupId, NodeKind, NodeName, Region, SystemClock};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub const GROUP: GroupId = GroupId(1_000);
const PATIENCE: Duration = Duration::from_secs(30);

/// A command is `key length (1) | key | value`; it puts the value under the key.
pub struct Map;

impl StateMachine for Map {
    fn open(&self, _store: &dyn Engine, _prefix: &KeyPrefix) -> Result<(), StorageError> {
        Ok(())
    }

    fn apply(&self, _at: Applying, command: &Bytes, prefix: &KeyPrefix, batch: &mut Batch) -> Result<Bytes, String> {
        let length = usize::from(*command.first().ok_or("an empty command")?);
        let (key, value) = command[1..].split_at_checked(length).ok_or("a short command")?;
        batch.put(prefix.key(key), value.to_vec());
        Ok(Bytes::new())
    }

    fn applied(&self, _last_index: u64) {}
}

pub fn put(key: &str, value: &[u8]) -> Bytes {
    [&[key.len() as u8], key.as_bytes(), value].concat().into()
}

pub struct Node {
    pub name: NodeName,
    pub transport: Arc<Transport>,
    dir: PathBuf,
    now: Mutex<Life>,
}

/// From one wipe to the next.
#[derive(Clone)]
struct Life {
    number: u32,
    raft_id: u64,
    groups: Arc<Groups>,
    store: Arc<dyn Engine>,
}

pub struct Cluster {
    pub nodes: Vec<Arc<Node>>,
    pub settings: Settings,
    dir: PathBuf,
}

pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        pause(deadline, what).await;
    }
}

async fn pause(deadline: Instant, what: &str) {
    assert!(Instant::now() < deadline, "never: {what}");
    tokio::time::sleep(Duration::from_millis(10)).await;
}

impl Node {
    fn life(&self, number: u32, store: Arc<dyn Engine>, settings: &Settings) -> Life {
        let dir = self.dir.join(number.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        let provider = Arc::new(DevKeyFile::open_or_create(dir.join("dev.key")).unwrap());
        let log = LogStore::open(&dir.join("log"), LogOptions::new(provider)).unwrap();
        let raft_id = breakwater_consensus::raft_id_of(&self.name, number);
        let kinds = &[NodeKind::Dynamo];
        let groups = Groups::open(raft_id, self.transport.clone(), log, store.clone(), kinds, settings.clone());
        Life { number, raft_id, groups, store }
    }

    pub fn raft_id(&self) -> u64 {
        self.now.lock().raft_id
    }

    pub fn groups(&self) -> Arc<Groups> {
        self.now.lock().groups.clone()
    }

    pub fn group(&self) -> Option<Arc<Group>> {
        self.groups().get(GROUP)
    }

    pub fn leads(&self) -> bool {
        self.group().is_some_and(|group| group.is_leader())
    }

    /// Its replica ends; what it stored stays.
    pub async fn stop(&self) {
        self.groups().shutdown().await;
    }

    pub async fn start(&self, founders: BTreeMap<u64, NodeName>) -> Arc<Group> {
        self.groups().start(GROUP, Arc::new(Map), founders).await.unwrap()
    }

    /// Everything that it stores, by key.
    pub fn state(&self) -> BTreeMap<Vec<u8>, Bytes> {
        let Some(group) = self.group() else { return BTreeMap::new() };
        let prefix = group.prefix();
        let entries = group.store().scan(prefix.range(), Direction::Forward).unwrap().map(Result::unwrap);
        entries.map(|(key, value)| (key[prefix.as_bytes().len()..].to_vec(), value)).collect()
    }
}

impl Cluster {
    /// Nodes that can reach each other; no groups yet.
    pub async fn new(size: usize, settings: Settings) -> Cluster {
        Self::with_stores(settings, (0..size).map(|n| Arc::new(MemoryEngine::new(n as u64)) as _).collect()).await
    }

    pub async fn with_stores(settings: Settings, stores: Vec<Arc<dyn Engine>>) -> Cluster {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("breakwater-consensus-{}-{number}", std::process::id()));
        let clock = SystemClock::shared();
        let ca = Ca::generate("us-east-1", clock.clone()).unwrap();
        let mut nodes = Vec::new();
        let mut addresses = Vec::new();
        for (n, store) in stores.into_iter().enumerate() {
            let name: NodeName = format!("node-{n}").parse().unwrap();
            let region = Region::new("us-east-1").unwrap();
            let identity = PeerIdentity { name: name.clone(), kind: NodeKind::Dynamo, zone: None, region };
            let (key, request) = new_request().unwrap();
            let address = std::net::IpAddr::from([127, 0, 0, 1]);
            let certificate = ca.sign(&request, &identity, address).unwrap();
            let credentials = Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone()).unwrap();
            let transport = Transport::new(credentials, Default::default());
            let listener = Listener::bind((address, 0).into()).await.unwrap();
            addresses.push((name.clone(), listener.local_addr().unwrap()));
            tokio::spawn(transport.clone().serve(listener, std::future::pending()));
            let node_dir = dir.join(name.as_str());
            std::fs::create_dir_all(node_dir.join("1")).unwrap();
            let provider = Arc::new(DevKeyFile::open_or_create(node_dir.join("1/dev.key")).unwrap());
            let log = LogStore::open(&node_dir.join("1/log"), LogOptions::new(provider)).unwrap();
            let raft_id = breakwater_consensus::raft_id_of(&name, 1);
            let kinds = &[NodeKind::Dynamo];
            let groups = Groups::open(raft_id, transport.clone(), log, store.clone(), kinds, settings.clone());
            let now = Mutex::new(Life { number: 1, raft_id, groups, store });
            nodes.push(Arc::new(Node { name, transport, dir: node_dir, now }));
        }
        for node in &nodes {
            for (name, address) in addresses.iter().filter(|(name, _)| *name != node.name) {
                node.transport.set_address(name, *address);
            }
        }
        Cluster { nodes, settings, dir }
    }

    /// The members that these nodes are now.
    pub fn members(&self, nodes: &[usize]) -> BTreeMap<u64, NodeName> {
        nodes.iter().map(|n| (self.nodes[*n].raft_id(), self.nodes[*n].name.clone())).collect()
    }

    /// Founds the group on these nodes.
    pub async fn found(&self, nodes: &[usize]) {
        for n in nodes {
            self.nodes[*n].start(self.members(nodes)).await;
        }
    }

    /// The node that leads, once one of these has confirmed it.
    pub async fn leader(&self) -> Arc<Node> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for node in &self.nodes {
                if let Some(group) = node.group().filter(|g| g.is_leader())
                    && group.lead().await.is_ok()
                {
                    return node.clone();
                }
            }
            pause(deadline, "a leader").await;
        }
    }

    /// Puts until somebody has acknowledged it.
    pub async fn put(&self, key: &str, value: &[u8]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(group) = self.leader().await.group()
                && let Ok(lead) = group.lead().await
                && group.propose(lead, put(key, value)).await.is_ok()
            {
                return;
            }
            pause(deadline, "an acknowledged put").await;
        }
    }

    /// The node's disk is lost: it comes back as another member, which waits to be made one.
    pub async fn wipe(&self, n: usize) {
        let node = &self.nodes[n];
        node.stop().await;
        let number = node.now.lock().number + 1;
        let life = node.life(number, Arc::new(MemoryEngine::new(u64::from(number))), &self.settings);
        *node.now.lock() = life;
        node.start(BTreeMap::new()).await;
    }

    /// Makes these nodes, as they are now, the group's members.
    pub async fn settle(&self, nodes: &[usize]) {
        let wanted = self.members(nodes);
        until("the wanted members", async || {
            let group = self.leader().await.group()?;
            group.settle(&wanted).await.ok()
        })
        .await;
    }

    /// All replicas come to hold the same, which is returned.
    pub async fn converged(&self, nodes: &[usize]) -> BTreeMap<Vec<u8>, Bytes> {
        let leader = self.leader().await;
        until("replicas that hold the same", async || {
            let state = leader.state();
            nodes.iter().all(|n| self.nodes[*n].state() == state).then_some(state)
        })
        .await
    }

    pub async fn stop(self) {
        for node in &self.nodes {
            node.stop().await;
        }
        // Kept after a failed test, which doesn't come here.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
