//! One suite for every engine: what the trait promises, sealed as in a node.

mod support;

use breakwater_storage::disk::FaultDisk;
use breakwater_storage::{
    Batch, Direction, Engine, EngineKind, KeyRange, MemoryEngine, MemoryFaults, StorageError, Store, StoreOptions,
};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    Fjall,
    Sled,
    Memory,
    /// fjall, and a crash loses what wasn't synced.
    HeldBack,
}

/// A store that can be closed, crashed and opened again.
struct Bed {
    under: Under,
    dir: TempDir,
    data: PathBuf,
    memory: MemoryEngine,
    disk: FaultDisk,
    copies: u32,
}

impl Bed {
    fn new(under: Under) -> Self {
        let dir = TempDir::new();
        let data = dir.path().join("store");
        Bed { under, dir, data, memory: MemoryEngine::new(7), disk: FaultDisk::new(7), copies: 0 }
    }

    fn try_open(&self) -> Result<Arc<dyn Engine>, StorageError> {
        let provider = support::provider(&self.dir);
        let kind = match self.under {
            Under::Fjall | Under::HeldBack => EngineKind::Fjall,
            Under::Sled => EngineKind::Sled,
            Under::Memory => {
                return Store::over(Arc::new(self.memory.clone()), &self.data, &self.disk, &*provider);
            }
        };
        let options = StoreOptions {
            cache_bytes: 1 << 20,
            memtable_bytes: 64 << 10,
            hold_back_unsynced: self.under == Under::HeldBack,
            ..StoreOptions::new(kind, provider)
        };
        Store::open(&self.data, options)
    }

    fn open(&self) -> Arc<dyn Engine> {
        self.try_open().unwrap()
    }

    /// What another machine would find if this one went up in smoke now: for real engines the files as they are.
    fn crash(&mut self, open: Arc<dyn Engine>) -> Arc<dyn Engine> {
        if self.under == Under::Memory {
            drop(open);
            self.memory.crash();
        } else {
            self.copies += 1;
            let copy = self.dir.path().join(format!("copy{}", self.copies));
            support::copy_dir(&self.data, &copy);
            drop(open);
            self.data = copy;
        }
        self.open()
    }

    /// Every file, without the lock.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), out);
                } else if entry.file_name() != "LOCK" && entry.file_name() != "lock" {
                    out.push(entry.path());
                }
            }
        }
        let mut out = Vec::new();
        walk(&self.data, &mut out);
        out.sort();
        out
    }
}

fn put(store: &dyn Engine, key: impl Into<Bytes>, value: impl Into<Bytes>) {
    let mut batch = Batch::new();
    batch.put(key, value);
    store.write(&batch).unwrap();
}

fn all(store: &dyn Engine) -> Result<BTreeMap<Bytes, Bytes>, StorageError> {
    store.scan(KeyRange::all(), Direction::Forward)?.collect()
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number:05}").into_bytes()
}

fn value(number: u32, version: u32) -> Vec<u8> {
    format!("plaintext {number} version {version} ").repeat(6).into_bytes()
}

fn batches_are_ordered_and_reads_see_them(under: Under) {
    let bed = Bed::new(under);
    let store = bed.open();
    let mut batch = Batch::new();
    batch.put("a", "1");
    batch.put("b", "2");
    batch.put("a", "3");
    batch.delete("b");
    batch.put("c", "");
    batch.put(vec![0], "first key");
    store.write(&batch).unwrap();
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(store.get(b"b").unwrap(), None);
    assert_eq!(store.get(b"c").unwrap().as_deref(), Some(&b""[..]));
    store.write(&Batch::new()).unwrap();
    for bad in [Vec::new(), vec![1; 65_536], b"\0\0breakwater.mark".to_vec()] {
        let mut batch = Batch::new();
        batch.put(bad, "x");
        assert!(matches!(store.write(&batch), Err(StorageError::Invalid(_))));
    }
    let mut seen: Vec<_> = all(&*store).unwrap().into_keys().collect();
    assert_eq!(seen, [&b"\0"[..], b"a", b"c"]);
    store.sync().unwrap();
    drop(store);
    let store = bed.open();
    seen.retain(|key| store.get(key).unwrap().is_some());
    assert_eq!(seen.len(), 3);
    assert_eq!(
        store.name(),
        match under {
            Under::Fjall | Under::HeldBack => "fjall",
            Under::Sled => "sled",
            Under::Memory => "memory",
        }
    );
}

fn random_work_equals_a_map(under: Under) {
    let mut rng = StdRng::seed_from_u64(11);
    let mut bed = Bed::new(under);
    let mut store = bed.open();
    let mut model = BTreeMap::<Bytes, Bytes>::new();
    for step in 0..1_200u32 {
        match rng.random_range(0..40) {
            0 => {
                let (a, b) = (key(rng.random_range(0..900)), key(rng.random_range(0..900)));
                let range = KeyRange::new(a.clone(), b.clone());
                store.delete_range(range.clone()).unwrap();
                model.retain(|key, _| !range.contains(key));
            }
            1 => store.sync().unwrap(),
            2 if step % 4 == 0 => {
                store.sync().unwrap();
                store = bed.crash(store);
            }
            3..8 => {
                let range = KeyRange {
                    start: key(rng.random_range(0..900)),
                    end: if rng.random() { Some(key(rng.random_range(0..900))) } else { None },
                };
                let mut expected: Vec<_> =
                    model.iter().filter(|(key, _)| range.contains(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
                let mut direction = Direction::Forward;
                if rng.random() {
                    direction = Direction::Backward;
                    expected.reverse();
                }
                let found: Result<Vec<_>, _> = store.scan(range, direction).unwrap().collect();
                assert!(found.unwrap() == expected, "step {step}");
            }
            _ => {
                let mut batch = Batch::new();
                for _ in 0..rng.random_range(1..20) {
                    let (key, value) = (Bytes::from(key(rng.random_range(0..900))), value(step, rng.random()));
                    if rng.random_range(0..4) == 0 {
                        batch.delete(key.clone());
                        model.remove(&key);
                    } else {
                        batch.put(key.clone(), value.clone());
                        model.insert(key, value.into());
                    }
                }
                store.write(&batch).unwrap();
            }
        }
    }
    assert!(all(&*store).unwrap() == model);
    store.delete_range(KeyRange::all()).unwrap();
    assert!(all(&*store).unwrap().is_empty());
    store.sync().unwrap();
    assert!(all(&*bed.crash(store)).unwrap().is_empty());
}

fn a_snapshot_stays_as_it_was(under: Under) {
    let bed = Bed::new(under);
    let store = bed.open();
    for number in 0..1_500 {
        put(&*store, key(number), value(number, 0));
    }
    let view = store.snapshot().unwrap();
    let expected = all(&*store).unwrap();
    let mut forward = view.scan(KeyRange::all(), Direction::Forward).unwrap();
    let first: Vec<_> = forward.by_ref().take(10).collect::<Result<_, _>>().unwrap();
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..1_500 {
        let number = rng.random_range(0..2_000);
        let mut batch = Batch::new();
        match round % 3 {
            0 => batch.delete(key(number)),
            _ => batch.put(key(number), value(number, 1)),
        }
        store.write(&batch).unwrap();
    }
    store.delete_range(KeyRange::new(key(300), key(900))).unwrap();
    store.sync().unwrap();
    let later = store.snapshot().unwrap();
    assert_eq!(view.get(&key(400)).unwrap().as_deref(), Some(&value(400, 0)[..]));
    assert_eq!(view.get(&key(1_999)).unwrap(), None);
    assert_eq!(later.get(&key(400)).unwrap(), None);
    let rest: Vec<_> = forward.collect::<Result<_, _>>().unwrap();
    let seen: BTreeMap<_, _> = first.into_iter().chain(rest).collect();
    assert!(seen == expected);
    let backward: Result<Vec<_>, _> = view.scan(KeyRange::all(), Direction::Backward).unwrap().collect();
    let mut backward = backward.unwrap();
    backward.reverse();
    assert!(backward.into_iter().eq(expected));
    let now = all(&*store).unwrap();
    assert!(later.scan(KeyRange::all(), Direction::Forward).unwrap().map(Result::unwrap).eq(now));
}

fn what_was_synced_survives(under: Under) {
    let mut bed = Bed::new(under);
    let mut store = bed.open();
    for round in 0..5 {
        for number in 0..200 {
            put(&*store, key(number), value(number, round));
        }
        store.sync().unwrap();
        // Each batch after the sync is there as a whole or not at all, and none without those before it.
        for number in 0..50 {
            let mut batch = Batch::new();
            batch.put(format!("first-{number:03}"), format!("{round}"));
            batch.put(format!("second-{number:03}"), format!("{round}"));
            store.write(&batch).unwrap();
        }
        store = bed.crash(store);
        for number in 0..200 {
            assert_eq!(store.get(&key(number)).unwrap().as_deref(), Some(&value(number, round)[..]));
        }
        let here = |name: &str, number: u32| {
            store.get(format!("{name}-{number:03}").as_bytes()).unwrap() == Some(Bytes::from(round.to_string()))
        };
        let there: Vec<bool> = (0..50).map(|number| here("first", number)).collect();
        assert!(there.is_sorted_by(|a, b| a >= b), "{there:?}");
        assert!((0..50).all(|number| here("second", number) == there[number as usize]));
        store.delete_range(KeyRange::prefix(b"first")).unwrap();
        store.delete_range(KeyRange::prefix(b"second")).unwrap();
    }
}

fn concurrent_writers_and_syncs_end(under: Under) {
    let mut bed = Bed::new(under);
    let store = bed.open();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for number in 0..10 {
                    put(&**store, key(writer * 1_000 + number), value(number, writer));
                    store.sync().unwrap();
                }
            });
        }
    });
    assert_eq!(all(&*bed.crash(store)).unwrap().len(), 160);
}

fn the_store_is_its_owners_alone(under: Under) {
    let bed = Bed::new(under);
    let store = bed.open();
    put(&*store, "a", "1");
    store.sync().unwrap();
    assert!(matches!(bed.try_open(), Err(StorageError::Refused { .. })));
    drop(store);
    let other = TempDir::new();
    std::fs::rename(bed.dir.path().join("root.key"), other.path().join("root.key")).unwrap();
    assert!(matches!(bed.try_open(), Err(StorageError::Refused { .. })));
    std::fs::rename(other.path().join("root.key"), bed.dir.path().join("root.key")).unwrap();
    assert_eq!(bed.open().get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

/// Filled so that both journal and tables have something, where an engine has both.
fn filled(under: Under) -> (Bed, BTreeMap<Bytes, Bytes>) {
    let bed = Bed::new(under);
    let store = bed.open();
    for number in 0..1_000 {
        put(&*store, key(number), value(number, 0));
    }
    store.sync().unwrap();
    let expected = all(&*store).unwrap();
    (bed, expected)
}

/// `true` if damage was reported, `false` if all is right; anything else fails.
fn right_or_corrupt(bed: &Bed, expected: &BTreeMap<Bytes, Bytes>, what: &str) -> bool {
    let found = bed.try_open().and_then(|store| {
        for (key, value) in expected {
            match store.get(key)? {
                Some(found) if found == value => {}
                other => panic!("{what}: key {key:?} has {:?} bytes", other.map(|v| v.len())),
            }
        }
        all(&*store)
    });
    match found {
        Ok(found) => {
            assert!(found == *expected, "{what}: a scan served something else");
            false
        }
        Err(e) if e.is_corrupt() => true,
        Err(e) => panic!("{what}: {e}"),
    }
}

fn damage_is_reported_or_harmless(under: Under) {
    let (original, expected) = filled(under);
    let mut rng = StdRng::seed_from_u64(2);
    let mut reported = 0;
    for round in 0..60 {
        let mut bed = Bed::new(under);
        bed.data = original.dir.path().join(format!("round{round}"));
        support::copy_dir(&original.data, &bed.data);
        std::fs::copy(original.dir.path().join("root.key"), bed.dir.path().join("root.key")).unwrap();
        let files = bed.files();
        let path = files.choose(&mut rng).unwrap();
        let length = std::fs::metadata(path).unwrap().len() as usize;
        let name = path.strip_prefix(&bed.data).unwrap().display().to_string();
        let what = match round % 3 {
            0 if length > 0 => {
                let mut bytes = std::fs::read(path).unwrap();
                let at = rng.random_range(0..length);
                bytes[at] ^= 0x10;
                std::fs::write(path, bytes).unwrap();
                format!("{name} flipped at {at}")
            }
            1 if length > 0 => {
                let to = rng.random_range(0..length);
                std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(to as u64).unwrap();
                format!("{name} cut to {to} of {length}")
            }
            _ => {
                std::fs::remove_file(path).unwrap();
                format!("{name} removed")
            }
        };
        reported += u32::from(right_or_corrupt(&bed, &expected, &what));
        std::fs::remove_dir_all(&bed.data).unwrap();
    }
    assert!(reported >= 15, "{reported} of 60 reported");
}

fn values_are_sealed(under: Under) {
    let (bed, _) = filled(under);
    for path in bed.files() {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"plaintext"), "{}", path.display());
    }
}

macro_rules! suite {
    ($($module:ident = $under:expr;)*) => {$(
        mod $module {
            use super::*;
            #[test]
            fn batches_are_ordered_and_reads_see_them() { super::batches_are_ordered_and_reads_see_them($under) }
            #[test]
            fn random_work_equals_a_map() { super::random_work_equals_a_map($under) }
            #[test]
            fn a_snapshot_stays_as_it_was() { super::a_snapshot_stays_as_it_was($under) }
            #[cfg(not(feature = "broken-skip-fsync"))]
            #[test]
            fn what_was_synced_survives() { super::what_was_synced_survives($under) }
            #[cfg(not(feature = "broken-skip-fsync"))]
            #[test]
            fn concurrent_writers_and_syncs_end() { super::concurrent_writers_and_syncs_end($under) }
            #[test]
            fn the_store_is_its_owners_alone() { super::the_store_is_its_owners_alone($under) }
        }
    )*};
}

suite! {
    fjall = Under::Fjall;
    sled = Under::Sled;
    memory = Under::Memory;
    held_back = Under::HeldBack;
}

#[test]
fn fjall_damage_is_reported_or_harmless() {
    damage_is_reported_or_harmless(Under::Fjall);
}

#[test]
fn sled_damage_is_reported_or_harmless() {
    damage_is_reported_or_harmless(Under::Sled);
}

#[test]
fn fjall_values_are_sealed() {
    values_are_sealed(Under::Fjall);
}

#[test]
fn sled_values_are_sealed() {
    values_are_sealed(Under::Sled);
}

/// The same as `what_was_synced_survives` against a build that skips the sync: it has to notice. Run this build with
/// `cargo nextest run --release -p breakwater-storage --features broken-skip-fsync -E 'test(skipped)'`: most of the
/// other tests fail on it, as they should.
#[cfg(feature = "broken-skip-fsync")]
#[test]
fn a_skipped_sync_is_caught() {
    let bed = Bed::new(Under::Memory);
    let store = bed.open();
    put(&*store, "a", "1");
    store.sync().unwrap();
    drop(store);
    bed.memory.crash_losing_all_unsynced();
    assert!(bed.try_open().is_err_and(|e| e.is_corrupt()), "the loss of synced data went unnoticed");
}

#[cfg(not(feature = "broken-skip-fsync"))]
#[test]
fn what_is_held_back_dies_with_the_process() {
    let mut bed = Bed::new(Under::HeldBack);
    let store = bed.open();
    put(&*store, "a", "1");
    store.sync().unwrap();
    put(&*store, "b", "2");
    assert_eq!(store.get(b"b").unwrap().as_deref(), Some(&b"2"[..]));
    let store = bed.crash(store);
    assert_eq!(store.get(b"b").unwrap(), None);
    assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[cfg(not(feature = "broken-skip-fsync"))]
#[test]
fn a_flipped_moved_or_lost_value_is_never_served() {
    let bed = Bed::new(Under::Memory);
    let store = bed.open();
    put(&*store, "a", "the value of a");
    put(&*store, "b", "the value of b");
    store.sync().unwrap();
    for offset in 0..17 + 14 + 16 {
        bed.memory.flip(b"a", offset);
        assert!(store.get(b"a").is_err_and(|e| e.is_corrupt()), "byte {offset}");
        let mut scan = store.scan(KeyRange::all(), Direction::Forward).unwrap();
        assert!(scan.next().unwrap().is_err_and(|e| e.is_corrupt()));
        assert!(scan.next().is_none(), "a scan ends at its first error");
        bed.memory.flip(b"a", offset);
    }
    // Exchanged, below the seal.
    let mut exchange = Batch::new();
    let (a, b) = (bed.memory.get(b"a").unwrap().unwrap(), bed.memory.get(b"b").unwrap().unwrap());
    exchange.put("a", b);
    exchange.put("b", a);
    bed.memory.write(&exchange).unwrap();
    assert!(store.get(b"a").is_err_and(|e| e.is_corrupt()));
    drop(store);
    // An engine that opens empty, or older than its last sync.
    bed.memory.delete_range(KeyRange::all()).unwrap();
    assert!(bed.try_open().is_err_and(|e| e.is_corrupt()));
}

#[test]
fn a_full_disk_or_a_failed_sync_stops_the_store() {
    for faults in [
        MemoryFaults { sync_fails: true, ..MemoryFaults::default() },
        MemoryFaults { full: true, ..MemoryFaults::default() },
    ] {
        let bed = Bed::new(Under::Memory);
        let store = bed.open();
        put(&*store, "a", "1");
        store.sync().unwrap();
        bed.memory.set_faults(faults);
        let mut batch = Batch::new();
        batch.put("b", "2");
        let failed = store.write(&batch).and_then(|()| store.sync());
        assert!(matches!(failed, Err(StorageError::Io { .. })), "{failed:?}");
        bed.memory.set_faults(MemoryFaults::default());
        assert!(matches!(store.write(&batch), Err(StorageError::Stopped { .. })));
        assert!(matches!(store.sync(), Err(StorageError::Stopped { .. })));
        assert!(matches!(store.delete_range(KeyRange::all()), Err(StorageError::Stopped { .. })));
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    }
}
