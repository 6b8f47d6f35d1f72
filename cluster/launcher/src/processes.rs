//! Hosts as processes of this machine: an agent each, and the node that it starts.
//!
//! A process is known by its pid and the moment it was started, so that a pid used again is never ours.

use crate::hosts::{Host, Layout, Place, Settings, agent_toml, node_toml};
use crate::pages;
use crate::region::{Condition, Driver};
use anyhow::{Context, Result, bail};
use breakwater_types::NodeKind;
use rustix::process::{Pid, Signal};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const AGENT_PID: &str = "agent.pid";
const NODE_PID: &str = "node.pid";
/// How the host was ended from here.
const NOTE: &str = "ended";

pub struct Processes {
    pub root: PathBuf,
    pub binaries: PathBuf,
    pub settings: Settings,
    pub hosts: Vec<Host>,
    /// Settings for all nodes, beyond the usual: `key = value` lines.
    pub extra: String,
}

/// Of `/proc/PID/stat`, from the state on; none where the process is gone, or only waits to be reaped.
fn stat(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
    (!matches!(fields.first()?.as_str(), "Z" | "X")).then_some(fields)
}

/// When the process was started, in clock ticks since boot, and whether it still runs.
fn started(pid: u32) -> Option<u64> {
    stat(pid)?.get(19)?.parse().ok()
}

fn group_of(pid: u32) -> Option<u32> {
    stat(pid)?.get(2)?.parse().ok()
}

/// The processes of a group that still run.
fn group_members(group: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| group_of(*pid) == Some(group)).collect()
}

/// The running process that a pid file names.
fn running(file: &Path) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let mut words = text.split_whitespace();
    let pid: u32 = words.next()?.parse().ok()?;
    let at: u64 = words.next()?.parse().ok()?;
    (started(pid)? == at).then_some(pid)
}

fn send(pid: u32, signal: Signal) -> Result<()> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a pid")?;
    match rustix::process::kill_process(raw, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("signal to {pid}")),
    }
}

fn send_group(group: u32, signal: Signal) -> Result<()> {
    let raw = i32::try_from(group).ok().and_then(Pid::from_raw).context("not a process group")?;
    match rustix::process::kill_process_group(raw, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("signal to the group {group}")),
    }
}

fn wait_gone(pids: &[u32], limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if pids.iter().all(|pid| started(*pid).is_none()) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Processes {
    fn run_dir(&self, host: &Host) -> PathBuf {
        host.dir(&self.root).join("run")
    }

    /// For people, as status shows it; a host that is down already keeps its note, and none is worth an error.
    fn note(&self, host: &Host, what: &str) {
        if !self.pids(host).is_empty() {
            let _ = fs::write(self.run_dir(host).join(NOTE), what);
        }
    }

    /// Agent first: it would start the node again.
    pub fn pids(&self, host: &Host) -> Vec<u32> {
        [AGENT_PID, NODE_PID].iter().filter_map(|f| running(&self.run_dir(host).join(f))).collect()
    }

    /// Agents first, all signals before any waiting.
    fn kill_pids(&self, hosts: &[&Host], files: &[&str]) -> Result<()> {
        let named = || -> Vec<u32> {
            let of = |file: &&str| -> Vec<u32> {
                hosts.iter().filter_map(|host| running(&self.run_dir(host).join(file))).collect()
            };
            files.iter().flat_map(of).collect()
        };
        let pids = named();
        // An agent that dies alone leaves its node running.
        let whole_hosts = files.contains(&AGENT_PID) && files.contains(&NODE_PID);
        let groups: Vec<u32> = match whole_hosts {
            true => hosts.iter().filter_map(|host| self.group(host, &self.pids(host))).collect(),
            false => Vec::new(),
        };
        for pid in &pids {
            send(*pid, Signal::KILL)?;
        }
        // An agent may have started a node just before it died, whose pid nobody has noted yet.
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut all_gone = true;
        while let Some(group) = groups.iter().find(|group| !group_members(**group).is_empty()) {
            send_group(*group, Signal::KILL)?;
            if Instant::now() > deadline {
                all_gone = false;
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if !wait_gone(&pids, Duration::from_secs(5)) || !all_gone {
            let names: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).collect();
            bail!("{} could not be killed", names.join(", "));
        }
        Ok(())
    }

    fn admin(&self, host: &Host, path: &str, body: &str) -> Result<()> {
        let socket = self.run_dir(host).join(format!("{}.sock", host.kind.binary()));
        pages::admin(&socket, path, body).map(|_| ())
    }

    /// What is done to the network of a host its agent has to bear too. One that doesn't run needs nothing.
    fn admin_of_agent(&self, host: &Host, path: &str, body: &str) -> Result<()> {
        let socket = self.run_dir(host).join(format!("{}.sock", NodeKind::Agent.binary()));
        match pages::admin(&socket, path, body) {
            Err(e) if e.downcast_ref::<std::io::Error>().is_none() => Err(e),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The process group that the host's agent was started with, as long as one of `pids`, which are ours, is in it:
    /// a number alone may be somebody else's by now.
    fn group(&self, host: &Host, pids: &[u32]) -> Option<u32> {
        let noted = fs::read_to_string(self.run_dir(host).join("agent.pid")).ok()?;
        let group: u32 = noted.split_whitespace().next()?.parse().ok()?;
        pids.iter().any(|pid| group_of(*pid) == Some(group)).then_some(group)
    }

    /// A region that was started once keeps its ports.
    fn offset_hint(&self) -> String {
        match self.root.join("region.json").exists() {
            true => format!(" (after scripts/down{} --wipe)", self.settings.name_option()),
            false => String::new(),
        }
    }

    fn write_settings(&self, host: &Host) -> Result<()> {
        let dir = host.dir(&self.root);
        for sub in ["log", "run", "data", "identity"] {
            fs::create_dir_all(dir.join(sub))?;
        }
        let stores = matches!(host.kind, NodeKind::Control | NodeKind::Dynamo);
        let extra = if stores { settings_of(&self.extra, host.kind) } else { String::new() };
        let layout = Layout { dir: &dir, place: Place::Processes, binaries: &self.binaries, extra: &extra };
        fs::write(dir.join("node.toml"), node_toml(&self.settings, &self.hosts, host, &layout)?)?;
        fs::write(dir.join("agent.toml"), agent_toml(&self.settings, &self.hosts, host, &layout)?)?;
        Ok(())
    }
}

/// Without those of another kind: `control-node: key = value` is for control nodes alone.
fn settings_of(lines: &str, kind: NodeKind) -> String {
    let kinds = [NodeKind::Control, NodeKind::Dynamo];
    let named = |line: &str| {
        let setting = |of: NodeKind| line.trim().strip_prefix(of.binary())?.strip_prefix(": ").map(str::to_owned);
        kinds.iter().find_map(|of| Some((*of, setting(*of)?)))
    };
    let mine = |line: &str| match named(line) {
        Some((of, setting)) => (of == kind).then(|| format!("{setting}\n")),
        None => Some(format!("{line}\n")),
    };
    lines.lines().filter_map(mine).collect()
}

impl Driver for Processes {
    fn start(&self, host: &Host) -> Result<()> {
        if running(&self.run_dir(host).join(AGENT_PID)).is_some() {
            return Ok(());
        }
        self.write_settings(host)?;
        let dir = host.dir(&self.root);
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log/agent.log"))?;
        let binary = self.binaries.join("host-agent");
        let child = Command::new(&binary)
            .arg("--config")
            .arg(dir.join("agent.toml"))
            // The launcher's own words are not the nodes' settings.
            .env_remove("BREAKWATER_NAME")
            .env_remove("BREAKWATER_ROOT")
            .env_remove("BREAKWATER_NODE_SETTINGS")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let pid = child.id();
        let at = started(pid).with_context(|| format!("the agent of {} ended at once", host.name))?;
        fs::write(self.run_dir(host).join(AGENT_PID), format!("{pid} {at}\n"))?;
        // Reaped by whoever outlives it: a thread here, or init once this program has ended.
        std::thread::spawn(move || {
            let mut child = child;
            let _ = child.wait();
        });
        Ok(())
    }

    fn ports_must_be_free(&self, host: &Host) -> Result<()> {
        // The agent alone will start its node again, and a node that is left alone has the ports itself.
        if host.kind != NodeKind::Edge || !self.pids(host).is_empty() {
            return Ok(());
        }
        for port in self.settings.published_ports() {
            // With SO_REUSEADDR, as the edge does it: connections of a region before this one don't count.
            if let Err(e) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                let why = if e.kind() == std::io::ErrorKind::AddrInUse {
                    format!("is in use by another process: choose --port-offset{}", self.offset_hint())
                } else {
                    format!("can't be listened on: {e}")
                };
                bail!("port {port} {why}");
            }
        }
        Ok(())
    }

    fn stop(&self, host: &Host) -> Result<()> {
        let Some(agent) = running(&self.run_dir(host).join(AGENT_PID)) else { return self.kill(host) };
        self.note(host, "stopped");
        let pids = self.pids(host);
        for pid in &pids {
            // A stopped process can't end.
            send(*pid, Signal::CONT)?;
        }
        send(agent, Signal::TERM)?;
        if wait_gone(&pids, Duration::from_secs(12)) { Ok(()) } else { self.kill_pids(&[host], &[AGENT_PID, NODE_PID]) }
    }

    /// The whole group that the agent leads: the node that it started just now too, whose pid nobody has noted yet.
    fn kill(&self, host: &Host) -> Result<()> {
        self.note(host, "killed");
        self.kill_pids(&[host], &[AGENT_PID, NODE_PID])
    }

    fn kill_at_once(&self, hosts: &[&Host]) -> Result<()> {
        hosts.iter().for_each(|host| self.note(host, "killed"));
        self.kill_pids(hosts, &[AGENT_PID, NODE_PID])
    }

    fn kill_node(&self, host: &Host) -> Result<()> {
        self.kill_pids(&[host], &[NODE_PID])
    }

    fn kill_agent(&self, host: &Host) -> Result<()> {
        self.kill_pids(&[host], &[AGENT_PID])
    }

    fn wipe(&self, host: &Host) -> Result<()> {
        if !self.pids(host).is_empty() {
            bail!("{} is running", host.name);
        }
        let data = host.dir(&self.root).join("data");
        match fs::remove_dir_all(&data) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).with_context(|| data.display().to_string()),
            _ => {
                let _ = fs::write(self.run_dir(host).join(NOTE), "killed, and its disk wiped,");
                Ok(())
            }
        }
    }

    fn pause(&self, host: &Host) -> Result<()> {
        self.pids(host).into_iter().try_for_each(|pid| send(pid, Signal::STOP))
    }

    fn resume(&self, host: &Host) -> Result<()> {
        self.pids(host).into_iter().try_for_each(|pid| send(pid, Signal::CONT))
    }

    fn cut(&self, host: &Host, together: &[&Host]) -> Result<()> {
        let except: Vec<String> = together.iter().map(|h| h.address.to_string()).collect();
        let body = serde_json::json!({ "except": except }).to_string();
        self.admin_of_agent(host, "/faults/cut", &body)?;
        self.admin(host, "/faults/cut", &body)
    }

    fn isolate(&self, host: &Host, edge: Option<&Host>) -> Result<()> {
        // Clients come from the machine's own address, and so do the edge's connections.
        let mut except = vec![Ipv4Addr::LOCALHOST.to_string(), host.address.to_string()];
        except.extend(edge.map(|edge| edge.address.to_string()));
        let body = serde_json::json!({ "except": except }).to_string();
        self.admin_of_agent(host, "/faults/cut", &body)?;
        self.admin(host, "/faults/cut", &body)
    }

    fn heal(&self, host: &Host) -> Result<()> {
        self.admin_of_agent(host, "/faults/heal", "")?;
        self.admin(host, "/faults/heal", "")
    }

    fn arm(&self, host: &Host, plan: &str) -> Result<()> {
        self.admin(host, "/faults/arm", plan)
    }

    fn is_up(&self, host: &Host) -> bool {
        self.pids(host).len() == 2
    }

    fn condition(&self, host: &Host) -> Option<Condition> {
        let pids = self.pids(host);
        if pids.iter().any(|pid| stat(*pid).is_some_and(|fields| fields[0] == "T")) {
            return Some(Condition::new("paused", "stopped by a signal"));
        }
        if !pids.is_empty() {
            return None;
        }
        let file = self.run_dir(host).join(NOTE);
        let (what, when) = (fs::read_to_string(&file).ok()?, fs::metadata(&file).ok()?.modified().ok()?);
        let seconds = when.elapsed().unwrap_or_default().as_secs();
        Some(Condition::new("down", format!("{} {seconds} s ago", what.trim())))
    }

    fn exists(&self) -> Result<bool> {
        Ok(self.root.join("region.json").exists())
    }

    fn page(&self, host: &Host, port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(host.address, port))
    }
}
