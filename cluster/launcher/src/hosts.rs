//! The hosts of a region and their settings.

use anyhow::{Context, Result, bail};
use breakwater_types::{AccountId, NodeKind, NodeName, Region as RegionName, Zone};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

pub const RPC_PORT: u16 = 7400;
pub const JOIN_PORT: u16 = 7401;
pub const FRONT_PORT: u16 = 4566;
pub const DYNAMODB_PORT: u16 = 8000;
pub const METRICS_PORT: u16 = 9400;
pub const AGENT_PORT: u16 = 9401;
/// Where a host's instance metadata service is, of processes: the address of AWS's is one for all of a machine.
pub const METADATA_PORT: u16 = 9402;

/// With more, the highest of the published ports would be none.
pub const PORT_OFFSET_MAX: u16 = u16::MAX - DYNAMODB_PORT;

/// The first of the networks of regions that aren't called "breakwater".
pub const NETWORKS: u8 = 100;

/// What a person may choose; kept in `<root>/region.json` from the first start on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Of this region among those on this machine.
    pub name: String,
    pub region: RegionName,
    pub account: AccountId,
    /// Added to the published ports, so that two regions can run side by side.
    pub port_offset: u16,
    /// The second byte of the hosts' loopback addresses.
    pub network: u8,
    pub dynamo_nodes_per_zone: u8,
    /// Partitions of a table at least.
    pub partitions_min: u32,
    pub engine: String,
}

impl Settings {
    pub fn new(name: &str) -> Self {
        // FNV-1a over the name: another region, another network.
        let hash = name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        let Ok(region) = "us-east-1".parse() else { unreachable!("a valid region") };
        let Ok(account) = "111122223333".parse() else { unreachable!("a valid account") };
        Settings {
            name: name.to_owned(),
            region,
            account,
            port_offset: 0,
            network: if name == "breakwater" { 77 } else { (hash % 150) as u8 + NETWORKS },
            dynamo_nodes_per_zone: 1,
            partitions_min: 1,
            engine: "fjall".to_owned(),
        }
    }

    /// Names this region to a script, in hints; empty for the one that scripts take by themselves.
    pub fn name_option(&self) -> String {
        if self.name == "breakwater" { String::new() } else { format!(" --name {}", self.name) }
    }

    /// Where clients reach the region: ports of all of the machine.
    pub fn published_ports(&self) -> [u16; 2] {
        [FRONT_PORT + self.port_offset, DYNAMODB_PORT + self.port_offset]
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: NodeName,
    pub kind: NodeKind,
    pub zone: Option<Zone>,
    pub address: IpAddr,
}

impl Host {
    pub fn dir(&self, root: &Path) -> PathBuf {
        root.join("hosts").join(self.name.as_str())
    }
}

pub const ZONES: [char; 3] = ['a', 'b', 'c'];

/// Where the hosts run, and with that their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Each host has its own loopback address of this machine.
    Processes,
    /// Each host has a fixed address on the backbone of docker-compose.yml.
    Containers,
}

impl Place {
    /// The host's last two bytes are the same in both places, but for the edge: a network's .0.1 is its gateway.
    fn address(self, settings: &Settings, zone: usize, n: u8) -> IpAddr {
        match self {
            Place::Processes => Ipv4Addr::new(127, settings.network, zone as u8, n).into(),
            Place::Containers if zone == 0 => Ipv4Addr::new(172, 29, 0, 9 + n).into(),
            Place::Containers => Ipv4Addr::new(172, 29, zone as u8, n).into(),
        }
    }
}

/// The hosts, those first that others wait for.
pub fn hosts(settings: &Settings, place: Place) -> Result<Vec<Host>> {
    if settings.dynamo_nodes_per_zone == 0 || settings.dynamo_nodes_per_zone > 9 {
        bail!("between 1 and 9 dynamo nodes a zone");
    }
    let address = |zone: usize, n: u8| place.address(settings, zone, n);
    let mut hosts = Vec::new();
    for (z, letter) in ZONES.iter().enumerate() {
        hosts.push(Host {
            name: format!("control-node-{letter}1").parse()?,
            kind: NodeKind::Control,
            zone: Some(format!("az-{letter}").parse()?),
            address: address(z + 1, 11),
        });
    }
    for (z, letter) in ZONES.iter().enumerate() {
        for n in 1..=settings.dynamo_nodes_per_zone {
            hosts.push(Host {
                name: format!("dynamo-node-{letter}{n}").parse()?,
                kind: NodeKind::Dynamo,
                zone: Some(format!("az-{letter}").parse()?),
                address: address(z + 1, 20 + n),
            });
        }
    }
    hosts.push(Host { name: "edge".parse()?, kind: NodeKind::Edge, zone: None, address: address(0, 1) });
    Ok(hosts)
}

/// `"name=address:port", …` of all hosts of a kind, those of a zone first.
fn list(hosts: &[Host], kind: NodeKind, near: Option<&Zone>, port: u16) -> String {
    let mut chosen: Vec<&Host> = hosts.iter().filter(|h| h.kind == kind).collect();
    chosen.sort_by_key(|h| near.is_none() || h.zone.as_ref() != near);
    let mut out = String::from("[");
    for host in chosen {
        let _ = write!(out, "\"{}={}:{port}\", ", host.name, host.address);
    }
    out.push(']');
    out
}

/// Where a host finds its things.
pub struct Layout<'a> {
    pub dir: &'a Path,
    pub place: Place,
    /// Where the binaries are.
    pub binaries: &'a Path,
    /// A fault plan, a clock offset and the like, for tests: `key = value` lines.
    pub extra: &'a str,
}

/// The node's settings as TOML.
pub fn node_toml(settings: &Settings, hosts: &[Host], host: &Host, layout: &Layout<'_>) -> Result<String> {
    let mut out = common_toml(settings, host, layout, METRICS_PORT)?;
    let near = host.zone.as_ref();
    match host.kind {
        NodeKind::Edge => {
            // A container's port is published by Docker, which can only reach it from outside.
            let bind = match layout.place {
                Place::Processes => "127.0.0.1",
                Place::Containers => "0.0.0.0",
            };
            let _ = writeln!(out, "front = \"{bind}:{}\"", FRONT_PORT + settings.port_offset);
            let _ = writeln!(out, "dynamodb = \"{bind}:{}\"", DYNAMODB_PORT + settings.port_offset);
            let _ = writeln!(out, "fronts = {}", list(hosts, NodeKind::Control, None, FRONT_PORT));
            let _ = writeln!(out, "dynamos = {}", list(hosts, NodeKind::Dynamo, None, DYNAMODB_PORT));
        }
        NodeKind::Control | NodeKind::Dynamo => {
            let _ = writeln!(out, "rpc_port = {RPC_PORT}");
            let _ = writeln!(out, "control = {}", list(hosts, NodeKind::Control, near, RPC_PORT));
            let _ = writeln!(out, "join = {}", list(hosts, NodeKind::Control, near, JOIN_PORT));
            let _ = writeln!(out, "engine = \"{}\"", settings.engine);
            let edges = hosts.iter().filter(|h| h.kind == NodeKind::Edge).map(|h| format!("\"{}\"", h.address));
            let _ = writeln!(out, "trusted_proxies = [{}]", edges.collect::<Vec<_>>().join(", "));
            if host.kind == NodeKind::Control {
                let _ = writeln!(out, "front_port = {FRONT_PORT}\njoin_port = {JOIN_PORT}");
            } else {
                let _ = writeln!(out, "front_port = {DYNAMODB_PORT}");
            }
            let _ = writeln!(out, "partitions_min = {}", settings.partitions_min);
        }
        other => bail!("no {other} nodes yet"),
    }
    out.push_str(layout.extra);
    Ok(out)
}

/// The agent's settings as TOML.
pub fn agent_toml(settings: &Settings, hosts: &[Host], host: &Host, layout: &Layout<'_>) -> Result<String> {
    let mut out = common_toml(settings, host, layout, AGENT_PORT)?;
    let binary = layout.binaries.join(host.kind.binary());
    let _ = writeln!(out, "service = \"{}\"", host.kind.binary());
    let _ = writeln!(out, "program = \"{}\"", binary.display());
    let _ = writeln!(out, "service_config = \"{}\"", layout.dir.join("node.toml").display());
    let _ = writeln!(out, "log_dir = \"{}\"", layout.dir.join("log").display());
    // What stands outside the zones is no instance.
    if host.zone.is_some() {
        let near = host.zone.as_ref();
        let _ = writeln!(out, "kind = \"{}\"", host.kind);
        let _ = writeln!(out, "control = {}", list(hosts, NodeKind::Control, near, RPC_PORT));
        let _ = writeln!(out, "join = {}", list(hosts, NodeKind::Control, near, JOIN_PORT));
        let _ = match layout.place {
            Place::Processes => writeln!(out, "metadata = \"{}:{METADATA_PORT}\"", host.address),
            Place::Containers => writeln!(out, "metadata = \"169.254.169.254:80\""),
        };
    }
    Ok(out)
}

fn common_toml(settings: &Settings, host: &Host, layout: &Layout<'_>, metrics_port: u16) -> Result<String> {
    let dir = layout.dir.to_str().context("the region's folder has a name that isn't UTF-8")?;
    let mut out = String::new();
    let _ = writeln!(out, "name = \"{}\"", host.name);
    if let Some(zone) = &host.zone {
        let _ = writeln!(out, "zone = \"{zone}\"");
    }
    let _ = writeln!(out, "region = \"{}\"\naccount = \"{}\"", settings.region, settings.account);
    let _ = writeln!(out, "address = \"{}\"\nmetrics_port = {metrics_port}", host.address);
    let _ = writeln!(out, "data_dir = \"{dir}/data\"\nidentity_dir = \"{dir}/identity\"\nrun_dir = \"{dir}/run\"");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_its_own_address_and_readable_settings() {
        let settings = Settings { dynamo_nodes_per_zone: 2, ..Settings::new("breakwater") };
        for place in [Place::Processes, Place::Containers] {
            let hosts = hosts(&settings, place).unwrap();
            assert_eq!(hosts.len(), 10);
            let addresses: std::collections::HashSet<_> = hosts.iter().map(|h| h.address).collect();
            assert_eq!(addresses.len(), hosts.len());
            let layout = Layout { dir: Path::new("/x"), place, binaries: Path::new("/b"), extra: "faults = \"\"\n" };
            for host in &hosts {
                let node = node_toml(&settings, &hosts, host, &layout).unwrap().parse::<toml::Table>().unwrap();
                let agent = agent_toml(&settings, &hosts, host, &layout).unwrap().parse::<toml::Table>().unwrap();
                // What others are told to call, and what stands in the certificate.
                assert_eq!(node["address"].as_str(), Some(host.address.to_string().as_str()));
                assert_eq!(agent["address"], node["address"]);
            }
        }
        assert_ne!(Settings::new("other").network, settings.network);
    }

    #[test]
    fn containers_have_the_addresses_of_the_compose_file() {
        let compose = include_str!("../../../docker-compose.yml");
        for host in hosts(&Settings::new("breakwater"), Place::Containers).unwrap() {
            let (_, service) = compose.split_once(&format!("hostname: {}\n", host.name)).unwrap();
            let (_, address) = service.split_once("ipv4_address: ").unwrap();
            assert_eq!(address.lines().next(), Some(host.address.to_string().as_str()), "{}", host.name);
        }
    }
}
