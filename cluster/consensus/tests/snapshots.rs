//! A member that has nothing learns by a snapshot, in bounded memory.

mod cluster;

use breakwater_consensus::Settings;
use breakwater_storage::{Batch, Direction, Engine, KeyRange, KeyValue, MemoryEngine, SnapshotView, StorageError};
use bytes::Bytes;
use cluster::Cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const VALUE_BYTES: usize = 256 << 10;
const ENTRIES: usize = 256;
const STATE_BYTES: u64 = (VALUE_BYTES * ENTRIES) as u64;
/// Read but not yet written at the other end: the transport's window, chunks in both ends' hands.
const UNDER_WAY_BYTES_MAX: u64 = 24 << 20;

/// What of a snapshot was read, what was written, and what lay in between at most.
#[derive(Default)]
struct Meter {
    on: AtomicBool,
    read: AtomicU64,
    written: AtomicU64,
    between_max: AtomicU64,
    batch_max: AtomicU64,
}

struct Metered {
    engine: MemoryEngine,
    meter: Arc<Meter>,
    receives: bool,
}

struct View(Box<dyn SnapshotView>, Arc<Meter>);

impl SnapshotView for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.0.get(key)
    }
    fn scan(
        &self,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Box<dyn Iterator<Item = Result<KeyValue, StorageError>> + Send>, StorageError> {
        let meter = self.1.clone();
        Ok(Box::new(self.0.scan(range, direction)?.inspect(move |entry| {
            if let Ok((key, value)) = entry {
                let read = meter.read.fetch_add((key.len() + value.len()) as u64, Ordering::SeqCst);
                let between = read.saturating_sub(meter.written.load(Ordering::SeqCst));
                meter.between_max.fetch_max(between, Ordering::SeqCst);
            }
        })))
    }
}

impl Engine for Metered {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        if self.receives && self.meter.on.load(Ordering::SeqCst) {
            self.meter.written.fetch_add(batch.bytes() as u64, Ordering::SeqCst);
            self.meter.batch_max.fetch_max(batch.bytes() as u64, Ordering::SeqCst);
        }
        self.engine.write(batch)
    }
    fn sync(&self) -> Result<(), StorageError> {
        self.engine.sync()
    }
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.engine.get(key)
    }
    fn scan(
        &self,
        range: KeyRange,
        direction: Direction,
    ) -> Result<Box<dyn Iterator<Item = Result<KeyValue, StorageError>> + Send>, StorageError> {
        self.engine.scan(range, direction)
    }
    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        self.engine.delete_range(range)
    }
    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        let view = self.engine.snapshot()?;
        if self.receives || !self.meter.on.load(Ordering::SeqCst) {
            return Ok(view);
        }
        Ok(Box::new(View(view, self.meter.clone())))
    }
    fn name(&self) -> &'static str {
        self.engine.name()
    }
    fn disk_bytes(&self) -> Result<u64, StorageError> {
        self.engine.disk_bytes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_gets_a_large_state_in_bounded_memory() {
    let meter = Arc::new(Meter::default());
    let stores = (0..2).map(|n| {
        Arc::new(Metered { engine: MemoryEngine::new(n), meter: meter.clone(), receives: n == 1 }) as Arc<dyn Engine>
    });
    let settings = Settings { snapshot_entries: 20, kept_entries: 5, ..Settings::default() };
    let cluster = Cluster::with_stores(settings, stores.collect()).await;
    cluster.found(&[0]).await;
    for n in 0..ENTRIES {
        cluster.put(&format!("{n:04}"), &vec![n as u8; VALUE_BYTES]).await;
    }
    // Enough for the log of the state to be purged: it goes in steps of a thousand entries.
    for _ in 0..1_200 {
        cluster.put("last", b"1").await;
    }
    let before = cluster.nodes[0].state();
    assert_eq!(before.len(), ENTRIES + 1);
    meter.on.store(true, Ordering::SeqCst);
    cluster.nodes[1].start(Default::default()).await;
    cluster.settle(&[0, 1]).await;
    assert!(cluster.converged(&[0, 1]).await == before);
    let (read, written) = (meter.read.load(Ordering::SeqCst), meter.written.load(Ordering::SeqCst));
    assert!(read >= STATE_BYTES && written >= STATE_BYTES, "it was no snapshot: {read} read, {written} written");
    let (between, batch) = (meter.between_max.load(Ordering::SeqCst), meter.batch_max.load(Ordering::SeqCst));
    assert!(between <= UNDER_WAY_BYTES_MAX, "{between} bytes were under way at once");
    assert!(batch <= 4 << 20, "{batch} bytes in one batch");
    // It goes on by entries, and counts.
    cluster.put("after", b"1").await;
    assert_eq!(cluster.converged(&[0, 1]).await.len(), ENTRIES + 2);
    cluster.stop().await;
}
