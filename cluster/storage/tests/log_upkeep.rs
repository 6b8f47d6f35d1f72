//! The log in long use, on a real disk: old segments go, groups at rest keep what they have, memory stays bounded.

mod support;

use breakwater_storage::disk::HeldBackDisk;
use breakwater_storage::{LogEntry, LogOptions, LogStore, StorageError};
use breakwater_types::GroupId;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use support::{Answer, TempDir, done};

const BUSY: GroupId = GroupId(1);
const RESTING: GroupId = GroupId(99);
const SEGMENT_BYTES: u64 = 64 << 10;

/// Under this disk the end of the process is a loss of power; a copy of the files is what is left then.
#[test]
fn what_is_held_back_dies_with_the_process_and_a_skipped_fsync_shows() {
    let dir = TempDir::new();
    let options = || LogOptions { disk: Arc::new(HeldBackDisk), ..LogOptions::new(support::provider(&dir)) };
    let log = LogStore::open(&dir.path().join("log"), options()).unwrap();
    append(&log, BUSY, 1..11).wait().unwrap();
    let (callback, answer) = done();
    log.save_meta(BUSY, 2, Bytes::from_static(b"not synced"), callback, false);
    answer.wait().unwrap();
    assert_eq!(log.read(BUSY, 1..11, usize::MAX).unwrap().len(), 10);
    support::copy_dir(&dir.path().join("log"), &dir.path().join("left"));
    let left = LogStore::open(&dir.path().join("left"), options()).unwrap();
    if cfg!(feature = "broken-skip-fsync") {
        assert_eq!(left.bounds(BUSY).last, None, "a skipped fsync went unnoticed");
    } else {
        assert_eq!(left.read(BUSY, 1..11, usize::MAX).unwrap(), (1..11).map(entry).collect::<Vec<_>>());
    }
    assert_eq!(left.meta(BUSY, 2), None);
}

fn open(dir: &TempDir) -> Arc<LogStore> {
    let options =
        LogOptions { segment_bytes: SEGMENT_BYTES, cache_bytes: 32 << 10, ..LogOptions::new(support::provider(dir)) };
    LogStore::open(&dir.path().join("log"), options).unwrap()
}

fn entry(index: u64) -> LogEntry {
    LogEntry { index, term: index / 10 + 1, payload: Bytes::from(vec![index as u8; 500]) }
}

fn append(log: &LogStore, group: GroupId, indexes: std::ops::Range<u64>) -> Answer {
    let (callback, answer) = done();
    log.append(group, indexes.map(entry).collect(), callback);
    answer
}

fn segments(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir.join("log")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

#[test]
fn resting_groups_do_not_hold_old_segments() {
    let dir = TempDir::new();
    let mut log = open(&dir);
    let (callback, answer) = done();
    log.save_meta(RESTING, 1, Bytes::from_static(b"vote"), callback, true);
    answer.wait().unwrap();
    append(&log, RESTING, 5..25).wait().unwrap();
    for round in 0..60 {
        let first = round * 50 + 1;
        append(&log, BUSY, first..first + 50).wait().unwrap();
        let (callback, answer) = done();
        log.purge_to(BUSY, first + 30, callback);
        answer.wait().unwrap();
        assert!(log.stats().cached_bytes <= 32 << 10, "{:?}", log.stats());
        if round % 20 == 19 {
            drop(log);
            log = open(&dir);
        }
        assert_eq!(log.read(RESTING, 0..100, usize::MAX).unwrap(), (5..25).map(entry).collect::<Vec<_>>());
        assert_eq!(log.meta(RESTING, 1).as_deref(), Some(&b"vote"[..]));
    }
    // 60 rounds are 25 segments.
    assert!(segments(dir.path()) <= 8, "{} segments, {:?}", segments(dir.path()), log.stats());
    assert_eq!(log.bounds(BUSY).last, Some(3_000));
    assert_eq!(log.groups(), [BUSY, RESTING]);
    drop(log);
    let log = open(&dir);
    assert_eq!(log.read(RESTING, 0..100, usize::MAX).unwrap().len(), 20);
    let (callback, answer) = done();
    log.remove_group(RESTING, callback);
    answer.wait().unwrap();
    drop(log);
    assert_eq!(open(&dir).groups(), [BUSY]);
}

#[test]
fn entries_are_readable_before_they_are_durable_and_in_bounded_pieces() {
    let dir = TempDir::new();
    let log = open(&dir);
    let answer = append(&log, BUSY, 1..101);
    assert_eq!(log.read(BUSY, 40..42, usize::MAX).unwrap(), [entry(40), entry(41)]);
    answer.wait().unwrap();
    assert_eq!(log.read(BUSY, 1..101, 1_500).unwrap().len(), 3);
    assert_eq!(log.read(BUSY, 1..101, 0).unwrap(), [entry(1)]);
    assert!(log.read(BUSY, 101..200, 1_000).unwrap().is_empty());
    assert!(log.read(GroupId(7), 1..2, 1_000).unwrap().is_empty());
    let bounds = log.bounds(BUSY);
    assert_eq!((bounds.first, bounds.last, bounds.last_term), (Some(1), Some(100), Some(11)));
}

#[test]
fn a_gap_or_an_overwrite_is_refused() {
    let dir = TempDir::new();
    let log = open(&dir);
    append(&log, BUSY, 1..11).wait().unwrap();
    for bad in [10..11, 12..13, 0..1] {
        assert!(matches!(append(&log, BUSY, bad).wait(), Err(StorageError::Invalid(_))));
    }
    let (callback, answer) = done();
    log.append(BUSY, vec![entry(11), entry(13)], callback);
    assert!(matches!(answer.wait(), Err(StorageError::Invalid(_))));
    assert_eq!(log.bounds(BUSY).last, Some(10));
    let (callback, _) = done();
    log.truncate_after(BUSY, 4, callback);
    append(&log, BUSY, 5..7).wait().unwrap();
    let (callback, _) = done();
    log.purge_to(BUSY, 100, callback);
    assert_eq!(log.bounds(BUSY).last, None);
    assert!(matches!(append(&log, BUSY, 50..51).wait(), Err(StorageError::Invalid(_))));
    append(&log, BUSY, 101..102).wait().unwrap();
    append(&log, BUSY, 102..102).wait().unwrap();
    drop(log);
    assert_eq!(open(&dir).bounds(BUSY).first, Some(101));
}

#[test]
fn an_entry_longer_than_a_segment_has_one_of_its_own() {
    let dir = TempDir::new();
    let log = open(&dir);
    let long = LogEntry { index: 2, term: 1, payload: Bytes::from(vec![9; 3 * SEGMENT_BYTES as usize]) };
    append(&log, BUSY, 1..2).wait().unwrap();
    let (callback, answer) = done();
    log.append(BUSY, vec![long.clone()], callback);
    answer.wait().unwrap();
    append(&log, BUSY, 3..200).wait().unwrap();
    assert_eq!(log.read(BUSY, 2..3, 0).unwrap(), std::slice::from_ref(&long));
    drop(log);
    assert_eq!(open(&dir).read(BUSY, 1..4, usize::MAX).unwrap(), [entry(1), long, entry(3)]);
}

#[test]
fn concurrent_appends_share_syncs() {
    let dir = TempDir::new();
    let log = open(&dir);
    std::thread::scope(|scope| {
        for group in 1..=32 {
            let log = &log;
            scope.spawn(move || {
                for index in 1..=20 {
                    append(log, GroupId(group), index..index + 1).wait().unwrap();
                }
            });
        }
    });
    let stats = log.stats();
    assert!(stats.syncs < 320, "{} syncs for 640 appends of 32 writers", stats.syncs);
    drop(log);
    let log = open(&dir);
    for group in 1..=32 {
        assert_eq!(log.read(GroupId(group), 1..21, usize::MAX).unwrap(), (1..21).map(entry).collect::<Vec<_>>());
    }
}
