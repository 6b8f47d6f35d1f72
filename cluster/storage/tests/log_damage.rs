//! Damage at rest: every flipped byte, cut file and missing file is reported, or harmless; wrong or missing data is
//! never served.

mod support;

use breakwater_storage::disk::{CrashStyle, Disk, DiskFaults, FaultDisk};
use breakwater_storage::{LogEntry, LogOptions, LogStore, StorageError};
use breakwater_types::GroupId;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{TempDir, done};

const DIR: &str = "/log";
const A: GroupId = GroupId(1);
const B: GroupId = GroupId(2);

fn options(disk: &FaultDisk, dir: &TempDir) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        cache_bytes: 0,
        disk: Arc::new(disk.clone()),
        ..LogOptions::new(support::provider(dir))
    }
}

fn open(disk: &FaultDisk, dir: &TempDir) -> Result<Arc<LogStore>, StorageError> {
    LogStore::open(Path::new(DIR), options(disk, dir))
}

fn entry(index: u64) -> LogEntry {
    LogEntry { index, term: 1, payload: Bytes::from(format!("plaintext-{index}-").repeat(40)) }
}

fn append(log: &LogStore, group: GroupId, index: u64) {
    let (callback, answer) = done();
    log.append(group, vec![entry(index)], callback);
    answer.wait().unwrap();
}

/// Several segments, cleanly closed.
fn filled(seed: u64, dir: &TempDir) -> FaultDisk {
    let disk = FaultDisk::new(seed);
    let log = open(&disk, dir).unwrap();
    let (callback, answer) = done();
    log.save_meta(A, 1, Bytes::from_static(b"plaintext-vote"), callback, true);
    answer.wait().unwrap();
    for index in 1..=50 {
        append(&log, A, index);
        append(&log, B, index);
    }
    disk
}

fn verify(log: &LogStore) -> Result<(), StorageError> {
    for group in [A, B] {
        let bounds = log.bounds(group);
        assert_eq!((bounds.first, bounds.last), (Some(1), Some(50)));
        for index in 1..=50 {
            assert_eq!(log.read(group, index..index + 1, 0)?, vec![entry(index)]);
        }
    }
    assert_eq!(log.meta(A, 1).as_deref(), Some(&b"plaintext-vote"[..]));
    Ok(())
}

fn files(disk: &FaultDisk) -> Vec<PathBuf> {
    let mut names = disk.list(Path::new(DIR)).unwrap();
    names.retain(|name| name != "LOCK");
    names.sort();
    names.into_iter().map(|name| Path::new(DIR).join(name)).collect()
}

fn right_or_corrupt(disk: &FaultDisk, dir: &TempDir, what: &str) -> bool {
    match open(disk, dir).and_then(|log| verify(&log)) {
        Ok(()) => false,
        Err(e) if e.is_corrupt() => true,
        Err(e) => panic!("{what}: {e}"),
    }
}

#[test]
fn a_flipped_bit_is_reported_or_harmless() {
    let dir = TempDir::new();
    let mut rng = StdRng::seed_from_u64(5);
    let mut reported = 0;
    for round in 0..400 {
        let disk = filled(round, &dir);
        let files = files(&disk);
        assert!(files.len() > 4);
        let path = &files[rng.random_range(0..files.len())];
        let offset = rng.random_range(0..disk.read(path).unwrap().len());
        disk.flip(path, offset).unwrap();
        reported += u32::from(right_or_corrupt(&disk, &dir, &format!("{} at {offset}", path.display())));
    }
    assert!(reported > 200, "only {reported} of 400 were reported");
}

#[test]
fn a_flip_in_the_last_acknowledged_frame_is_reported_after_a_rest() {
    let dir = TempDir::new();
    let disk = filled(1, &dir);
    // Frames of the last segment, by looking for what changes when one more entry is appended and closed.
    let before = disk.read(files(&disk).last().unwrap()).unwrap();
    let last = files(&disk).last().unwrap().clone();
    let used = before.iter().rposition(|byte| *byte != 0).unwrap();
    // The mark is the last frame: the one before it holds the last entry.
    disk.flip(&last, used - 100).unwrap();
    assert!(open(&disk, &dir).is_err_and(|e| e.is_corrupt()));
}

#[test]
fn a_missing_or_cut_file_is_reported() {
    let dir = TempDir::new();
    let count = files(&filled(0, &dir)).len();
    for number in 0..count {
        let disk = filled(0, &dir);
        let path = files(&disk)[number].clone();
        disk.remove(&path).unwrap();
        assert!(right_or_corrupt(&disk, &dir, "missing"), "{} is missing, and nobody said so", path.display());
        let mut rng = StdRng::seed_from_u64(number as u64);
        for _ in 0..5 {
            let disk = filled(0, &dir);
            let length = disk.read(&path).unwrap().len();
            disk.cut(&path, rng.random_range(0..length)).unwrap();
            assert!(right_or_corrupt(&disk, &dir, "cut"), "{} was cut, and nobody said so", path.display());
        }
    }
}

#[test]
fn segments_can_not_be_exchanged() {
    let dir = TempDir::new();
    let (one, other) = (filled(0, &dir), filled(0, &dir));
    let path = files(&one)[2].clone();
    let bytes = other.read(&path).unwrap();
    one.replace(Path::new("/log/x"), &path, &bytes).unwrap();
    assert!(open(&one, &dir).is_err_and(|e| e.is_corrupt()));
}

#[test]
fn another_root_key_is_refused() {
    let (dir, other) = (TempDir::new(), TempDir::new());
    let disk = filled(0, &dir);
    assert!(matches!(open(&disk, &other), Err(StorageError::Refused { .. })));
    verify(&open(&disk, &dir).unwrap()).unwrap();
}

#[test]
fn no_plaintext_reaches_the_disk() {
    let dir = TempDir::new();
    let disk = filled(0, &dir);
    for path in files(&disk) {
        let bytes = disk.read(&path).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"plaintext"), "{}", path.display());
    }
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_stays() {
    let dir = TempDir::new();
    for seed in 0..50 {
        let disk = filled(seed, &dir);
        let log = open(&disk, &dir).unwrap();
        // Slow syncs: the crash comes in the middle of one.
        disk.set_faults(DiskFaults { sync_delay: Some(std::time::Duration::from_millis(5)), ..DiskFaults::default() });
        let (callback, answer) = done();
        log.append(A, vec![entry(51), entry(52)], callback);
        while disk.read(files(&disk).last().unwrap()).unwrap()[4_096..].iter().all(|byte| *byte == 0) {
            std::thread::yield_now();
        }
        disk.crash(CrashStyle::Torn);
        let acknowledged = answer.wait().is_ok();
        drop(log);
        let log = open(&disk, &dir).unwrap();
        let last = log.bounds(A).last;
        assert!(last == Some(52) || (!acknowledged && last == Some(50)), "{last:?}");
        let (callback, _) = done();
        log.truncate_after(A, 50, callback);
        verify(&log).unwrap();
    }
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    let dir = TempDir::new();
    for faults in [
        DiskFaults { sync_fails: true, ..DiskFaults::default() },
        DiskFaults { free_bytes: Some(10), ..DiskFaults::default() },
    ] {
        let disk = filled(0, &dir);
        let log = open(&disk, &dir).unwrap();
        disk.set_faults(faults);
        let (callback, answer) = done();
        log.append(A, vec![entry(51)], callback);
        assert!(matches!(answer.wait(), Err(StorageError::Io { .. })));
        disk.set_faults(DiskFaults::default());
        for sync in [true, false] {
            let (callback, answer) = done();
            log.save_meta(A, 1, Bytes::new(), callback, sync);
            assert!(matches!(answer.wait(), Err(StorageError::Stopped { .. })));
        }
        assert!(log.failure().is_some());
        drop(log);
        disk.crash(CrashStyle::LoseUnsynced);
        verify(&open(&disk, &dir).unwrap()).unwrap();
    }
}

#[test]
fn a_second_opening_is_refused() {
    let dir = TempDir::new();
    let disk = filled(0, &dir);
    let _log = open(&disk, &dir).unwrap();
    assert!(matches!(open(&disk, &dir), Err(StorageError::Refused { .. })));
}
