//! What the operating system says of the host: processor, memory, disk, network.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Host {
    data_dir: PathBuf,
}

impl Host {
    pub fn new(data_dir: &Path) -> Self {
        Host { data_dir: data_dir.to_owned() }
    }
}

/// `(name, help, value)`, counters of seconds and bytes since boot.
type Row = (&'static str, &'static str, f64);

fn processor() -> Option<Row> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<f64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy: f64 = fields.iter().enumerate().filter(|(n, _)| ![3, 4].contains(n) && *n < 8).map(|(_, f)| f).sum();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    Some(("host_cpu_busy_seconds", "Time that processors were busy", busy / ticks))
}

fn memory() -> Vec<Row> {
    let Ok(text) = fs::read_to_string("/proc/meminfo") else { return Vec::new() };
    let value = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? * 1_024.0)
    };
    let rows = [
        ("MemTotal:", "host_memory_total_bytes", "Memory of the host"),
        ("MemAvailable:", "host_memory_available_bytes", "Memory that can be had without swapping"),
    ];
    rows.into_iter().filter_map(|(field, name, help)| Some((name, help, value(field)?))).collect()
}

fn disk(dir: &Path) -> Vec<Row> {
    let Ok(stat) = rustix::fs::statvfs(dir) else { return Vec::new() };
    let block = stat.f_frsize as f64;
    vec![
        ("host_disk_total_bytes", "Size of the data directory's file system", stat.f_blocks as f64 * block),
        ("host_disk_available_bytes", "Free space of the data directory's file system", stat.f_bavail as f64 * block),
    ]
}

fn network() -> Vec<Row> {
    let Ok(text) = fs::read_to_string("/proc/net/dev") else { return Vec::new() };
    let (mut received, mut sent) = (0.0, 0.0);
    for line in text.lines().skip(2) {
        let Some((_, fields)) = line.split_once(':') else { continue };
        let fields: Vec<f64> = fields.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        received += fields.first().unwrap_or(&0.0);
        sent += fields.get(8).unwrap_or(&0.0);
    }
    vec![
        ("host_network_received_bytes", "Bytes received on all interfaces", received),
        ("host_network_sent_bytes", "Bytes sent on all interfaces", sent),
    ]
}

impl Collector for Host {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for (name, help, value) in processor().into_iter().chain(network()) {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        for (name, help, value) in memory().into_iter().chain(disk(&self.data_dir)) {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
