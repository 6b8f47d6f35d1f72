//! What to break, and how: the same words for processes and containers.

use crate::{Host, Region, Status};
use anyhow::{Context, Result, bail};
use breakwater_types::NodeKind;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Kill,
    KillNode,
    KillAgent,
    /// The host's services end in order, as before an upgrade.
    Stop,
    Start,
    Pause,
    Resume,
    Restart,
    Cut,
    Isolate,
    Heal,
    /// The host dies and loses all that it stored; its identity stays.
    Wipe,
    /// A new machine stands in the host's place: nothing of the old one is left, not even its identity.
    Replace,
}

impl Action {
    pub const ALL: [Action; 13] = [
        Action::Kill,
        Action::KillNode,
        Action::KillAgent,
        Action::Stop,
        Action::Start,
        Action::Pause,
        Action::Resume,
        Action::Restart,
        Action::Cut,
        Action::Isolate,
        Action::Heal,
        Action::Wipe,
        Action::Replace,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Action::Kill => "kill",
            Action::KillNode => "kill-node",
            Action::KillAgent => "kill-agent",
            Action::Stop => "stop",
            Action::Start => "start",
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Restart => "restart",
            Action::Cut => "cut",
            Action::Isolate => "isolate",
            Action::Heal => "heal",
            Action::Wipe => "wipe",
            Action::Replace => "replace",
        }
    }

    pub fn parse(word: &str) -> Option<Action> {
        Self::ALL.into_iter().find(|a| a.word() == word)
    }

    /// What undoes it.
    pub fn undo(self) -> Option<Action> {
        match self {
            Action::Kill | Action::KillAgent | Action::Stop | Action::Wipe | Action::Replace => Some(Action::Start),
            Action::Pause => Some(Action::Resume),
            Action::Cut | Action::Isolate => Some(Action::Heal),
            // A node alone is started again by its agent.
            Action::KillNode | Action::Start | Action::Resume | Action::Restart | Action::Heal => None,
        }
    }
}

/// The hosts that a target names: a zone (`az-b`), a host (`dynamo-node-b1`), a kind (`control-node`), a role
/// (`meta-leader`, `dynamodb-leader:TABLE`, `dynamodb-leader:TABLE/PARTITION`), or `all`.
pub fn targets<'a>(region: &'a Region, target: &str) -> Result<Vec<&'a Host>> {
    let named = |names: &[String]| -> Vec<&'a Host> {
        region.hosts.iter().filter(|h| names.iter().any(|n| n == h.name.as_str())).collect()
    };
    if target == "all" {
        return Ok(region.hosts.iter().collect());
    }
    if let Some(role) = target.strip_prefix("dynamodb-leader:") {
        let what = match role.split_once('/') {
            Some((table, partition)) => format!("table {table} partition {partition}"),
            None => format!("table {role}"),
        };
        let leaders = Status::gather(region).leaders(&what);
        let (host, _) = leaders.first().with_context(|| format!("nobody leads {what} now"))?;
        return Ok(named(std::slice::from_ref(host)));
    }
    if target == "meta-leader" {
        let leaders = Status::gather(region).leaders("meta");
        let (host, _) = leaders.first().context("nobody leads the control store now")?;
        return Ok(named(std::slice::from_ref(host)));
    }
    let found: Vec<&Host> = region
        .hosts
        .iter()
        .filter(|h| {
            h.name.as_str() == target
                || h.zone.as_ref().is_some_and(|z| z.as_str() == target)
                || h.kind.binary() == target
        })
        .collect();
    if found.is_empty() {
        bail!(
            "no target {target:?}: a zone (az-a), a host (dynamo-node-a1), a kind (control-node), meta-leader or \
             dynamodb-leader:TABLE"
        );
    }
    Ok(found)
}

pub fn act(region: &Region, action: Action, hosts: &[&Host]) -> Result<()> {
    let edge = region.hosts.iter().find(|h| h.kind == NodeKind::Edge);
    region.each(hosts, |host| match action {
        Action::Kill => region.driver.kill(host),
        Action::KillNode => region.driver.kill_node(host),
        Action::KillAgent => region.driver.kill_agent(host),
        Action::Stop => region.driver.stop(host),
        Action::Start => region.driver.start(host),
        Action::Pause => region.driver.pause(host),
        Action::Resume => region.driver.resume(host),
        Action::Restart => {
            region.driver.kill(host)?;
            region.driver.start(host)
        }
        Action::Cut => region.driver.cut(host, hosts),
        Action::Isolate => region.driver.isolate(host, edge),
        Action::Heal => region.driver.heal(host),
        Action::Wipe => {
            region.driver.kill(host)?;
            region.driver.wipe(host)
        }
        Action::Replace => {
            if host.kind != NodeKind::Dynamo {
                bail!("{}: only hosts that join with a token can be replaced", host.name);
            }
            region.driver.kill(host)?;
            region.driver.wipe(host)?;
            Ok(breakwater_identity::replace_host(&region.root, &host.name)?)
        }
    })
}

/// One line of the story, as JSON.
fn tell(born: Instant, action: Action, target: &str, hosts: &[&Host], error: Option<String>) -> String {
    let names: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).collect();
    json!({"at_ms": born.elapsed().as_millis() as u64, "action": action.word(), "target": target, "hosts": names,
           "error": error})
    .to_string()
}

fn zone_of_leader(region: &Region, table: &str) -> Option<String> {
    let hosts = targets(region, &format!("dynamodb-leader:{table}")).ok()?;
    hosts.first()?.zone.as_ref().map(ToString::to_string)
}

/// Faults by seed, evenly over the time, each undone before the next: at most one zone is hit at a time, so that a
/// quorum remains. With a table, each hits a leader.
pub fn random(
    region: &Region,
    seed: u64,
    duration: Duration,
    faults: usize,
    table: Option<&str>,
    mut line: impl FnMut(String),
) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let born = Instant::now();
    let slot = duration / faults.max(1) as u32;
    for n in 0..faults {
        let begins = slot * n as u32 + slot / 10;
        std::thread::sleep(begins.saturating_sub(born.elapsed()));
        let action = [Action::Kill, Action::Pause, Action::Cut][rng.random_range(0..3)];
        let target = match table {
            // Each fault hits a leader, alone or with its whole zone.
            Some(table) => match rng.random_range(0..4) {
                0 => "meta-leader".to_owned(),
                1 => zone_of_leader(region, table).unwrap_or_else(|| "az-a".to_owned()),
                _ => format!("dynamodb-leader:{table}"),
            },
            None => {
                let others: Vec<String> = ["meta-leader", "az-a", "az-b", "az-c"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(region.hosts.iter().filter(|h| h.kind != NodeKind::Edge).map(|h| h.name.to_string()))
                    .collect();
                others.choose(&mut rng).cloned().unwrap_or_default()
            }
        };
        let hosts = match targets(region, &target) {
            Ok(hosts) => hosts,
            Err(e) => {
                line(tell(born, action, &target, &[], Some(e.to_string())));
                continue;
            }
        };
        let done = act(region, action, &hosts);
        line(tell(born, action, &target, &hosts, done.as_ref().err().map(ToString::to_string)));
        let lasts = slot.mul_f64(rng.random_range(0.3..0.6));
        std::thread::sleep(lasts);
        if let Some(undo) = action.undo() {
            let undone = act(region, undo, &hosts);
            line(tell(born, undo, &target, &hosts, undone.as_ref().err().map(ToString::to_string)));
            undone?;
        }
        done?;
        // The next fault mustn't meet a quorum that this one has broken.
        let settled = Instant::now() + Duration::from_secs(20);
        while hosts.iter().any(|h| region.why_not_ready(h).is_some()) && Instant::now() < settled {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    std::thread::sleep(duration.saturating_sub(born.elapsed()));
    Ok(())
}
