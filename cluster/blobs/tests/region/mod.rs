//! Control nodes in one process: real Raft, real mTLS over loopback, chunks in real files.
#![allow(dead_code)]

use anyhow::{Context, Result};
use breakwater_blobs::{BlobMetrics, Blobs, Parts, Settings};
use breakwater_consensus::{Groups, raft_id_of};
use breakwater_identity::{Ca, Credentials, PeerIdentity, new_request};
use breakwater_meta::records::{NODES, NodeRecord, node_key, to_stored};
use breakwater_meta::{MetaClient, MetaMachine, MetaService, Mirror, Op, Txn};
use breakwater_net::Listener;
use breakwater_storage::{DevKeyFile, Engine, EngineKind, LogOptions, LogStore, MemoryEngine, OsDisk, Store};
use breakwater_storage::{KeyProvider, StorageError, StoreOptions};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::formats::{NEWEST, TRAILS};
use breakwater_types::{Formats, GroupId, NodeKind, NodeName, Region as RegionName, SharedClock, SystemClock, Zone};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn patience() -> Instant {
    Instant::now() + PATIENCE
}

/// Looks soon after something happened, and never gives up early.
pub fn quick() -> Settings {
    Settings { look_every: Duration::from_millis(30), ..Settings::default() }
}

pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = patience();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Content that no two numbers share.
pub fn content(number: u8, bytes: usize) -> Bytes {
    (0..bytes).map(|n| (n % 253) as u8 ^ number).collect::<Vec<u8>>().into()
}

pub struct Peer {
    pub name: NodeName,
    pub transport: Arc<Transport>,
    pub address: SocketAddr,
}

pub async fn peer(ca: &Ca, clock: &SharedClock, name: &str, kind: NodeKind) -> Result<Peer> {
    let name: NodeName = name.parse()?;
    let identity = PeerIdentity { name: name.clone(), kind, zone: None, region: RegionName::new("us-east-1")? };
    let (key, request) = new_request()?;
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let certificate = ca.sign(&request, &identity, address)?;
    let credentials = Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone())?;
    let transport = Transport::new(credentials, Default::default());
    let listener = Listener::bind((address, 0).into()).await?;
    let address = listener.local_addr()?;
    tokio::spawn(transport.clone().serve(listener, std::future::pending()));
    Ok(Peer { name, transport, address })
}

/// In the place of a node's blobs while they are down.
struct Down;

impl Handler for Down {
    fn handle(self: Arc<Self>, _call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async { Err((Refusal::Unhandled, "down".to_owned())) })
    }
}

pub struct Node {
    pub name: NodeName,
    pub transport: Arc<Transport>,
    pub address: SocketAddr,
    pub meta: MetaClient,
    pub groups: Arc<Groups>,
    pub formats: Arc<Formats>,
    nodes: Arc<Mirror>,
    holders: Vec<NodeName>,
    clock: SharedClock,
    dir: PathBuf,
    blobs: Mutex<Option<Arc<Blobs>>>,
}

impl Node {
    pub fn blobs(&self) -> Arc<Blobs> {
        self.blobs.lock().clone().expect("this node's blobs are up")
    }

    pub async fn start_blobs(&self, settings: &Settings) {
        let provider = Arc::new(DevKeyFile::open_or_create(self.dir.join("dev.key")).expect("a key"));
        // Those of before may still be ending.
        let blobs = until("the chunks to be free", async || {
            let parts = Parts {
                transport: self.transport.clone(),
                meta: self.meta.clone(),
                nodes: self.nodes.clone(),
                holders: self.holders.clone(),
                formats: self.formats.clone(),
                clock: self.clock.clone(),
                dir: self.dir.join("blobs"),
                disk: Arc::new(OsDisk),
                provider: provider.clone(),
            };
            match Blobs::start(parts, settings.clone()).await {
                Ok(blobs) => Some(blobs),
                Err(StorageError::Refused { .. }) => None,
                Err(e) => panic!("{e}"),
            }
        })
        .await;
        *self.blobs.lock() = Some(blobs);
    }

    /// What it has on its disk stays.
    pub fn stop_blobs(&self) {
        self.transport.register(Kind::Blobs, &NodeKind::ALL, Arc::new(Down));
        *self.blobs.lock() = None;
    }

    /// Its disk is another one.
    pub async fn wipe_blobs(&self) {
        self.stop_blobs();
        until("the chunks to be gone", async || {
            let _ = std::fs::remove_dir_all(self.dir.join("blobs"));
            (!self.dir.join("blobs").exists()).then_some(())
        })
        .await;
    }

    pub fn chunk_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.dir.join("blobs/files")) else { return vec![] };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    }

    pub fn metric(&self, name: &str) -> f64 {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(BlobMetrics(self.blobs())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("metrics");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let found = lines.filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name);
        found.unwrap_or_else(|| panic!("no {name} in {text}")).1.parse().expect("a number")
    }

    /// Until this node holds so many chunks and lacks none that is named.
    pub async fn holds(&self, chunks: usize) {
        until("the chunks that a node should hold", async || {
            let lacks_none = self.metric("blob_chunks_missing") == 0.0;
            (self.metric("blob_chunks") == chunks as f64 && self.chunk_files().len() == chunks && lacks_none)
                .then_some(())
        })
        .await;
    }
}

/// Changes a byte of a file in its middle.
pub fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("a chunk");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
    std::fs::write(path, bytes).expect("written");
}

pub struct Region {
    pub nodes: Vec<Node>,
    pub ca: Ca,
    pub clock: SharedClock,
    dir: PathBuf,
}

impl Region {
    /// A control node in each of the zones, all of which keep blobs.
    pub async fn start(zones: &[&str], settings: &Settings) -> Result<Region> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("breakwater-blobs-{}-{number}", std::process::id()));
        let region = Self::open(&dir, zones, |n, _, _| Ok(Arc::new(MemoryEngine::new(n as u64)) as _)).await?;
        for node in &region.nodes {
            node.start_blobs(settings).await;
        }
        Ok(region)
    }

    /// One node whose control store is on the disk too.
    pub async fn start_durable(dir: &Path, settings: &Settings) -> Result<Region> {
        let open =
            |_, dir: &Path, provider| Store::open(&dir.join("state"), StoreOptions::new(EngineKind::Fjall, provider));
        let region = Self::open(dir, &["az-a"], open).await?;
        region.nodes[0].start_blobs(settings).await;
        Ok(region)
    }

    async fn open(
        dir: &Path,
        zones: &[&str],
        engine: impl Fn(usize, &Path, Arc<dyn KeyProvider>) -> Result<Arc<dyn Engine>, StorageError>,
    ) -> Result<Region> {
        let clock = SystemClock::shared();
        let ca = Ca::generate("us-east-1", clock.clone())?;
        let mut peers = Vec::new();
        for n in 0..zones.len() {
            peers.push(peer(&ca, &clock, &format!("control-node-{n}"), NodeKind::Control).await?);
        }
        for a in &peers {
            for b in peers.iter().filter(|b| b.name != a.name) {
                a.transport.set_address(&b.name, b.address);
            }
        }
        let names: Vec<NodeName> = peers.iter().map(|peer| peer.name.clone()).collect();
        let founders: BTreeMap<u64, NodeName> = names.iter().map(|name| (raft_id_of(name, 1), name.clone())).collect();
        let mut nodes = Vec::new();
        for (n, peer) in peers.into_iter().enumerate() {
            let node_dir = dir.join(peer.name.as_str());
            std::fs::create_dir_all(&node_dir)?;
            let provider = Arc::new(DevKeyFile::open_or_create(node_dir.join("dev.key"))?);
            let log = LogStore::open(&node_dir.join("log"), LogOptions::new(provider.clone()))?;
            let id = raft_id_of(&peer.name, 1);
            let store = engine(n, &node_dir, provider)?;
            let kinds = &[NodeKind::Control];
            let groups = Groups::open(id, peer.transport.clone(), log, store, kinds, Default::default());
            let machine = Arc::new(MetaMachine::default());
            let group = groups.start(GroupId::META, machine.clone(), founders.clone()).await?;
            MetaService::start(group, machine, &peer.transport, clock.clone());
            let mut nearest = names.clone();
            nearest.sort_by_key(|name| *name != peer.name);
            let meta = MetaClient::new(peer.transport.clone(), nearest);
            let formats = Arc::new(Formats::default());
            formats.raise_to(NEWEST.max(TRAILS));
            nodes.push(Node {
                nodes: Mirror::start(meta.clone(), NODES.to_vec()),
                name: peer.name,
                transport: peer.transport,
                address: peer.address,
                meta,
                groups,
                formats,
                holders: names.clone(),
                clock: clock.clone(),
                dir: node_dir,
                blobs: Mutex::default(),
            });
        }
        let region = Region { nodes, ca, clock, dir: dir.to_owned() };
        region.record(zones).await?;
        Ok(region)
    }

    /// As nodes record themselves when they start.
    async fn record(&self, zones: &[&str]) -> Result<()> {
        let mut revision = 0;
        for (node, zone) in self.nodes.iter().zip(zones) {
            let record = NodeRecord {
                name: node.name.clone(),
                kind: NodeKind::Control,
                zone: Some(Zone::new(*zone)?),
                rpc: node.address,
                raft_id: raft_id_of(&node.name, 1),
            };
            let value = to_stored(&record).map_err(anyhow::Error::msg)?;
            let txn = Txn { success: vec![Op::put(node_key(&node.name), value)], ..Txn::default() };
            revision = node.meta.txn(txn, patience()).await?.revision;
        }
        for node in &self.nodes {
            node.nodes.wait_for(revision, patience()).await.then_some(()).context("the nodes' records")?;
        }
        Ok(())
    }

    pub async fn stop(self) {
        for node in &self.nodes {
            node.stop_blobs();
            node.groups.shutdown().await;
        }
        // Kept after a failed test, which doesn't come here.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
