//! What each seed came to: a line when it is done, a table and JSON at the end.

use crate::breaker::{Came, Hit};
use anyhow::Result;
use breakwater_testkit::history::Counts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Why a seed failed, cut by what it says of the region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "why")]
pub enum Verdict {
    Clean,
    /// No order explains a history, or something acknowledged is gone.
    Violation(String),
    /// It couldn't be tested as it should have been: too few operations, too many unknown, a fault that hit nothing,
    /// a region that did not recover.
    Failed(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct Seed {
    pub seed: u64,
    /// What kind of run: leaders, power-loss, fault-points.
    pub mode: &'static str,
    pub seconds: f64,
    pub operations: usize,
    pub conditions_failed: usize,
    #[serde(flatten)]
    pub counts: Counts,
    /// Rows of the ledger that were acknowledged and are there.
    pub kept: usize,
    pub faults: Vec<Came>,
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Seed {
    pub fn hits(&self) -> impl Iterator<Item = &Hit> {
        self.faults.iter().flat_map(|f| &f.hits)
    }

    pub fn line(&self) -> String {
        let Counts { ok, failed, unknown } = self.counts;
        let verdict = match &self.verdict {
            Verdict::Clean => "linearizable".to_owned(),
            Verdict::Violation(why) => format!("VIOLATION: {why}"),
            Verdict::Failed(why) => format!("FAILED: {why}"),
        };
        let kept = if self.mode == "power-loss" { format!(", {} rows kept", self.kept) } else { String::new() };
        format!(
            "seed {}: {:.1} s, {} operations, {ok} ok ({} of them conditions that failed), {failed} failed, \
             {unknown} unknown ({:.2} %); {} faults hit {} leaders{kept}: {verdict}",
            self.seed,
            self.seconds,
            self.operations,
            self.conditions_failed,
            self.counts.unknown_share(),
            self.faults.len(),
            self.hits().count(),
        )
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub seeds: Vec<Seed>,
}

impl Report {
    pub fn violations(&self) -> usize {
        self.seeds.iter().filter(|s| matches!(s.verdict, Verdict::Violation(_))).count()
    }

    pub fn failures(&self) -> usize {
        self.seeds.iter().filter(|s| matches!(s.verdict, Verdict::Failed(_))).count()
    }

    /// What was hit over all seeds, and how often.
    pub fn coverage(&self) -> BTreeMap<String, usize> {
        let mut covered = BTreeMap::new();
        let mut count = |what: String| *covered.entry(what).or_insert(0) += 1;
        for fault in self.seeds.iter().flat_map(|s| &s.faults) {
            count(format!("action {}", fault.action));
            fault.zones.iter().for_each(|zone| count(format!("zone {zone}")));
            for host in &fault.hosts {
                // `dynamo-node-a1` is a dynamo-node; the edge is one by itself.
                let kind = host.rsplit_once('-').map_or(host.as_str(), |(kind, _)| kind);
                count(format!("kind {kind}"));
            }
            if fault.action == "kill-agent" {
                count("kind host-agent".to_owned());
            }
            for hit in &fault.hits {
                let role = if hit.group == "meta" { "meta" } else { "partition" };
                count(format!("leader of {role}{}", if hit.again { ", again" } else { "" }));
            }
        }
        covered
    }

    pub fn table(&self) -> String {
        let mut out = format!(
            "{:>5} {:>8} {:>11} {:>8} {:>8} {:>8} {:>10} {:>7} {:>8}  verdict\n",
            "seed", "seconds", "operations", "ok", "failed", "unknown", "unknown %", "faults", "leaders"
        );
        for s in &self.seeds {
            let verdict = match s.verdict {
                Verdict::Clean => "linearizable",
                Verdict::Violation(_) => "VIOLATION",
                Verdict::Failed(_) => "FAILED",
            };
            out += &format!(
                "{:>5} {:>8.1} {:>11} {:>8} {:>8} {:>8} {:>10.2} {:>7} {:>8}  {verdict}\n",
                s.seed,
                s.seconds,
                s.operations,
                s.counts.ok,
                s.counts.failed,
                s.counts.unknown,
                s.counts.unknown_share(),
                s.faults.len(),
                s.hits().count(),
            );
        }
        let mut after: Vec<u64> = self.seeds.iter().flat_map(Seed::hits).map(|h| h.led_after_ms).collect();
        after.sort_unstable();
        if let (Some(median), Some(max)) = (after.get(after.len() / 2), after.last()) {
            out +=
                &format!("successors led after {median} ms in the median, {max} ms at most ({} hits)\n", after.len());
        }
        for (what, times) in self.coverage() {
            out += &format!("{times:>5} × {what}\n");
        }
        out
    }

    pub fn write(&self, file: &Path) -> Result<()> {
        Ok(std::fs::write(file, serde_json::to_vec_pretty(self)?)?)
    }
}

/// What seeds enough to have it all must have hit.
pub const EXPECTED: [&str; 11] = [
    "kind control-node",
    "kind dynamo-node",
    "kind edge",
    "kind host-agent",
    "zone az-a",
    "zone az-b",
    "zone az-c",
    "leader of meta",
    "leader of meta, again",
    "leader of partition",
    "leader of partition, again",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(hosts: &[&str], action: &str, hits: Vec<Hit>) -> Came {
        Came {
            at_ms: 1,
            what: String::new(),
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
            zones: vec!["az-a".to_owned()],
            hits,
            action: action.to_owned(),
        }
    }

    #[test]
    fn coverage_counts_kinds_zones_and_second_hits() {
        let hit = |group: &str, again| Hit {
            group: group.to_owned(),
            leader: "x".to_owned(),
            term: 1,
            successor: "y".to_owned(),
            successor_term: 2,
            led_after_ms: 700,
            again,
        };
        let seed = Seed {
            seed: 1,
            mode: "leaders",
            seconds: 1.0,
            operations: 3,
            conditions_failed: 0,
            counts: Counts { ok: 1, failed: 1, unknown: 1 },
            kept: 0,
            faults: vec![
                fault(&["edge"], "kill", vec![]),
                fault(&["dynamo-node-a1"], "kill-agent", vec![hit("table t partition 0", false)]),
                fault(&["control-node-a1", "control-node-b1"], "kill", vec![hit("meta", false), hit("meta", true)]),
            ],
            verdict: Verdict::Clean,
        };
        let covered = Report { seeds: vec![seed] }.coverage();
        assert_eq!(covered["kind control-node"], 2);
        assert_eq!(covered["kind edge"], 1);
        assert_eq!(covered["kind host-agent"], 1);
        assert_eq!((covered["leader of meta"], covered["leader of meta, again"]), (1, 1));
        let missing: Vec<_> = EXPECTED.iter().filter(|what| !covered.contains_key(**what)).collect();
        assert_eq!(missing, [&"zone az-b", &"zone az-c", &"leader of partition, again"]);
    }
}
