//! What every host says of itself, as a table.

use crate::hosts::{AGENT_PORT, METRICS_PORT};
use crate::{Condition, Region, pages};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HostStatus {
    pub name: String,
    pub zone: Option<String>,
    pub up: bool,
    pub ready: bool,
    /// Why it isn't well.
    pub reason: Option<String>,
    /// What was done to it that it can't tell itself: killed, paused, cut.
    #[serde(default)]
    pub condition: Option<Condition>,
    pub pid: Option<u64>,
    #[serde(default)]
    pub agent_pid: Option<u64>,
    /// Of the node, as it says.
    pub groups: Vec<Value>,
    /// By the host's agent: unexpected ends of the node, how the last one was, and the node's memory.
    pub restarts: Option<u64>,
    #[serde(default)]
    pub last_exit: Option<String>,
    #[serde(default)]
    pub resident_bytes: Option<u64>,
    /// Of a node that stores: another one after its disk was lost.
    #[serde(default)]
    pub raft_id: Option<u64>,
    /// Of a data node: what it knows of the control store, and how old that is.
    #[serde(default)]
    pub control_store: Option<Value>,
    /// Of a data node: the cluster's active format as it knows it.
    #[serde(default)]
    pub format: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub hosts: Vec<HostStatus>,
}

const TIMEOUT: Duration = Duration::from_millis(700);

impl Status {
    pub fn gather(region: &Region) -> Status {
        Self::gather_from(region, &region.hosts.iter().collect::<Vec<_>>())
    }

    /// Of these hosts alone: one that is paused costs its question's whole time.
    pub fn gather_from(region: &Region, hosts: &[&crate::Host]) -> Status {
        let hosts = std::thread::scope(|scope| {
            let asked: Vec<_> = hosts.iter().map(|host| scope.spawn(move || ask(region, host))).collect();
            asked
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(status) => status,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        Status { hosts }
    }

    /// `(host, group)` of all leaders of groups whose description begins so.
    pub fn leaders(&self, what: &str) -> Vec<(String, Value)> {
        let mut found = self
            .hosts
            .iter()
            .flat_map(|host| host.groups.iter().map(move |group| (host, group)))
            .filter(|(host, group)| {
                let named = group["what"]
                    .as_str()
                    .is_some_and(|w| w.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
                named && group["leader"].as_str() == Some(&host.name)
            })
            .map(|(host, group)| (host.name.clone(), group.clone()))
            .collect::<Vec<_>>();
        // A deposed leader may not know it yet: the newest term knows best.
        found.sort_by_key(|(_, group)| std::cmp::Reverse(group["term"].as_u64()));
        found
    }

    pub fn table(&self) -> String {
        let mut out = format!(
            "{:<18} {:<6} {:<9} {:>8} {:>8} {:>9} {:>6}  {:<17} WHY\n",
            "HOST", "ZONE", "STATE", "PID", "AGENT", "RESTARTS", "MB", "LEADS / FOLLOWS"
        );
        for host in &self.hosts {
            let state = host.state();
            let leads = host.groups.iter().filter(|g| g["leader"].as_str() == Some(&host.name)).count();
            let stopped = host.groups.iter().filter(|g| g["role"] == "stopped").count();
            let mut roles =
                if host.groups.is_empty() { String::new() } else { format!("{leads} / {}", host.groups.len() - leads) };
            if stopped > 0 {
                let _ = write!(roles, " ({stopped} stopped)");
            }
            let reason = host.why();
            let pid = host.pid.map(|p| p.to_string()).unwrap_or_default();
            let agent = host.agent_pid.map(|p| p.to_string()).unwrap_or_default();
            let _ = writeln!(
                out,
                "{:<18} {:<6} {:<9} {:>8} {:>8} {:>9} {:>6}  {:<17} {}",
                host.name,
                host.zone.as_deref().unwrap_or("-"),
                state,
                pid,
                agent,
                host.restarts.map(|n| n.to_string()).unwrap_or_default(),
                host.resident_bytes.map(|bytes| (bytes >> 20).to_string()).unwrap_or_default(),
                roles,
                reason.as_deref().unwrap_or("")
            );
        }
        let is_up = |name: &str| self.hosts.iter().any(|host| host.name == name && host.is_reached());
        let mut groups: Vec<(&str, &str, u64, String)> = self
            .hosts
            .iter()
            .flat_map(|h| h.groups.iter().map(move |g| (h, g)))
            .filter_map(|(h, g)| {
                let leader = g["leader"].as_str().unwrap_or("nobody");
                let members = if leader == h.name { members(g, is_up) } else { String::new() };
                Some((g["what"].as_str()?, leader, g["term"].as_u64()?, members))
            })
            .collect();
        // The newest term knows best who leads, and its leader who follows.
        groups.sort_by_key(|(what, _, term, members)| (*what, std::cmp::Reverse((*term, !members.is_empty()))));
        groups.dedup_by_key(|(what, ..)| *what);
        if !groups.is_empty() {
            let _ = writeln!(out, "\n{:<42} {:<18} {:<16} TERM", "GROUP", "LEADER", "HEALTHY");
            for (what, leader, term, members) in groups.iter().take(40) {
                // Who is gone leads nobody, though no other has been elected yet.
                let leader = if is_up(leader) { leader } else { "nobody" };
                let _ = writeln!(out, "{what:<42} {leader:<18} {members:<16} {term}");
            }
            if groups.len() > 40 {
                let _ = writeln!(out, "… and {} more", groups.len() - 40);
            }
        }
        out
    }
}

impl HostStatus {
    /// Whether its node answers, and is on the network.
    fn is_reached(&self) -> bool {
        self.pid.is_some() && self.condition.is_none()
    }

    pub fn is_well(&self) -> bool {
        self.ready && self.condition.is_none()
    }

    fn state(&self) -> &str {
        match &self.condition {
            Some(condition) => &condition.state,
            None if self.ready => "ready",
            None if self.up || self.pid.is_some() => "not ready",
            None => "down",
        }
    }

    fn why(&self) -> Option<String> {
        let node_ended = || {
            let count = self.restarts.filter(|restarts| *restarts > 0)?;
            let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
            Some(format!("its node was started again{times}: {}", self.last_exit.as_ref()?))
        };
        let condition = self.condition.as_ref().map(|condition| condition.why.clone());
        let alone = || self.control_store.as_ref().and_then(alone);
        condition.or_else(|| self.reason.clone()).or_else(alone).or_else(node_ended)
    }
}

/// `3/3`: voters that are well and voters; `+1` that learns. Of a group that rests only the number.
fn members(group: &Value, is_up: impl Fn(&str) -> bool) -> String {
    let members = group["members"].as_array().map_or(&[][..], Vec::as_slice);
    let voters = members.iter().filter(|m| m["voter"] == true);
    // A leader notices only after a while that one is gone.
    let is_well = |m: &&Value| m["healthy"] == true && m["node"].as_str().is_some_and(&is_up);
    let healthy = voters.clone().filter(is_well).count();
    let all = voters.clone().count();
    let mut text = if voters.clone().any(|m| m["healthy"].is_null()) {
        format!("{all}, at rest")
    } else {
        format!("{healthy}/{all}")
    };
    if members.len() > all {
        let _ = write!(text, " +{} learns", members.len() - all);
    }
    text
}

/// More than a watch takes that has nothing to tell.
const OLD_MS: u64 = 15_000;

/// What a data node says of itself where it goes on without the control store.
fn alone(control_store: &Value) -> Option<String> {
    // One that starts has heard nothing since the process before it ended, which is no news.
    control_store["silent_ms"].as_u64().filter(|silent| *silent > OLD_MS)?;
    let age_ms = control_store["age_ms"].as_u64()?;
    Some(format!("control store last heard {} s ago", age_ms / 1_000))
}

fn ask(region: &Region, host: &crate::Host) -> HostStatus {
    let mut status = HostStatus {
        name: host.name.to_string(),
        zone: host.zone.as_ref().map(ToString::to_string),
        up: region.driver.is_up(host),
        ready: false,
        reason: None,
        condition: region.driver.condition(host),
        pid: None,
        agent_pid: None,
        groups: Vec::new(),
        restarts: None,
        last_exit: None,
        resident_bytes: None,
        raft_id: None,
        control_store: None,
        format: None,
    };
    let page = |port, path: &str| {
        let (_, body) = pages::get(region.driver.page(host, port)?, path, TIMEOUT).ok()?;
        serde_json::from_str::<Value>(&body).ok()
    };
    match page(METRICS_PORT, "/status") {
        Some(node) => {
            status.ready = node["ready"].as_bool().unwrap_or(false);
            status.reason = node["reason"].as_str().map(str::to_owned);
            status.pid = node["pid"].as_u64();
            if node["cut"] == true {
                status.condition = Some(Condition::new("cut", "cut off from the network; chaos heal"));
            }
            status.raft_id = node["raft_id"].as_u64();
            status.control_store = node.get("control_store").cloned();
            status.format = node["format"].as_u64();
            status.groups = node["groups"].as_array().cloned().unwrap_or_default();
        }
        None if status.up => status.reason = Some("no answer".to_owned()),
        None => status.reason = Some("not running".to_owned()),
    }
    match page(AGENT_PORT, "/status") {
        Some(agent) => {
            status.agent_pid = agent["pid"].as_u64();
            status.restarts = agent["restarts"].as_u64();
            status.last_exit = agent["last_exit"].as_str().map(str::to_owned);
            status.resident_bytes = agent["resident_bytes"].as_u64();
            if status.pid.is_none()
                && agent["service_pid"].is_null()
                && let Some(exit) = &status.last_exit
            {
                status.reason = Some(format!("its node has ended: {exit}"));
            }
        }
        None if status.ready => status.reason = status.reason.or(Some("its agent doesn't answer".to_owned())),
        None => {}
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host(name: &str, leader: &str) -> HostStatus {
        let member = |node: &str| json!({"node": node, "voter": true, "healthy": true});
        let group = json!({"what": "meta", "role": "follower", "leader": leader, "term": 7,
                           "members": [member("a"), member("b"), member("c")]});
        HostStatus {
            name: name.to_owned(),
            zone: None,
            up: true,
            ready: true,
            reason: None,
            condition: None,
            pid: Some(1),
            agent_pid: Some(2),
            groups: vec![group],
            restarts: Some(0),
            last_exit: None,
            resident_bytes: None,
            raft_id: None,
            control_store: None,
            format: None,
        }
    }

    fn row<'a>(table: &'a str, first: &str) -> &'a str {
        table.lines().find(|line| line.split_whitespace().next() == Some(first)).unwrap()
    }

    #[test]
    fn who_is_gone_neither_leads_nor_counts_as_healthy() {
        let mut status = Status { hosts: ["a", "b", "c"].map(|name| host(name, "a")).into() };
        assert!(row(&status.table(), "meta").contains("3/3"));
        status.hosts[1].condition = Some(Condition::new("cut", "cut off"));
        assert!(row(&status.table(), "meta").contains("2/3"));
        assert!(row(&status.table(), "b").contains("cut"));
        status.hosts[0] = HostStatus { up: false, ready: false, pid: None, groups: Vec::new(), ..host("a", "a") };
        assert!(row(&status.table(), "meta").contains("nobody"));
        assert!(row(&status.table(), "a").contains("down"));
    }

    #[test]
    fn a_restart_is_told_and_silence_counts_from_the_nodes_start() {
        let mut node = host("a", "a");
        assert_eq!(node.why(), None);
        node.restarts = Some(1);
        node.last_exit = Some("signal: 9 (SIGKILL)".to_owned());
        assert_eq!(node.why().as_deref(), Some("its node was started again: signal: 9 (SIGKILL)"));
        node.control_store = Some(json!({"age_ms": 90_000, "silent_ms": 3}));
        assert!(node.why().unwrap().contains("started again"));
        node.control_store = Some(json!({"age_ms": 90_000, "silent_ms": 20_000}));
        assert_eq!(node.why().as_deref(), Some("control store last heard 90 s ago"));
    }
}
