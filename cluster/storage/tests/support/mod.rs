//! What the suites share: a key, directories, and waiting for callbacks.
#![allow(dead_code)]

use breakwater_storage::{DevKeyFile, Done, KeyProvider, StorageError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("breakwater-storage-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        TempDir(dir)
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // Kept for whoever looks into a failure.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub fn provider(dir: &TempDir) -> Arc<dyn KeyProvider> {
    Arc::new(DevKeyFile::open_or_create(dir.path().join("root.key")).unwrap())
}

/// A callback, and what it was called with.
pub fn done() -> (Done, Answer) {
    let (tx, rx) = mpsc::channel();
    (Box::new(move |result| drop(tx.send(result))), Answer(rx))
}

pub struct Answer(mpsc::Receiver<Result<(), StorageError>>);

impl Answer {
    pub fn wait(self) -> Result<(), StorageError> {
        self.0.recv_timeout(Duration::from_secs(20)).expect("the callback is called")
    }
}

/// The files as they are at one moment: copied again where an engine's own threads changed something meanwhile.
pub fn copy_dir(from: &Path, to: &Path) {
    for _ in 0..200 {
        let before = listing(from);
        let copied = try_copy(from, to);
        if copied.is_ok() && before.is_some() && listing(from) == before {
            return;
        }
        let _ = std::fs::remove_dir_all(to);
        std::thread::yield_now();
    }
    panic!("{} never rests", from.display());
}

type Listing = Vec<(PathBuf, u64, std::time::SystemTime)>;

fn listing(dir: &Path) -> Option<Listing> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).ok()? {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        if metadata.is_dir() {
            out.extend(listing(&entry.path())?);
        } else {
            out.push((entry.path(), metadata.len(), metadata.modified().ok()?));
        }
    }
    out.sort();
    Some(out)
}

fn try_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
