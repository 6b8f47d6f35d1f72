//! What the operating system says of this process.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

#[derive(Debug)]
pub(crate) struct Process;

/// `(name, help, value)`
fn gauges() -> Vec<(&'static str, &'static str, f64)> {
    let mut found = Vec::new();
    if let Ok(statm) = std::fs::read_to_string("/proc/self/statm")
        && let Some(pages) = statm.split_whitespace().nth(1).and_then(|p| p.parse::<f64>().ok())
    {
        let page = rustix::param::page_size() as f64;
        found.push(("process_resident_memory_bytes", "Resident memory", pages * page));
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        found.push(("process_open_fds", "Open file descriptors", entries.count() as f64));
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/task") {
        found.push(("process_threads", "Threads", entries.count() as f64));
    }
    found
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    Some(ticks / rustix::param::clock_ticks_per_second() as f64)
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for (name, help, value) in gauges() {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        if let Some(seconds) = cpu_seconds() {
            let counter = ConstCounter::new(seconds);
            counter.encode(encoder.encode_descriptor(
                "process_cpu_seconds",
                "User and system CPU time",
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
