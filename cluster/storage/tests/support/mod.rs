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

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
