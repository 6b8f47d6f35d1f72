//! A data node's settings.

use breakwater_node::{Common, Source};
use breakwater_storage::EngineKind;

#[derive(Clone, Debug)]
pub struct Settings {
    pub common: Common,
    pub front_port: u16,
    pub engine: EngineKind,
    pub partitions_min: u32,
    pub hold_back_unsynced: bool,
    /// Past it, identities and policies that aren't heard of any more decide nothing.
    pub identities_stale_ms_max: Option<u64>,
    /// How often uses of credentials are handed on.
    pub uses_every_ms: u64,
}

/// A healthy node hears something every ten seconds, also where nothing changes.
const STALE_MS_MIN: u64 = 15_000;

fn stale_bound(source: &mut Source) -> Option<u64> {
    let what = "refuse callers once identities and policies are older, 0 for never; at least 15000";
    let bound: u64 = source.or("identities_stale_ms_max", 0, what);
    source.check(bound == 0 || bound >= STALE_MS_MIN, "identities_stale_ms_max: below 15000, where healthy nodes are");
    (bound > 0).then_some(bound)
}

fn uses_every_ms(source: &mut Source) -> u64 {
    let every = source.or("uses_every_ms", 10_000, "how often uses of access keys are handed on, in batches");
    source.check(every >= 100, "uses_every_ms: below 100");
    every.max(100)
}

impl Settings {
    pub fn read(source: &mut Source) -> Self {
        let common = Common::read(source);
        let front_port = source.or("front_port", 8000, "the DynamoDB endpoint on this node");
        let engine = source.or("engine", "fjall".to_owned(), "storage engine: fjall or sled");
        let found = EngineKind::ALL.into_iter().find(|e| e.word() == engine);
        source.check(found.is_some(), "engine: neither fjall nor sled");
        source.check(common.zone.is_some(), "zone: a data node stands in one");
        source.check(!common.control.is_empty(), "control: names no control node");
        Settings {
            front_port,
            engine: found.unwrap_or(EngineKind::Fjall),
            partitions_min: source.or("partitions_min", 1, "partitions of a new table at least"),
            hold_back_unsynced: source.or(
                "hold_back_unsynced",
                false,
                "tests: what isn't synced dies with the process",
            ),
            identities_stale_ms_max: stale_bound(source),
            uses_every_ms: uses_every_ms(source),
            common,
        }
    }
}
