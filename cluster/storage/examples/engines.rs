//! Measures the log and the key-value engines on this machine's disk and prints a table.
//!
//! `cargo run --release -p breakwater-storage --example engines [DIR] [SECONDS]`

use breakwater_storage::{
    Batch, DevKeyFile, EngineKind, LogEntry, LogOptions, LogStore, StorageError, Store, StoreOptions,
};
use breakwater_types::GroupId;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

const ENTRY_BYTES: usize = 1_024;
const KEYS: u64 = 200_000;
const VALUE_BYTES: usize = 200;

fn percentile(sorted: &[u64], percent: usize) -> f64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).map_or(0.0, |ns| *ns as f64 / 1_000.0)
}

fn fdatasync(dir: &Path) -> std::io::Result<()> {
    let path = dir.join("fdatasync");
    let file = std::fs::File::create(&path)?;
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 32 << 20)?;
    let mut times = Vec::new();
    for i in 0..1_000u64 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[7; ENTRY_BYTES], i * ENTRY_BYTES as u64)?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_nanos() as u64);
    }
    times.sort_unstable();
    std::fs::remove_file(path)?;
    println!("one fdatasync after 1 KiB: p50 {:.0} µs, p99 {:.0} µs\n", percentile(&times, 50), percentile(&times, 99));
    Ok(())
}

/// Each writer waits for its append before the next one, as a Raft group with one client does.
fn closed_loop(
    writers: u64,
    time: Duration,
    act: impl Fn(u64, u64) -> Result<(), StorageError> + Sync,
) -> Result<(f64, Vec<u64>), StorageError> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..writers)
            .map(|writer| {
                let (stop, act) = (&stop, &act);
                scope.spawn(move || {
                    let mut times = Vec::new();
                    for number in 1.. {
                        let start = Instant::now();
                        act(writer, number)?;
                        times.push(start.elapsed().as_nanos() as u64);
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    Ok::<_, StorageError>(times)
                })
            })
            .collect();
        std::thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            match thread.join() {
                Ok(times) => all.extend(times?),
                Err(_) => return Err(StorageError::Invalid("a writer panicked".to_owned())),
            }
        }
        Ok(())
    })?;
    let rate = all.len() as f64 / start.elapsed().as_secs_f64();
    all.sort_unstable();
    Ok((rate, all))
}

fn log(dir: &Path, key: &Arc<DevKeyFile>, time: Duration) -> Result<(), StorageError> {
    println!(
        "| log, {ENTRY_BYTES} B entries | appends/s | p50 µs | p99 µs | appends a sync |\n| --- | --- | --- | --- | --- |"
    );
    for writers in [1, 16, 64] {
        let log = LogStore::open(&dir.join(format!("log{writers}")), LogOptions::new(key.clone()))?;
        let payload = Bytes::from(vec![7; ENTRY_BYTES]);
        let (rate, times) = closed_loop(writers, time, |writer, index| {
            let (tx, rx) = channel();
            let entries = vec![LogEntry { index, term: 1, payload: payload.clone() }];
            log.append(GroupId(writer + 1), entries, Box::new(move |result| drop(tx.send(result))));
            if index % 4_096 == 0 {
                log.purge_to(GroupId(writer + 1), index - 1_024, Box::new(|_| {}));
            }
            rx.recv().unwrap_or_else(|_| Err(StorageError::Invalid("no answer".to_owned())))
        })?;
        let stats = log.stats();
        println!(
            "| {writers} writers | {rate:.0} | {:.0} | {:.0} | {:.1} |",
            percentile(&times, 50),
            percentile(&times, 99),
            times.len() as f64 / stats.syncs.max(1) as f64
        );
        drop(log);
        let start = Instant::now();
        let log = LogStore::open(&dir.join(format!("log{writers}")), LogOptions::new(key.clone()))?;
        eprintln!("  reopened {} segments in {:.1} ms", log.stats().segments, start.elapsed().as_secs_f64() * 1e3);
    }
    println!();
    Ok(())
}

fn key_of(number: u64) -> Bytes {
    // Scattered, as hashed keys are.
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Bytes::from([&scattered.to_be_bytes()[..], &number.to_be_bytes(), b"keyskeys"].concat())
}

fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1_024.0
}

fn kv(dir: &Path, key: &Arc<DevKeyFile>, kind: EngineKind, time: Duration) -> Result<(), StorageError> {
    let path = dir.join(kind.word());
    let options = || StoreOptions::new(kind, key.clone());
    let before = resident_mib();
    let store = Store::open(&path, options())?;
    let start = Instant::now();
    for chunk in 0..KEYS / 10 {
        let mut batch = Batch::new();
        for number in chunk * 10..chunk * 10 + 10 {
            batch.put(key_of(number), vec![number as u8; VALUE_BYTES]);
        }
        store.write(&batch)?;
    }
    let inserts = KEYS as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    store.sync()?;
    let sync = start.elapsed().as_secs_f64() * 1e3;
    let resident = resident_mib() - before;
    let mut rng = StdRng::seed_from_u64(1);
    let start = Instant::now();
    for _ in 0..KEYS {
        store.get(&key_of(rng.random_range(0..KEYS)))?;
    }
    let gets = KEYS as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let scanned = store.scan(breakwater_storage::KeyRange::all(), breakwater_storage::Direction::Forward)?.count();
    let scans = scanned as f64 / start.elapsed().as_secs_f64();
    let disk = store.disk_bytes()? as f64 / f64::from(1 << 20);
    let mut durable = Vec::new();
    for writers in [1, 16] {
        let (rate, times) = closed_loop(writers, time, |writer, number| {
            let mut batch = Batch::new();
            batch.put(key_of(writer << 32 | number), vec![7; VALUE_BYTES]);
            store.write(&batch)?;
            store.sync()
        })?;
        durable.push(format!("{rate:.0} ({:.0} µs)", percentile(&times, 50)));
    }
    drop(store);
    let start = Instant::now();
    drop(Store::open(&path, options())?);
    let reopen = start.elapsed().as_secs_f64() * 1e3;
    println!(
        "| {} | {inserts:.0} | {gets:.0} | {scans:.0} | {sync:.1} | {} | {} | {disk:.0} | {resident:.0} | {reopen:.0} |",
        kind.word(),
        durable[0],
        durable[1]
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let base = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let time = Duration::from_secs_f64(args.next().map_or(Ok(3.0), |text| text.parse())?);
    let dir = base.join(format!("breakwater-engines-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let key = Arc::new(DevKeyFile::open_or_create(dir.join("root.key"))?);
    fdatasync(&dir)?;
    log(&dir, &key, time)?;
    println!(
        "| {KEYS} keys of 24 + {VALUE_BYTES} B, batches of 10 | inserts/s | gets/s | scanned/s | sync ms | durable writes/s, 1 writer (p50) | 16 writers | disk MiB | resident MiB | reopen ms |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for kind in EngineKind::ALL {
        kv(&dir, &key, kind, time)?;
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
