//! Brings faults to a running region, and proves of each that it hit what it was meant for.

use crate::plan::{Ends, Fault, Role};
use anyhow::{Context, Result, bail, ensure};
use breakwater_launcher::chaos::{self, Action};
use breakwater_launcher::{Host, Region, Status};
use breakwater_types::NodeKind;
use serde::Serialize;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Within which a successor has to lead; hundreds of milliseconds are usual.
const SUCCESSION_MAX: Duration = Duration::from_secs(20);
/// Within which a region is whole again once a fault is undone.
const RECOVERY_MAX: Duration = Duration::from_secs(40);
/// No election can be over so soon after its leader was hit: the lease lasts longer. Who leads then led before.
const TOO_SOON: Duration = Duration::from_millis(200);
const POLL: Duration = Duration::from_millis(20);
/// Of a fault point that every write passes.
const POINT_MAX: Duration = Duration::from_secs(40);

/// A fault that came, as JSON in the report.
#[derive(Clone, Debug, Serialize)]
pub struct Came {
    pub at_ms: u64,
    pub what: String,
    pub hosts: Vec<String>,
    pub zones: Vec<String>,
    /// The leaders that it hit.
    pub hits: Vec<Hit>,
    pub action: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// `meta`, or `table NAME partition N`.
    pub group: String,
    pub leader: String,
    pub term: u64,
    pub successor: String,
    pub successor_term: u64,
    pub led_after_ms: u64,
    /// The second of two in a row.
    pub again: bool,
}

pub struct Breaker<'a> {
    pub region: &'a Region,
    pub table: String,
    pub partitions: u32,
    pub born: Instant,
}

struct Leader<'a> {
    group: String,
    host: &'a Host,
    term: u64,
}

impl Leader<'_> {
    /// Two may lead in one term, one after the other: openraft orders leaders by term and then by node.
    fn follows(&self, earlier: &Leader<'_>) -> bool {
        self.term > earlier.term || (self.term == earlier.term && self.host.name != earlier.host.name)
    }
}

fn kind_of(role: &Role) -> NodeKind {
    match role {
        Role::PartitionLeader(_) => NodeKind::Dynamo,
        Role::MetaLeader => NodeKind::Control,
    }
}

impl<'a> Breaker<'a> {
    fn group(&self, role: &Role) -> String {
        match role {
            Role::PartitionLeader(n) => format!("table {} partition {n}", self.table),
            Role::MetaLeader => "meta".to_owned(),
        }
    }

    fn of_kind(&self, kind: NodeKind) -> Vec<&'a Host> {
        self.region.hosts.iter().filter(|h| h.kind == kind).collect()
    }

    fn leader_among(&self, role: &Role, hosts: &[&'a Host]) -> Option<Leader<'a>> {
        let group = self.group(role);
        let status = Status::gather_from(self.region, hosts);
        let (name, state) = status.leaders(&group).into_iter().next()?;
        let host = hosts.iter().find(|h| h.name.as_str() == name)?;
        Some(Leader { group, host, term: state["term"].as_u64()? })
    }

    fn leader(&self, role: &Role) -> Result<Leader<'a>> {
        let hosts = self.of_kind(kind_of(role));
        wait(SUCCESSION_MAX, || self.leader_among(role, &hosts))
            .with_context(|| format!("nobody leads {}", self.group(role)))
    }

    /// The first who leads after it; none if it led already when the fault came.
    fn successor(&self, role: &Role, hit: &Leader<'a>, since: Instant, action: Action) -> Result<Option<Leader<'a>>> {
        // A node that its agent starts again may be back before another is elected. Others don't answer before the end.
        let returns = action == Action::KillNode;
        let mut hosts = self.of_kind(kind_of(role));
        hosts.retain(|host| returns || host.name != hit.host.name);
        let mut first = true;
        let found = wait(SUCCESSION_MAX, || {
            let leader = self.leader_among(role, &hosts).filter(|leader| leader.follows(hit));
            let soon = std::mem::take(&mut first) && since.elapsed() < TOO_SOON;
            leader.map(|leader| (leader, soon))
        });
        match found {
            Some((_, true)) => Ok(None),
            Some((leader, false)) => Ok(Some(leader)),
            None => {
                // A host that was brought back may lead again itself.
                let back = self.leader_among(role, &self.of_kind(kind_of(role)));
                let back = back.filter(|leader| leader.follows(hit));
                back.map(Some).with_context(|| format!("nobody took over {} from {}", hit.group, hit.host.name))
            }
        }
    }

    fn came(&self, what: String, action: &str, hosts: &[&Host], hits: Vec<Hit>) -> Came {
        let mut zones: Vec<String> = hosts.iter().filter_map(|h| Some(h.zone.as_ref()?.to_string())).collect();
        zones.sort();
        zones.dedup();
        Came {
            at_ms: self.born.elapsed().as_millis() as u64,
            what,
            hosts: hosts.iter().map(|h| h.name.to_string()).collect(),
            zones,
            hits,
            action: action.to_owned(),
        }
    }

    fn undo(&self, action: Action, hosts: &[&Host]) -> Result<()> {
        match action.undo() {
            Some(undo) => chaos::act(self.region, undo, hosts),
            None => Ok(()),
        }
    }

    /// The next fault mustn't meet a quorum that this one has broken.
    fn recovered(&self) -> Result<()> {
        self.region.wait_ready(RECOVERY_MAX, &mut |_| {}).context("the region did not recover from a fault")
    }

    /// Brings a fault and takes it away. `lasts` is for those that last.
    pub fn bring(&self, fault: &Fault, lasts: Duration) -> Result<Came> {
        let came = match fault {
            Fault::Leader { role, action } => self.hit(role, *action, lasts)?,
            Fault::LeaderTwice { role } => self.hit_twice(role, lasts)?,
            Fault::Zone { zone, action } => self.hit_zone(*zone, *action, lasts)?,
            Fault::Edge { action } => {
                let edge = self.of_kind(NodeKind::Edge);
                chaos::act(self.region, *action, &edge)?;
                // Clients have other doors: long enough that they need them.
                std::thread::sleep(lasts / 3);
                self.undo(*action, &edge)?;
                self.came("edge".to_owned(), action.word(), &edge, Vec::new())
            }
            Fault::Point { role, leader, plan, point, ends } => self.point(role, *leader, plan, point, *ends, lasts)?,
        };
        self.recovered()?;
        Ok(came)
    }

    fn hit_of(&self, hit: &Leader<'a>, successor: &Leader<'a>, since: Instant, again: bool) -> Hit {
        Hit {
            group: hit.group.clone(),
            leader: hit.host.name.to_string(),
            term: hit.term,
            successor: successor.host.name.to_string(),
            successor_term: successor.term,
            led_after_ms: since.elapsed().as_millis() as u64,
            again,
        }
    }

    fn hit(&self, role: &Role, action: Action, lasts: Duration) -> Result<Came> {
        for _ in 0..3 {
            let mut leader = self.leader(role)?;
            let hosts = [leader.host];
            let mut since = Instant::now();
            chaos::act(self.region, action, &hosts)?;
            if action == Action::KillAgent {
                // The node goes on without its agent; the next one ends it.
                std::thread::sleep(lasts / 3);
                let still = self.leader_among(role, &hosts);
                since = Instant::now();
                self.undo(action, &hosts)?;
                let Some(still) = still else {
                    self.recovered()?;
                    continue;
                };
                leader = still;
            }
            let successor = self.successor(role, &leader, since, action)?;
            let Some(successor) = successor else {
                // Leadership moved just before: that hit a follower.
                self.undo(action, &hosts)?;
                self.recovered()?;
                continue;
            };
            let hit = self.hit_of(&leader, &successor, since, false);
            std::thread::sleep(lasts.saturating_sub(since.elapsed()));
            if action != Action::KillAgent {
                self.undo(action, &hosts)?;
            }
            return Ok(self.came(leader.group, action.word(), &hosts, vec![hit]));
        }
        bail!("the leader of {} moved away three times", self.group(role))
    }

    fn hit_twice(&self, role: &Role, lasts: Duration) -> Result<Came> {
        for _ in 0..3 {
            let first = self.leader(role)?;
            let since = Instant::now();
            chaos::act(self.region, Action::Kill, &[first.host])?;
            let Some(second) = self.successor(role, &first, since, Action::Kill)? else {
                self.undo(Action::Kill, &[first.host])?;
                self.recovered()?;
                continue;
            };
            let one = self.hit_of(&first, &second, since, false);
            let since = Instant::now();
            chaos::act(self.region, Action::Kill, &[second.host])?;
            // Two of three are down: a quorum needs the first again.
            self.undo(Action::Kill, &[first.host])?;
            let third = self
                .successor(role, &second, since, Action::Kill)?
                .context("a third led before the second was killed")?;
            let two = self.hit_of(&second, &third, since, true);
            std::thread::sleep(lasts.saturating_sub(since.elapsed()));
            self.undo(Action::Kill, &[second.host])?;
            let hosts = [first.host, second.host];
            return Ok(self.came(format!("{} twice", first.group), Action::Kill.word(), &hosts, vec![one, two]));
        }
        bail!("the leader of {} moved away three times", self.group(role))
    }

    fn leaders_in(&self, zone: &str) -> Vec<(Role, Leader<'a>)> {
        let roles = (0..self.partitions).map(Role::PartitionLeader).chain([Role::MetaLeader]);
        roles
            .filter_map(|role| {
                let leader = self.leader_among(&role, &self.of_kind(kind_of(&role)))?;
                (leader.host.zone.as_ref()?.as_str() == zone).then_some((role, leader))
            })
            .collect()
    }

    fn hit_zone(&self, zone: char, action: Action, lasts: Duration) -> Result<Came> {
        let mut zone = format!("az-{zone}");
        let mut led = self.leaders_in(&zone);
        if led.is_empty() {
            // After many elections a zone may lead nothing.
            let leader = self.leader(&Role::PartitionLeader(0))?;
            zone = leader.host.zone.as_ref().context("a leader in no zone")?.to_string();
            led = self.leaders_in(&zone);
        }
        let hosts = chaos::targets(self.region, &zone)?;
        let since = Instant::now();
        chaos::act(self.region, action, &hosts)?;
        let mut hits = Vec::new();
        for (role, leader) in &led {
            if let Some(successor) = self.successor(role, leader, since, action)? {
                hits.push(self.hit_of(leader, &successor, since, false));
            }
        }
        std::thread::sleep(lasts.saturating_sub(since.elapsed()));
        self.undo(action, &hosts)?;
        ensure!(!hits.is_empty(), "no leader was left in {zone} when it was hit");
        Ok(self.came(zone, action.word(), &hosts, hits))
    }

    /// The node's process id, and whether one of its replicas has stopped.
    fn process(&self, host: &Host) -> (Option<u64>, bool) {
        let status = Status::gather_from(self.region, &[host]);
        let stopped = |group: &Value| !group["stopped"].is_null();
        status.hosts.first().map_or((None, false), |h| (h.pid, h.groups.iter().any(stopped)))
    }

    fn point(&self, role: &Role, leader: bool, plan: &str, point: &str, ends: Ends, lasts: Duration) -> Result<Came> {
        let leading = self.leader(role)?;
        let host = match leader {
            true => leading.host,
            false => *self
                .of_kind(kind_of(role))
                .iter()
                .find(|h| h.name != leading.host.name)
                .context("there is no follower")?,
        };
        let (pid, _) = self.process(host);
        let pid = pid.with_context(|| format!("{} says no pid", host.name))?;
        self.region.driver.arm(host, plan)?;
        let since = Instant::now();
        match ends {
            Ends::Slow => {
                std::thread::sleep(lasts);
                self.region.driver.arm(host, "")?;
            }
            Ends::Crash => {
                wait(POINT_MAX, || self.process(host).0.filter(|now| *now != pid))
                    .with_context(|| format!("{} did not crash at {point} and come back", host.name))?;
            }
            Ends::Error => {
                let ended = |(now, stopped): (Option<u64>, bool)| (stopped || now != Some(pid)).then_some(());
                wait(POINT_MAX, || ended(self.process(host)))
                    .with_context(|| format!("{} did not stop after an error at {point}", host.name))?;
                std::thread::sleep(lasts.saturating_sub(since.elapsed()));
                chaos::act(self.region, Action::Restart, &[host])?;
            }
        }
        let what = format!("{plan} in {} of {}", if leader { "the leader" } else { "a follower" }, leading.group);
        let ends = match ends {
            Ends::Crash => "crash",
            Ends::Error => "error",
            Ends::Slow => "delay",
        };
        Ok(self.came(what, &format!("{ends} at {point}"), &[host], Vec::new()))
    }
}

fn wait<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = ask() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}
