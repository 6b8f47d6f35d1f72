//! Opening a node's log and store, and telling a disk that was wiped from one that never was.

use crate::groups::raft_id_of;
use breakwater_storage::{DevKeyFile, Engine, EngineKind, LogOptions, LogStore, Store, StoreOptions};
use breakwater_types::{NodeName, RaftNodeId};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const COUNT: &str = "incarnation";
const MARK: &str = "member";

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error(transparent)]
    Storage(#[from] breakwater_storage::StorageError),
    #[error("the root key: {0}")]
    Key(#[from] breakwater_storage::KeyError),
}

/// A node's durable parts.
pub struct Member {
    pub raft_id: RaftNodeId,
    /// 1 for a node's first disk.
    pub incarnation: u32,
    pub log: Arc<LogStore>,
    pub store: Arc<dyn Engine>,
}

fn write_synced(path: &Path, text: &str) -> Result<(), OpenError> {
    let write = || {
        let part = path.with_extension("part");
        fs::write(&part, text)?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, path)?;
        match path.parent() {
            Some(dir) => fs::File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|e| OpenError::File(path.to_owned(), e))
}

fn read_number(path: &Path) -> Result<Option<u32>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| OpenError::File(path.to_owned(), io::Error::other("not a number"))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(OpenError::File(path.to_owned(), e)),
    }
}

/// Which disk of this node this is. The count stands outside the data folder, so that it outlives it: a folder
/// without a mark is a new disk, and the node a new member, which never says what the old one has forgotten.
fn incarnation(data_dir: &Path, identity_dir: &Path) -> Result<u32, OpenError> {
    fs::create_dir_all(data_dir).map_err(|e| OpenError::File(data_dir.to_owned(), e))?;
    let count = identity_dir.join(COUNT);
    let mark = data_dir.join(MARK);
    let known = read_number(&count)?;
    match (known, read_number(&mark)?) {
        (Some(known), Some(marked)) if known == marked => Ok(marked),
        (known, _) => {
            let next = known.unwrap_or(0) + 1;
            // The count first: a crash in between costs a number, never uses one twice.
            write_synced(&count, &format!("{next}\n"))?;
            write_synced(&mark, &format!("{next}\n"))?;
            Ok(next)
        }
    }
}

impl Member {
    /// `hold_back_unsynced`: for tests, see [`StoreOptions::hold_back_unsynced`].
    pub fn open(
        name: &NodeName,
        data_dir: &Path,
        identity_dir: &Path,
        engine: EngineKind,
        hold_back_unsynced: bool,
    ) -> Result<Member, OpenError> {
        let provider = Arc::new(DevKeyFile::open(identity_dir.join("dev.key"))?);
        let incarnation = incarnation(data_dir, identity_dir)?;
        let mut log_options = LogOptions::new(provider.clone());
        let mut store_options = StoreOptions::new(engine, provider);
        if hold_back_unsynced {
            log_options.disk = Arc::new(breakwater_storage::disk::HeldBackDisk);
            store_options.hold_back_unsynced = true;
        }
        let log = LogStore::open(&data_dir.join("log"), log_options)?;
        let store = Store::open(&data_dir.join("state"), store_options)?;
        Ok(Member { raft_id: raft_id_of(name, incarnation), incarnation, log, store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_disk_is_another_member() {
        let root = std::env::temp_dir().join(format!("breakwater-member-{}", std::process::id()));
        let (data, identity) = (root.join("data"), root.join("identity"));
        fs::create_dir_all(&identity).unwrap();
        assert_eq!(incarnation(&data, &identity).unwrap(), 1);
        assert_eq!(incarnation(&data, &identity).unwrap(), 1);
        fs::remove_dir_all(&data).unwrap();
        assert_eq!(incarnation(&data, &identity).unwrap(), 2);
        assert_eq!(incarnation(&data, &identity).unwrap(), 2);
        let name: NodeName = "n".parse().unwrap();
        assert_ne!(raft_id_of(&name, 1), raft_id_of(&name, 2));
        fs::remove_dir_all(&root).unwrap();
    }
}
