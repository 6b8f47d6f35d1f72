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

fn read_words(path: &Path) -> Result<Option<Vec<u64>>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => text
            .split_whitespace()
            .map(|word| word.parse().map_err(|_| OpenError::File(path.to_owned(), io::Error::other("not a number"))))
            .collect::<Result<_, _>>()
            .map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(OpenError::File(path.to_owned(), e)),
    }
}

/// Which disk of this node this is, and its id. The count stands outside the data folder, so that it outlives it: a
/// folder without a mark is a new disk, and the node a new member, which never says what the old one has forgotten.
/// The mark is `incarnation id`; an `incarnation` alone has the id that follows from it.
fn identify(
    name: &NodeName,
    data_dir: &Path,
    identity_dir: &Path,
    first: FirstId,
) -> Result<(u32, RaftNodeId), OpenError> {
    fs::create_dir_all(data_dir).map_err(|e| OpenError::File(data_dir.to_owned(), e))?;
    let count = identity_dir.join(COUNT);
    let mark = data_dir.join(MARK);
    let small = |path: &Path, n: u64| {
        u32::try_from(n).map_err(|_| OpenError::File(path.to_owned(), io::Error::other("not a count of disks")))
    };
    let known = read_words(&count)?.and_then(|words| words.first().copied());
    let known = known.map(|n| small(&count, n)).transpose()?;
    match (known, read_words(&mark)?.as_deref()) {
        (Some(known), Some([marked])) if u64::from(known) == *marked => return Ok((known, raft_id_of(name, known))),
        (Some(known), Some([marked, id])) if u64::from(known) == *marked => return Ok((known, *id)),
        _ => {}
    }
    let next = known.unwrap_or(0) + 1;
    // A host that was replaced has lost the count too: only an id at random is surely another one.
    let id = match first {
        FirstId::Founding if next == 1 => raft_id_of(name, 1),
        FirstId::Founding | FirstId::Random => rand::random(),
    };
    // The count first: a crash in between costs a number, never uses one twice.
    write_synced(&count, &format!("{next}\n"))?;
    write_synced(&mark, &format!("{next} {id}\n"))?;
    Ok((next, id))
}

/// The id of a node's first disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstId {
    /// The one that [`raft_id_of`] gives: the founders of a group know it of each other beforehand.
    Founding,
    Random,
}

impl Member {
    /// `hold_back_unsynced`: for tests, see [`StoreOptions::hold_back_unsynced`].
    pub fn open(
        name: &NodeName,
        data_dir: &Path,
        identity_dir: &Path,
        first: FirstId,
        engine: EngineKind,
        hold_back_unsynced: bool,
    ) -> Result<Member, OpenError> {
        let provider = Arc::new(DevKeyFile::open(identity_dir.join("dev.key"))?);
        let (incarnation, raft_id) = identify(name, data_dir, identity_dir, first)?;
        let mut log_options = LogOptions::new(provider.clone());
        let mut store_options = StoreOptions::new(engine, provider);
        if hold_back_unsynced {
            log_options.disk = Arc::new(breakwater_storage::disk::HeldBackDisk);
            store_options.hold_back_unsynced = true;
        }
        let log = LogStore::open(&data_dir.join("log"), log_options)?;
        let store = Store::open(&data_dir.join("state"), store_options)?;
        Ok(Member { raft_id, incarnation, log, store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_disk_is_another_member() {
        let root = std::env::temp_dir().join(format!("breakwater-member-{}", std::process::id()));
        let (data, identity) = (root.join("data"), root.join("identity"));
        let name: NodeName = "n".parse().unwrap();
        fs::create_dir_all(&identity).unwrap();
        let open = |first| identify(&name, &data, &identity, first).unwrap();
        assert_eq!(open(FirstId::Founding), (1, raft_id_of(&name, 1)));
        assert_eq!(open(FirstId::Founding), (1, raft_id_of(&name, 1)));
        fs::remove_dir_all(&data).unwrap();
        let second = open(FirstId::Founding);
        assert_eq!(second.0, 2);
        assert_ne!(second.1, raft_id_of(&name, 1));
        assert_eq!(open(FirstId::Founding), second);
        // A mark of before there were ids in it.
        fs::write(data.join(MARK), "2\n").unwrap();
        assert_eq!(open(FirstId::Founding), (2, raft_id_of(&name, 2)));
        // A whole host that was replaced.
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir_all(&identity).unwrap();
        let replaced = open(FirstId::Random);
        assert_eq!(replaced.0, 1);
        assert_ne!(replaced.1, raft_id_of(&name, 1));
        for damaged in ["", "x", "1 2 3", "99999999999 1"] {
            fs::write(identity.join(COUNT), damaged).unwrap();
            assert_ne!(identify(&name, &data, &identity, FirstId::Random).ok(), Some(replaced), "{damaged:?}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
