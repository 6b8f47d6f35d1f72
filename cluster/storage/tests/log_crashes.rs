//! Random operations, crashes and disk faults by seed. After each crash the log must hold exactly what some prefix of
//! the operations makes, and the prefix must reach the last one that was acknowledged as durable.

mod support;

use breakwater_storage::disk::{CrashStyle, DiskFaults, FaultDisk};
use breakwater_storage::{Done, LogEntry, LogOptions, LogStore, StorageError};
use breakwater_types::GroupId;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::TempDir;

const DIR: &str = "/log";
const GROUPS: u64 = 5;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    entries: BTreeMap<u64, (u64, Bytes)>,
    metas: BTreeMap<u8, Bytes>,
    purged: u64,
}

type Model = BTreeMap<u64, Group>;

#[derive(Clone, Debug)]
enum Op {
    Append { group: u64, entries: Vec<LogEntry> },
    Meta { group: u64, key: u8, value: Bytes, sync: bool },
    Truncate { group: u64, index: u64 },
    Purge { group: u64, index: u64 },
    Remove { group: u64 },
    Sync,
}

fn apply(model: &mut Model, op: &Op) {
    match op {
        Op::Append { group, entries } => {
            let group = model.entry(*group).or_default();
            group.entries.extend(entries.iter().map(|e| (e.index, (e.term, e.payload.clone()))));
        }
        Op::Meta { group, key, value, .. } => {
            model.entry(*group).or_default().metas.insert(*key, value.clone());
        }
        Op::Truncate { group, index } => {
            model.entry(*group).or_default().entries.split_off(&(index + 1));
        }
        Op::Purge { group, index } => {
            let group = model.entry(*group).or_default();
            group.entries = group.entries.split_off(&(index + 1));
            group.purged = group.purged.max(*index);
        }
        Op::Remove { group } => {
            model.remove(group);
        }
        Op::Sync => {}
    }
}

type Visible = BTreeMap<u64, (BTreeMap<u64, (u64, Bytes)>, BTreeMap<u8, Bytes>)>;

/// What can be seen from outside: empty groups and purge marks of empty groups can't.
fn visible(model: &Model) -> Visible {
    let groups = model.iter().filter(|(_, group)| !group.entries.is_empty() || !group.metas.is_empty());
    groups.map(|(id, group)| (*id, (group.entries.clone(), group.metas.clone()))).collect()
}

fn read_all(log: &LogStore) -> Result<Model, StorageError> {
    let mut model = Model::new();
    for id in log.groups() {
        let mut group = Group::default();
        let bounds = log.bounds(id);
        if let (Some(first), Some(last)) = (bounds.first, bounds.last) {
            let mut next = first;
            while next <= last {
                let entries = log.read(id, next..last + 1, 4_000)?;
                assert!(!entries.is_empty(), "{id}: nothing at {next} of {bounds:?}");
                for entry in entries {
                    assert_eq!(entry.index, next);
                    next += 1;
                    group.entries.insert(entry.index, (entry.term, entry.payload));
                }
            }
            assert_eq!(bounds.last_term, group.entries.last_key_value().map(|(_, (term, _))| *term));
        }
        for key in 0..4 {
            if let Some(value) = log.meta(id, key) {
                group.metas.insert(key, value);
            }
        }
        group.purged = bounds.purged;
        model.insert(id.0, group);
    }
    Ok(model)
}

fn random_op(rng: &mut StdRng, model: &Model) -> Op {
    let group = rng.random_range(1..=GROUPS);
    let known = model.get(&group).cloned().unwrap_or_default();
    let first = known.entries.first_key_value().map_or(known.purged + 1, |(index, _)| *index);
    let end = known.entries.last_key_value().map_or(known.purged + 1, |(index, _)| *index + 1);
    match rng.random_range(0..100) {
        0..60 => {
            let start = if known.entries.is_empty() && rng.random_range(0..4) == 0 {
                end + rng.random_range(0..10)
            } else {
                end
            };
            let entries = (0..rng.random_range(1..6u64)).map(|i| {
                let length = if rng.random_range(0..60) == 0 { 30_000 } else { rng.random_range(0..1_500) };
                let mut payload = vec![0; length];
                rng.fill_bytes(&mut payload);
                LogEntry { index: start + i, term: rng.random_range(1..9), payload: payload.into() }
            });
            Op::Append { group, entries: entries.collect() }
        }
        60..75 => {
            let mut value = vec![0; rng.random_range(0..40)];
            rng.fill_bytes(&mut value);
            Op::Meta { group, key: rng.random_range(0..4), value: value.into(), sync: rng.random() }
        }
        75..80 => Op::Truncate { group, index: rng.random_range(first.saturating_sub(1)..=end) },
        80..97 => Op::Purge { group, index: rng.random_range(first.saturating_sub(1)..end) },
        97..98 => Op::Remove { group },
        _ => Op::Sync,
    }
}

fn start(log: &LogStore, op: &Op, done: Done) {
    match op.clone() {
        Op::Append { group, entries } => log.append(GroupId(group), entries, done),
        Op::Meta { group, key, value, sync } => log.save_meta(GroupId(group), key, value, done, sync),
        Op::Truncate { group, index } => log.truncate_after(GroupId(group), index, done),
        Op::Purge { group, index } => log.purge_to(GroupId(group), index, done),
        Op::Remove { group } => log.remove_group(GroupId(group), done),
        Op::Sync => log.sync(done),
    }
}

fn is_synced(op: &Op) -> bool {
    matches!(op, Op::Append { .. } | Op::Remove { .. } | Op::Sync | Op::Meta { sync: true, .. })
}

fn options(disk: &FaultDisk, dir: &TempDir) -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        cache_bytes: 8 << 10,
        disk: Arc::new(disk.clone()),
        ..LogOptions::new(support::provider(dir))
    }
}

/// One seed: some lives, each ended by a crash. What went wrong, if anything did.
fn run(seed: u64, dir: &TempDir) -> Result<(), String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let disk = FaultDisk::new(seed);
    let mut model = Model::new();
    for life in 0..rng.random_range(2..6) {
        let at = format!("seed {seed} life {life}");
        let log = LogStore::open(Path::new(DIR), options(&disk, dir)).map_err(|e| format!("{at}: {e}"))?;
        let found = read_all(&log).map_err(|e| format!("{at}: {e}"))?;
        if visible(&found) != visible(&model) {
            return Err(format!("{at}: a log that was just recovered changed by opening it again"));
        }
        for (id, group) in &mut model {
            group.purged = found.get(id).map_or(0, |group| group.purged);
        }

        let mut ops = Vec::new();
        let mut now = model.clone();
        let acked = Arc::new(AtomicUsize::new(0));
        let fault_at = if rng.random_range(0..4) == 0 { rng.random_range(0..200) } else { usize::MAX };
        for number in 1..=rng.random_range(1..200) {
            if number == fault_at {
                disk.set_faults(match rng.random_range(0..2) {
                    0 => DiskFaults { sync_fails: true, ..DiskFaults::default() },
                    _ => DiskFaults { free_bytes: Some(rng.random_range(0..20_000)), ..DiskFaults::default() },
                });
            }
            let op = random_op(&mut rng, &now);
            apply(&mut now, &op);
            let counts = is_synced(&op);
            let acked = acked.clone();
            start(
                &log,
                &op,
                Box::new(move |result| {
                    assert!(!matches!(result, Err(StorageError::Invalid(_))), "{result:?}");
                    if result.is_ok() && counts {
                        acked.fetch_max(number, Ordering::SeqCst);
                    }
                }),
            );
            ops.push(op);
            match rng.random_range(0..20) {
                0 => {
                    let (done, answer) = support::done();
                    log.sync(done);
                    if answer.wait().is_err() {
                        break;
                    }
                }
                1 => std::thread::yield_now(),
                _ => {}
            }
        }
        if rng.random_range(0..8) == 0 {
            // It may also just be closed.
            drop(log);
            disk.crash(CrashStyle::LoseUnsynced);
        } else {
            let style = [CrashStyle::LoseUnsynced, CrashStyle::Torn, CrashStyle::Reordered][rng.random_range(0..3)];
            disk.crash(style);
            drop(log);
        }

        let acked = acked.load(Ordering::SeqCst);
        let log = LogStore::open(Path::new(DIR), options(&disk, dir)).map_err(|e| format!("{at}: after: {e}"))?;
        let found = read_all(&log).map_err(|e| format!("{at}: after: {e}"))?;
        drop(log);
        let mut candidate = model.clone();
        let mut matched = None;
        for applied in 0..=ops.len() {
            if applied >= acked && visible(&candidate) == visible(&found) {
                matched = Some(candidate.clone());
                break;
            }
            let Some(op) = ops.get(applied) else { break };
            if let (Op::Append { group, entries }, true) = (op, applied >= acked) {
                // An append that wasn't acknowledged may be there in part: its first entries.
                for length in 1..entries.len() {
                    let mut partial = candidate.clone();
                    apply(&mut partial, &Op::Append { group: *group, entries: entries[..length].to_vec() });
                    if visible(&partial) == visible(&found) {
                        matched = Some(partial);
                        break;
                    }
                }
                if matched.is_some() {
                    break;
                }
            }
            apply(&mut candidate, op);
        }
        if matched.is_none() && std::env::var("BREAKWATER_EXPLAIN").is_ok() {
            let mut candidate = model.clone();
            for op in &ops {
                apply(&mut candidate, op);
            }
            for (id, group) in visible(&candidate) {
                let have = visible(&found).get(&id).cloned().unwrap_or_default();
                eprintln!(
                    "{id}: all {:?}, found {:?}, metas {}",
                    group.0.keys().collect::<Vec<_>>(),
                    have.0.keys().collect::<Vec<_>>(),
                    group.1 == have.1
                );
            }
        }
        model = matched.ok_or_else(|| {
            format!(
                "{at}: the log holds no prefix of its {} operations that reaches the acknowledged {acked}",
                ops.len()
            )
        })?;
    }
    Ok(())
}

fn seeds() -> u64 {
    std::env::var("BREAKWATER_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150)
}

#[cfg(not(feature = "broken-skip-fsync"))]
#[test]
fn what_was_acknowledged_is_there_and_nothing_is_invented() {
    let dir = TempDir::new();
    let from = std::env::var("BREAKWATER_FIRST_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in from..from + seeds() {
        if let Err(what) = run(seed, &dir) {
            panic!("{what}");
        }
    }
}

/// The same suite against a build that skips the sync: it has to notice.
#[cfg(feature = "broken-skip-fsync")]
#[test]
fn a_skipped_fsync_is_caught() {
    let dir = TempDir::new();
    let caught = (0..seeds()).filter_map(|seed| run(seed, &dir).err()).count();
    assert!(caught > 0, "a build without fsync passed");
}
