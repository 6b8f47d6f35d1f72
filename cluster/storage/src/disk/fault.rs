//! A disk in memory that forgets what wasn't synced, tears what was being written, fills up and fails, by seed.

use super::{Disk, DiskFile};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a crash leaves of the writes since the last sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashStyle {
    /// Nothing.
    LoseUnsynced,
    /// The first of them, the last of those cut at some byte.
    Torn,
    /// Any of them, each cut at some byte: a disk that reorders.
    Reordered,
}

/// Faults from now on.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFaults {
    /// Every sync fails, and what it should have synced is lost at the next crash.
    pub sync_fails: bool,
    /// Bytes that may still be written or reserved; then ENOSPC.
    pub free_bytes: Option<u64>,
    /// Each sync takes so long.
    pub sync_delay: Option<std::time::Duration>,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

struct State {
    rng: StdRng,
    faults: DiskFaults,
    /// Grows at each crash: handles of before fail.
    life: u64,
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    locks: BTreeSet<PathBuf>,
    syncs: u64,
}

/// Cheap to clone; clones are the same disk.
#[derive(Clone)]
pub struct FaultDisk(Arc<Mutex<State>>);

impl std::fmt::Debug for FaultDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FaultDisk")
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is missing", path.display()))
}

fn overwrite(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

impl State {
    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        match &mut self.faults.free_bytes {
            Some(free) if *free < bytes => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Some(free) => {
                *free -= bytes;
                Ok(())
            }
            None => Ok(()),
        }
    }
    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| missing(path))
    }
}

impl FaultDisk {
    pub fn new(seed: u64) -> Self {
        FaultDisk(Arc::new(Mutex::new(State {
            rng: StdRng::seed_from_u64(seed),
            faults: DiskFaults::default(),
            life: 0,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            locks: BTreeSet::new(),
            syncs: 0,
        })))
    }

    pub fn set_faults(&self, faults: DiskFaults) {
        self.0.lock().faults = faults;
    }

    /// Power is lost, and comes back: open files of before fail from now on, faults are gone.
    pub fn crash(&self, style: CrashStyle) {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        state.life += 1;
        state.locks.clear();
        state.faults = DiskFaults::default();
        // Unsynced names come or go together, as in a journal.
        if style == CrashStyle::LoseUnsynced || state.rng.random() {
            state.names = state.durable_names.clone();
        } else {
            state.durable_names = state.names.clone();
        }
        for file in &mut state.files {
            let writes = std::mem::take(&mut file.unsynced);
            let kept = match style {
                CrashStyle::LoseUnsynced => 0,
                CrashStyle::Torn => state.rng.random_range(0..=writes.len()),
                CrashStyle::Reordered => writes.len(),
            };
            for (i, (at, bytes)) in writes.iter().take(kept).enumerate() {
                let whole = match style {
                    CrashStyle::Reordered => state.rng.random_range(0..3) > 0,
                    _ => i + 1 < kept,
                };
                let length = if whole { bytes.len() } else { state.rng.random_range(0..=bytes.len()) };
                overwrite(&mut file.durable, *at, &bytes[..length]);
            }
            file.now = file.durable.clone();
        }
    }

    /// Flips one bit of a file, at rest.
    pub fn flip(&self, path: &Path, offset: usize) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.file(path)?;
        let content = &mut state.files[file];
        for bytes in [&mut content.now, &mut content.durable] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= 0x10;
            }
        }
        Ok(())
    }

    pub fn cut(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.file(path)?;
        state.files[file].now.truncate(bytes);
        state.files[file].durable.truncate(bytes);
        Ok(())
    }

    /// How often bytes were synced.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }
}

struct FaultFile {
    state: Arc<Mutex<State>>,
    life: u64,
    file: usize,
}

struct LockGuard {
    state: Arc<Mutex<State>>,
    life: u64,
    path: PathBuf,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

impl Disk for FaultDisk {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        if state.names.contains_key(path) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        state.spend(bytes)?;
        let file = state.files.len();
        // The length is journalled with the file.
        let zeros = vec![0; bytes as usize];
        state.files.push(Content { now: zeros.clone(), durable: zeros, unsynced: Vec::new() });
        state.names.insert(path.to_owned(), file);
        Ok(Arc::new(FaultFile { state: self.0.clone(), life: state.life, file }))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.0.lock();
        let file = state.file(path)?;
        Ok(Arc::new(FaultFile { state: self.0.clone(), life: state.life, file }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.0.lock();
        Ok(state.files[state.file(path)?].now.clone())
    }
    fn replace(&self, _temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.faults.sync_fails {
            return Err(io::Error::other("injected: fsync failed"));
        }
        state.spend(bytes.len() as u64)?;
        let file = state.files.len();
        state.files.push(Content { now: bytes.to_vec(), durable: bytes.to_vec(), unsynced: Vec::new() });
        state.names.insert(path.to_owned(), file);
        state.durable_names = state.names.clone();
        Ok(())
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let file = state.names.remove(from).ok_or_else(|| missing(from))?;
        state.names.insert(to.to_owned(), file);
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.lock().names.remove(path).map(drop).ok_or_else(|| missing(path))
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if state.faults.sync_fails {
            return Err(io::Error::other("injected: fsync failed"));
        }
        state.durable_names = state.names.clone();
        Ok(())
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let mut state = self.0.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::Error::other("another has it open"));
        }
        Ok(Box::new(LockGuard { state: self.0.clone(), life: state.life, path: path.to_owned() }))
    }
}

impl FaultFile {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state.lock();
        if state.life == self.life { act(&mut state) } else { Err(io::Error::other("injected: the machine is down")) }
    }
}

impl DiskFile for FaultFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|state| Ok(state.files[self.file].now.len() as u64))
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| {
            state.spend(bytes.len() as u64)?;
            let content = &mut state.files[self.file];
            overwrite(&mut content.now, offset as usize, bytes);
            content.unsynced.push((offset as usize, bytes.to_vec()));
            Ok(())
        })
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            let start = offset as usize;
            let found = state.files[self.file].now.get(start..start + out.len());
            out.copy_from_slice(found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
            Ok(())
        })
    }
    fn sync_data(&self) -> io::Result<()> {
        let delay = self.with(|state| Ok(state.faults.sync_delay))?;
        if let Some(delay) = delay {
            std::thread::sleep(delay);
        }
        self.with(|state| {
            state.syncs += 1;
            let fails = state.faults.sync_fails;
            let content = &mut state.files[self.file];
            let writes = std::mem::take(&mut content.unsynced);
            if fails {
                return Err(io::Error::other("injected: fsync failed"));
            }
            for (at, bytes) in writes {
                overwrite(&mut content.durable, at, &bytes);
            }
            Ok(())
        })
    }
}
