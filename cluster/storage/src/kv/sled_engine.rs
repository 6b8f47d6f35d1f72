//! sled 0.34. Its traps, and what is done about them (STACK):
//! - `flush_async` hangs with many tasks: `flush` is called on a thread of its own, for all who wait at once.
//! - Trees are expensive and a batch spans one: one tree.
//! - It has no snapshot: [`Gate`](super::overlay::Gate) makes one.
//! - It may panic over damaged files: caught, and reported as damage.

use super::batch::{Batch, BatchOp, Direction, KeyRange};
use super::engine::{Engine, Scan, SnapshotView, delete_in_steps, guarded};
use super::overlay::Gate;
use crate::error::StorageError;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

const NAME: &str = "sled";

fn error(doing: &str, e: sled::Error) -> StorageError {
    match e {
        sled::Error::Io(e) if e.kind() == io::ErrorKind::WouldBlock => StorageError::refused(e.to_string()),
        // Its message for a lock that another process holds has no kind.
        sled::Error::Io(e) if e.to_string().contains("could not acquire lock") => StorageError::refused(e.to_string()),
        sled::Error::Io(e)
            if matches!(
                e.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            ) =>
        {
            StorageError::corrupt(NAME, e.to_string())
        }
        sled::Error::Io(e) => StorageError::io(format!("{NAME}: {doing}"), e),
        other => StorageError::corrupt(NAME, other.to_string()),
    }
}

struct Tree(sled::Db);

pub(super) struct SledEngine {
    tree: Arc<Tree>,
    gate: Arc<Gate>,
    flusher: Arc<Flusher>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

type Answer = Result<(), StorageError>;

#[derive(Default)]
struct Flusher {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    answers: Vec<Sender<Answer>>,
    stopping: bool,
}

impl Flusher {
    fn run(&self, tree: &Tree) {
        loop {
            let answers = {
                let mut waiting = self.waiting.lock();
                while waiting.answers.is_empty() {
                    if waiting.stopping {
                        return;
                    }
                    self.wake.wait(&mut waiting);
                }
                std::mem::take(&mut waiting.answers)
            };
            let result = guarded(NAME, || tree.0.flush().map(drop).map_err(|e| error("flushing", e)));
            for answer in answers {
                // Who no longer waits doesn't need it.
                let _ = answer.send(result.clone());
            }
        }
    }
}

impl SledEngine {
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, StorageError> {
        let db = guarded(NAME, || {
            sled::Config::new()
                .path(dir)
                .cache_capacity(cache_bytes)
                .flush_every_ms(None)
                .mode(sled::Mode::HighThroughput)
                .open()
                .map_err(|e| error("opening", e))
        })?;
        let tree = Arc::new(Tree(db));
        let flusher = Arc::new(Flusher::default());
        let thread = {
            let (tree, flusher) = (tree.clone(), flusher.clone());
            std::thread::Builder::new().name("sled-flush".to_owned()).spawn(move || flusher.run(&tree))
        };
        let thread = thread.map_err(|e| StorageError::io("starting the flush thread", e))?;
        Ok(SledEngine { tree, gate: Arc::default(), flusher, thread: Mutex::new(Some(thread)) })
    }
}

impl Drop for SledEngine {
    fn drop(&mut self) {
        self.flusher.waiting.lock().stopping = true;
        self.flusher.wake.notify_all();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("sled's flush thread panicked");
        }
    }
}

impl Engine for Tree {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut changes = sled::Batch::default();
        for op in batch.ops() {
            match op {
                BatchOp::Put { key, value } => changes.insert(&key[..], &value[..]),
                BatchOp::Delete { key } => changes.remove(&key[..]),
            }
        }
        guarded(NAME, || self.0.apply_batch(changes).map_err(|e| error("writing", e)))
    }

    fn sync(&self) -> Result<(), StorageError> {
        guarded(NAME, || self.0.flush().map(drop).map_err(|e| error("flushing", e)))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        guarded(NAME, || {
            let found = self.0.get(key).map_err(|e| error("reading", e))?;
            Ok(found.map(|value| Bytes::copy_from_slice(&value)))
        })
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        if range.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let mut found = match range.end {
            Some(end) => self.0.range(range.start..end),
            None => self.0.range(range.start..),
        };
        let mut failed = false;
        Ok(Box::new(std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let step = guarded(NAME, || {
                let next = if direction == Direction::Forward { found.next() } else { found.next_back() };
                next.transpose().map_err(|e| error("scanning", e))
            });
            match step.transpose()? {
                Ok((key, value)) => Some(Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))),
                Err(e) => {
                    failed = true;
                    Some(Err(e))
                }
            }
        })))
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        delete_in_steps(self, range)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        Err(StorageError::invalid("a bare tree has no snapshots"))
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        guarded(NAME, || self.0.size_on_disk().map_err(|e| error("measuring", e)))
    }
}

impl Engine for SledEngine {
    fn write(&self, batch: &Batch) -> Result<(), StorageError> {
        self.gate.write(&*self.tree, batch, || self.tree.write(batch))
    }

    fn sync(&self) -> Result<(), StorageError> {
        let (answer, answered) = channel();
        self.flusher.waiting.lock().answers.push(answer);
        self.flusher.wake.notify_one();
        answered.recv().unwrap_or_else(|_| Err(StorageError::stopped("sled's flush thread is gone")))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        self.tree.get(key)
    }

    fn scan(&self, range: KeyRange, direction: Direction) -> Result<Scan, StorageError> {
        self.tree.scan(range, direction)
    }

    fn delete_range(&self, range: KeyRange) -> Result<(), StorageError> {
        delete_in_steps(self, range)
    }

    fn snapshot(&self) -> Result<Box<dyn SnapshotView>, StorageError> {
        Ok(Gate::snapshot(&self.tree, &self.gate))
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn disk_bytes(&self) -> Result<u64, StorageError> {
        self.tree.disk_bytes()
    }
}
