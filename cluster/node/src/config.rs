//! The settings that every node has.

use crate::source::{Named, Source};
use breakwater_types::{AccountId, NodeName, Region, SharedClock, SystemClock, Zone};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Common {
    pub name: NodeName,
    pub zone: Option<Zone>,
    pub region: Region,
    pub account: AccountId,
    /// The host's own address; all its ports are bound to it.
    pub address: IpAddr,
    pub rpc_port: u16,
    pub metrics_port: u16,
    pub data_dir: PathBuf,
    pub identity_dir: PathBuf,
    pub run_dir: PathBuf,
    /// Control nodes' internal addresses.
    pub control: Vec<Named>,
    /// Control nodes' joining addresses.
    pub join: Vec<Named>,
    pub clock_offset_s: i64,
    pub faults: String,
    pub log: String,
    pub drain_ms: u64,
    pub threads: usize,
    /// Forwarders that are believed whose connections they bring.
    pub trusted_proxies: Vec<IpAddr>,
}

/// A node of a bigger machine uses more of it; but a region of many nodes on one laptop isn't to fight for it.
const THREADS_MAX: usize = 8;

fn usual_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, THREADS_MAX))
}

impl Common {
    pub fn read(source: &mut Source) -> Self {
        let threads = source.or("threads", usual_threads(), "worker threads; as many as cores, between 2 and 8");
        source.check((1..=1_024).contains(&threads), "threads: not between 1 and 1024");
        let proxies: Vec<String> = source.or("trusted_proxies", vec![], "addresses of forwarders, as the edge's");
        let parsed: Vec<IpAddr> = proxies.iter().filter_map(|text| text.parse().ok()).collect();
        source.check(parsed.len() == proxies.len(), "trusted_proxies: one isn't an address");
        Common {
            trusted_proxies: parsed,
            threads,
            name: source.required("name", "this host's name, as dynamo-node-b1"),
            zone: source.optional("zone", "availability zone, as az-b"),
            region: source.required("region", "the region's name"),
            account: source.required("account", "twelve digits"),
            address: source.required("address", "this host's address"),
            rpc_port: source.or("rpc_port", 7400, "calls between nodes"),
            metrics_port: source.or("metrics_port", 9400, "metrics and health"),
            data_dir: source.required("data_dir", "what this node stores"),
            identity_dir: source.required("identity_dir", "certificates and keys"),
            run_dir: source.required("run_dir", "admin socket"),
            control: source.or("control", vec![], "control nodes, as name=address:port,…"),
            join: source.or("join", vec![], "control nodes' joining ports, as name=address:port,…"),
            clock_offset_s: source.or("clock_offset_s", 0, "tests: moves this node's clock"),
            faults: source.or("faults", String::new(), "tests: fault plan, see breakwater_types::faults"),
            log: source.or("log", "info".to_owned(), "log filter, as info,openraft=warn"),
            drain_ms: source.or("drain_ms", 5_000, "bound of a graceful stop"),
        }
    }

    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    pub fn clock(&self) -> SharedClock {
        SystemClock::with_offset_s(self.clock_offset_s)
    }
}
