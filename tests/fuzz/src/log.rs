//! A log whose files were changed at rest: what it serves then is what was appended, or it says that it is damaged.

use breakwater_storage::disk::{Disk, FaultDisk};
use breakwater_storage::{DevKeyFile, KeyProvider, LogEntry, LogOptions, LogStore};
use breakwater_types::GroupId;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};

const DIR: &str = "/log";
const GROUP: GroupId = GroupId(1);
const ENTRIES: u64 = 30;
const WAIT: std::time::Duration = std::time::Duration::from_secs(20);

fn provider() -> Arc<dyn KeyProvider> {
    static PROVIDER: OnceLock<Arc<DevKeyFile>> = OnceLock::new();
    let made = PROVIDER.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("breakwater-fuzz-{}.key", std::process::id()));
        let provider = DevKeyFile::open_or_create(&path).expect("a key");
        let _ = std::fs::remove_file(path);
        Arc::new(provider)
    });
    made.clone()
}

fn open(disk: &FaultDisk) -> Result<Arc<LogStore>, breakwater_storage::StorageError> {
    let options = LogOptions {
        segment_bytes: 16 << 10,
        cache_bytes: 0,
        disk: Arc::new(disk.clone()),
        ..LogOptions::new(provider())
    };
    LogStore::open(Path::new(DIR), options)
}

fn entry(index: u64) -> LogEntry {
    LogEntry { index, term: 1, payload: Bytes::from(format!("payload {index} ").repeat(50)) }
}

fn filled() -> FaultDisk {
    let disk = FaultDisk::new(1);
    let log = open(&disk).expect("a new log opens");
    for index in 1..=ENTRIES {
        let (done, told) = mpsc::channel();
        log.append(GROUP, vec![entry(index)], Box::new(move |result| drop(done.send(result))));
        told.recv_timeout(WAIT).expect("an answer").expect("the entry is appended");
    }
    disk
}

/// Each four bytes are one change: which file, where in it (two bytes), and what: a bit to flip, or the file's end.
pub(crate) fn run(data: &[u8]) {
    let disk = filled();
    let mut files: Vec<PathBuf> =
        disk.list(Path::new(DIR)).expect("a list").into_iter().map(|name| Path::new(DIR).join(name)).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "LOCK"));
    files.sort();
    let mut changed = false;
    for change in data.chunks_exact(4).take(16) {
        let path = &files[usize::from(change[0]) % files.len()];
        let Ok(length) = disk.read(path).map(|bytes| bytes.len()) else { continue };
        if length == 0 {
            continue;
        }
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) * length / 65_536;
        changed = true;
        match change[3] {
            255 => disk.cut(path, at).expect("a cut"),
            254 => disk.remove(path).expect("a removal"),
            _ => disk.flip(path, at).expect("a flip"),
        }
    }
    // A disk that lost all of them is a new one: its node has lost its identity too, and says so.
    if files.iter().all(|path| disk.read(path).is_err()) {
        return;
    }
    match open(&disk) {
        Ok(log) => {
            let bounds = log.bounds(GROUP);
            for index in 1..=ENTRIES {
                match log.read(GROUP, index..index + 1, usize::MAX) {
                    Ok(read) => assert_eq!(read, vec![entry(index)], "of {bounds:?}"),
                    Err(e) => assert!(e.is_corrupt() && changed, "{e}"),
                }
            }
        }
        Err(e) => assert!(changed && (e.is_corrupt() || !e.to_string().is_empty()), "{e}"),
    }
}
