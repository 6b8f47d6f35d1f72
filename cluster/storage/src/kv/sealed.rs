//! Seals every value of an engine, and watches over it: damage is reported, a failed write ends all writing.
//!
//! How a value is sealed: [`Sealer`].
//!
//! Not hidden: keys, lengths, which values changed. Not detected: a single value put back to what it was earlier
//! under the same key, or a key removed from the engine's files by somebody who can write them.
//!
//! The tide mark: each sync first writes its number into the engine, and afterwards, without a sync, into the file
//! `SYNCED`. An engine that opens with a lower number has lost what it had acknowledged (as when a file of it was
//! cut and it takes that for a torn end), and is refused.

use super::batch::{Batch, BatchOp, Direction, KeyRange};
use super::engine::{Engine, KEY_BYTES_MAX, Scan, SnapshotView};
use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;
use crate::seal::{Sealer, StoreHeader};
use breakwater_types::faults;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
use std::path::Path;
use std::sync::Arc;

/// The purpose of this store's sealing keys.
const LABEL: &str = "breakwater values 1";
/// Ours: callers can't write it and don't see it.
const MARK_KEY: &[u8] = b"\0\0breakwater.mark";
const MARK_FILE: &str = "SYNCED";
/// Two places, used in turn, so that a torn write of one leaves the other.
const MARK_SLOT_BYTES: u64 = 512;

/// Who asks for a sync while one runs shares the next one with all others who do.
struct Syncs {
    /// The number of the last sync that began, and of the last that succeeded.
    begun: u64,
    ended: u64,
    running: bool,
}

pub(super) struct Sealed {
    inner: Arc<dyn Engine>,
    sealer: Arc<Sealer>,
    failed: RwLock<Option<StorageError>>,
    syncs: Mutex<Syncs>,
    sync_ended: Condvar,
    mark_file: Arc<dyn DiskFile>,
    /// Held for as long as the store is open.
    _lock: Box<dyn std::any::Any + Send + Sync>,
}

fn encode_mark(mark: u64) -> [u8; 12] {
    let mut out = [0; 12];
    out[..8].copy_from_slice(&mark.to_le_bytes());
    let crc = crc32fast::hash(&out[..8]);
    out[8..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn decode_mark(bytes: &[u8]) -> Option<u64> {
    let mark = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (bytes.get(..12)? == encode_mark(mark)).then_some(mark)
}

impl Sealed {
    pub(super) fn open(
        inner: Arc<dyn Engine>,
        disk: &dyn Disk,
        dir: &Path,
        mut header: StoreHeader,
        lock: Box<dyn std::any::Any + Send + Sync>,
    ) -> Result<Self, StorageError> {
        let path = dir.join(MARK_FILE);
        let failed = |e| StorageError::io(format!("opening {}", path.display()), e);
        let initialized = header.initialized();
        let mark_file = match disk.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !initialized => {
                let file = disk.create(&path, 2 * MARK_SLOT_BYTES).map_err(failed)?;
                file.write_at(0, &encode_mark(0)).map_err(failed)?;
                file.sync_data().map_err(failed)?;
                disk.sync_dir(dir).map_err(failed)?;
                file
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StorageError::corrupt(path.display().to_string(), "missing"));
            }
            Err(e) => return Err(failed(e)),
        };
        let mut slots = vec![0; 2 * MARK_SLOT_BYTES as usize];
        let synced = match mark_file.read_at(0, &mut slots) {
            Ok(()) => slots.chunks(MARK_SLOT_BYTES as usize).filter_map(decode_mark).max(),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(e) => return Err(failed(e)),
        };
        let sealer = Arc::new(Sealer::new(&header, LABEL)?);
        let found = match inner.get(MARK_KEY)? {
            Some(value) => {
                let value = sealer.open(MARK_KEY, &value)?;
                Some(decode_mark(&value).ok_or_else(|| StorageError::corrupt(inner.name(), "its mark is unreadable"))?)
            }
            None => None,
        };
        let sealed = Sealed {
            inner,
            sealer,
            failed: RwLock::new(None),
            syncs: Mutex::new(Syncs { begun: found.unwrap_or(0), ended: found.unwrap_or(0), running: false }),
            sync_ended: Condvar::new(),
            mark_file,
            _lock: lock,
        };
        if initialized {
            let synced = synced.ok_or_else(|| StorageError::corrupt(path.display().to_string(), "unreadable"))?;
            if found.is_none_or(|found| found < synced) {
                let what = format!("synced data is missing: it is at sync {found:?} of {synced}");
                return Err(StorageError::corrupt(format!("{} in {}", sealed.inner.name(), dir.display()), what));
            }
        } else {
            sealed.sync()?;
            header.set_initialized(disk, dir)?;
        }
        Ok(sealed)
    }

    fn check(&self) -> Result<(), StorageError> {
        match &*self.failed.read() {
            Some(e) => Err(e.clone()),
            None => Ok(()),
        }
    }

    /// Nobody knows what a failed write or sync left: nothing more is acknowledged.
    fn stop_on<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if let Err(e) = &result {
            let mut failed = self.failed.write();
            if failed.is_none() {
                tracing::error!(error = %e, engine = self.inner.name(), "the store has stopped");
                *failed = Some(StorageError::stopped(e.to_string()));
            }
        }
        result
    }

    fn write_inner(&self, batch: &Batch) -> Result<(), StorageError> {
        faults::point("kv.before_write")?;
        self.inner.write(batch)
    }

    fn sync_inner(&self, mark: u64) -> Result<(), StorageError> {
        let mut batch = Batch::new();
        batch.put(MARK_KEY, self.sealer.seal(MARK_KEY, &encode_mark(mark))?);
        self.inner.write(&batch)?;
        faults::point("kv.before_sync")?;
        if !cfg!(feature = "broken-skip-fsync") {
            self.inner.sync()?;
        }
        faults::point("kv.after_sync")?;
        self.mark_file
            .write_at(mark % 2 * MARK_SLOT_BYTES, &encode_mark(mark))
            .map_err(|e| StorageError::io("writing the sync mark", e))
    }
}

fn open_all(sealer: Arc<Sealer>, scan: Scan) -> Scan {
    let mut failed = false;
    Box::new(scan.filter(|entry| !matches!(entry, Ok((key, _)) if key == MARK_KEY)).map_while(move |entry| {
        if failed {
            return None;
        }
        let opened = entry.and_then(|(key, value)| {
            let value = sealer.open(&key, &value)?;
            Ok((key, value))
        });
        failed = opened.is_err();
        Some(opened)
    }))
}

impl Engine for Sealed {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        self.check()?;
        let mut sealed = Batch::with_capacity(batch.len());
        for op in batch.ops() {
            if op.key() == MARK_KEY || !(1..=KEY_BYTES_MAX).contains(&op.key().len()) {
                return Err(StorageError::invalid(format!("a key of {} bytes, or the store's own", op.key().len())));
            }
            match op {
                BatchOp::Put { key, value } => sealed.put(key.clone(), self.sealer.seal(key, value)?),
                BatchOp::Delete { key } => sealed.delete(key.clone()),
            }
        }
        self.stop_on(self.write_inner(&sealed))
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut syncs = self.syncs.lock();
        // One that runs already may have begun before the caller's last write.
        let mine = syncs.begun + 1;
        while syncs.ended < mine {
            self.check()?;
            if syncs.running {
                self.sync_ended.wait(&mut syncs);
                continue;
            }
            syncs.begun += 1;
            syncs.running = true;
            let number = syncs.begun;
            let result = MutexGuard::unlocked(&mut syncs, || self.stop_on(self.sync_inner(number)));
            syncs.running = false;
            if result.is_ok() {
                syncs.ended = number;
            }
            self.sync_ended.notify_all();
            result?;
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        if key == MARK_KEY {
            return Ok(None);
        }
        self.inner.get(key)?.map(|value| self.sealer.open(key, &value)).transpose()
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        Ok(open_all(self.sealer.clone(), self.inner.scan(range, direction)?))
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        self.check()?;
        if !range.contains(MARK_KEY) {
            return self.stop_on(self.inner.delete_range(range));
        }
        let mut after = MARK_KEY.to_vec();
        after.push(0);
        self.stop_on(self.inner.delete_range(KeyRange { start: range.start, end: Some(MARK_KEY.to_vec()) }))?;
        self.stop_on(self.inner.delete_range(KeyRange { start: after, end: range.end }))
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        Ok(Box::new(SealedView { inner: self.inner.snapshot()?, sealer: self.sealer.clone() }))
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        self.inner.disk_bytes()
    }
}

struct SealedView {
    inner: Box<dyn SnapshotView>,
    sealer: Arc<Sealer>,
}

impl SnapshotView for SealedView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        if key == MARK_KEY {
            return Ok(None);
        }
        self.inner.get(key)?.map(|value| self.sealer.open(key, &value)).transpose()
    }
    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        Ok(open_all(self.sealer.clone(), self.inner.scan(range, direction)?))
    }
}
