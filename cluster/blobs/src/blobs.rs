//! A node's part in keeping blobs, and its access to all of them.

use crate::catalogue::Catalogue;
use crate::chunks::Chunks;
use crate::model::CATALOGUE;
use crate::peers::Peers;
use crate::placement::{Holder, Layout};
use crate::put::PUT_ROOM;
use crate::service::Service;
use crate::{collect, repair, scrub};
use breakwater_meta::records::{NodeRecord, from_stored, node_key};
use breakwater_meta::{MetaClient, Mirror};
use breakwater_storage::{Disk, KeyProvider, StorageError};
use breakwater_transport::{Kind, Transport};
use breakwater_types::{Formats, NodeKind, NodeName, SharedClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Who may bring chunks and fetch them.
const CALLERS: &[NodeKind] = &[NodeKind::Control];

#[derive(Clone, Debug)]
pub struct Settings {
    /// A chunk that no blob names is removed when it has been so for so long: far longer than [`PUT_MAX`](crate::PUT_MAX).
    pub collect_after: Duration,
    /// Every chunk is read once in so long at least.
    pub scrub_every: Duration,
    /// How often what is missing here is looked for, and what is too much.
    pub look_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            collect_after: Duration::from_secs(3_600),
            scrub_every: Duration::from_secs(7 * 86_400),
            look_every: Duration::from_secs(5),
        }
    }
}

/// What blobs are made of on this node.
pub struct Parts {
    pub transport: Arc<Transport>,
    pub meta: MetaClient,
    /// Of [`breakwater_meta::records::NODES`].
    pub nodes: Arc<Mirror>,
    /// All nodes of the region that hold chunks: today its control nodes. One that isn't among them only uses theirs.
    pub holders: Vec<NodeName>,
    pub formats: Arc<Formats>,
    pub clock: SharedClock,
    /// Where this node's chunks lie.
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub provider: Arc<dyn KeyProvider>,
}

/// Start at [`Blobs::put`].
pub struct Blobs {
    pub(crate) meta: MetaClient,
    pub(crate) formats: Arc<Formats>,
    pub(crate) clock: SharedClock,
    pub(crate) settings: Settings,
    pub(crate) peers: Peers,
    pub(crate) chunks: Arc<Chunks>,
    pub(crate) catalogue: Catalogue,
    /// What the puts of this node have in memory, in KiB.
    pub(crate) room: Arc<Semaphore>,
    /// Copies that should be here, and aren't, or are damaged; as of the last look.
    pub(crate) missing: AtomicU64,
    nodes: Arc<Mirror>,
    holders: Vec<NodeName>,
}

/// Chunks whose key is lost with the store's header can't be read by anybody: they are put aside, and copied again from the
/// other holders, rather than the whole node be kept from starting.
fn open(dir: &Path, disk: Arc<dyn Disk>, provider: &dyn KeyProvider, now: i64) -> Result<Chunks, StorageError> {
    let e = match Chunks::open(dir, disk.clone(), provider) {
        Err(e) if e.is_corrupt() => e,
        opened => return opened,
    };
    let aside = dir.with_extension(format!("damaged-{now}"));
    tracing::error!(error = %e, aside = %aside.display(), "this node's chunks can't be opened: it begins anew");
    let failed =
        |source| StorageError::Io { doing: format!("putting {} aside", dir.display()), source: Arc::new(source) };
    disk.rename(dir, &aside).map_err(failed)?;
    Chunks::open(dir, disk, provider)
}

impl Blobs {
    /// Opens this node's chunks, answers other holders, and looks after what it holds for as long as somebody has what
    /// this returns.
    pub async fn start(parts: Parts, settings: Settings) -> Result<Arc<Blobs>, StorageError> {
        let Parts { transport, meta, nodes, holders, formats, clock, dir, disk, provider } = parts;
        let now = clock.unix_ms();
        let opened = tokio::task::spawn_blocking(move || open(&dir, disk, &*provider, now)).await;
        let chunks = Arc::new(opened.map_err(|e| StorageError::Stopped { reason: e.to_string() })??);
        let blobs = Arc::new(Blobs {
            catalogue: Catalogue::new(Mirror::start(meta.clone(), CATALOGUE.to_vec())),
            meta,
            formats,
            clock,
            settings,
            peers: Peers(transport.clone()),
            chunks: chunks.clone(),
            room: Arc::new(Semaphore::new(PUT_ROOM as usize)),
            missing: AtomicU64::new(0),
            nodes,
            holders,
        });
        if blobs.holders.len() < 2 {
            tracing::warn!("the region has one control node: what it keeps in blobs is stored once, in one zone");
        }
        transport.register(Kind::Blobs, CALLERS, Arc::new(Service(chunks)));
        tokio::spawn(repair::run(Arc::downgrade(&blobs)));
        tokio::spawn(collect::run(Arc::downgrade(&blobs)));
        tokio::spawn(scrub::run(Arc::downgrade(&blobs)));
        Ok(blobs)
    }

    pub(crate) fn me(&self) -> &NodeName {
        self.peers.0.name()
    }

    /// The holders that have been in the region. One whose record can't be read counts as not known yet.
    pub(crate) fn layout(&self) -> Layout {
        let zone = |name: &NodeName| {
            let entry = self.nodes.get(&node_key(name))?;
            let record: NodeRecord = from_stored(&entry.value).ok()?;
            Some(Holder { name: name.clone(), zone: record.zone })
        };
        Layout::new(self.holders.iter().filter_map(zone).collect(), self.holders.len())
    }
    /// The holders that aren't among these.
    pub(crate) fn unknown(&self, known: &[NodeName]) -> Vec<NodeName> {
        self.holders.iter().filter(|name| !known.contains(name)).cloned().collect()
    }
}
