//! Fault points: what fails there is never acknowledged. Alone in its process, because a plan holds for all of it.

mod support;

use breakwater_storage::{
    Batch, Direction, EngineKind, KeyRange, LogEntry, LogOptions, LogStore, OsDisk, SealedFiles, StorageError, Store,
    StoreOptions,
};
use breakwater_types::{GroupId, faults};
use bytes::Bytes;
use std::sync::Arc;
use support::{Answer, TempDir, done};

const GROUP: GroupId = GroupId(1);

fn open(dir: &TempDir) -> Arc<LogStore> {
    LogStore::open(&dir.path().join("log"), LogOptions::new(support::provider(dir))).unwrap()
}

fn append(log: &LogStore, indexes: std::ops::Range<u64>) -> Answer {
    let (callback, answer) = done();
    let entries = indexes.map(|index| LogEntry { index, term: 1, payload: Bytes::from(vec![index as u8; 500]) });
    log.append(GROUP, entries.collect(), callback);
    answer
}

fn the_log_stops() {
    for point in ["log.before_write", "log.before_sync", "log.after_sync"] {
        let dir = TempDir::new();
        let log = open(&dir);
        append(&log, 1..11).wait().unwrap();
        faults::arm(&format!("seed=1;{point}=error@1")).unwrap();
        assert!(append(&log, 11..12).wait().is_err(), "{point}");
        faults::arm("").unwrap();
        assert!(matches!(append(&log, 12..13).wait(), Err(StorageError::Stopped { .. })));
        drop(log);
        let last = open(&dir).bounds(GROUP).last.unwrap();
        assert!((10..=11).contains(&last), "{point}: {last}");
    }
}

fn the_store_stops(kind: EngineKind) {
    for point in ["kv.before_write", "kv.before_sync", "kv.after_sync"] {
        let dir = TempDir::new();
        let open = || Store::open(&dir.path().join("store"), StoreOptions::new(kind, support::provider(&dir))).unwrap();
        let store = open();
        let mut batch = Batch::new();
        batch.put("a", "1");
        store.write(&batch).unwrap();
        store.sync().unwrap();
        faults::arm(&format!("seed=1;{point}=error@1")).unwrap();
        let mut batch = Batch::new();
        batch.put("b", "2");
        assert!(store.write(&batch).and_then(|()| store.sync()).is_err(), "{point}");
        faults::arm("").unwrap();
        assert!(matches!(store.write(&batch), Err(StorageError::Stopped { .. })));
        drop(store);
        let keys: Vec<_> =
            open().scan(KeyRange::all(), Direction::Forward).unwrap().map(|entry| entry.unwrap().0).collect();
        assert!(keys == ["a"] || keys == ["a", "b"], "{point}");
    }
}

/// A file that fails is as it was, or as it was to be; only a directory that may not be durable stops all writing.
fn a_file_is_there_or_not() {
    for point in ["files.before_write", "files.before_sync", "files.before_rename", "files.after_rename"] {
        let dir = TempDir::new();
        let provider = support::provider(&dir);
        let open = || SealedFiles::open(&dir.path().join("files"), Arc::new(OsDisk), &*provider).unwrap();
        let files = open();
        files.write("a", b"1").unwrap();
        faults::arm(&format!("seed=1;{point}=error@1")).unwrap();
        assert!(files.write("a", b"2").is_err(), "{point}");
        faults::arm("").unwrap();
        let stopped = matches!(files.write("b", b""), Err(StorageError::Stopped { .. }));
        assert_eq!(stopped, point == "files.after_rename", "{point}");
        drop(files);
        let files = open();
        let found = files.read("a").unwrap().unwrap();
        assert_eq!(found, if stopped { "2" } else { "1" }, "{point}");
        assert_eq!(files.list().unwrap().len(), if stopped { 1 } else { 2 });
    }
}

#[test]
fn what_fails_at_a_fault_point_stops_the_store() {
    the_log_stops();
    the_store_stops(EngineKind::Fjall);
    the_store_stops(EngineKind::Sled);
    a_file_is_there_or_not();
}
