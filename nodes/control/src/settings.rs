//! A control node's settings.

use breakwater_identity::{FRONT_NAMES, is_front_name};
use breakwater_node::{Callers, Common, Source};
use breakwater_storage::EngineKind;
use std::time::Duration;

const PERIOD_MS_MIN: u64 = 100;

#[derive(Clone, Debug)]
pub struct Settings {
    pub common: Common,
    pub front_port: u16,
    pub front_names: Vec<String>,
    pub join_port: u16,
    pub engine: EngineKind,
    pub partitions_min: u32,
    pub hold_back_unsynced: bool,
    pub callers: Callers,
    pub instance_credentials_s: u32,
    /// How often trails get files of events.
    pub trail_files_every: Duration,
    /// How often they get digests of those files.
    pub trail_digests_every: Duration,
    /// How long events that happened before a trail was stopped may take to come.
    pub trail_stragglers: Duration,
    /// Of audit events; the oldest go first.
    pub audit_bytes_max: u64,
    pub session_key_period_s: u32,
}

impl Settings {
    pub fn read(source: &mut Source) -> Self {
        let common = Common::read(source);
        let front_port = source.or("front_port", 4566, "the region's AWS endpoint on this node");
        let names = FRONT_NAMES.map(str::to_owned).to_vec();
        let front_names: Vec<String> = source.or("front_names", names, "names and addresses that front doors have");
        source.check(front_names.iter().all(|n| is_front_name(n)), "front_names: one is neither a name nor an address");
        let join_port = source.or("join_port", 7401, "where hosts get their certificates");
        let engine = source.or("engine", "fjall".to_owned(), "storage engine: fjall or sled");
        let found = EngineKind::ALL.into_iter().find(|e| e.word() == engine);
        source.check(found.is_some(), "engine: neither fjall nor sled");
        source.check(common.control.iter().any(|c| c.name == common.name), "control: doesn't name this node");
        let lasts_s = source.or("instance_credentials_s", 21_600, "how long the credentials of hosts last, in seconds");
        source.check((10..=43_200).contains(&lasts_s), "instance_credentials_s: not between 10 and 43200");
        let files_ms: u64 = source.or("trail_files_every_ms", 300_000, "how often trails get files of events");
        source.check(files_ms >= PERIOD_MS_MIN, "trail_files_every_ms: too short");
        let digests_ms: u64 = source.or("trail_digests_every_ms", 3_600_000, "how often trails get digests of files");
        source.check(digests_ms >= PERIOD_MS_MIN, "trail_digests_every_ms: too short");
        let stragglers_ms: u64 =
            source.or("trail_stragglers_ms", 900_000, "how long a stopped trail's last events may take to come");
        Settings {
            instance_credentials_s: lasts_s,
            trail_files_every: Duration::from_millis(files_ms),
            trail_digests_every: Duration::from_millis(digests_ms),
            trail_stragglers: Duration::from_millis(stragglers_ms),
            audit_bytes_max: source.or("audit_bytes_max", 8 << 30, "bytes of audit events that are kept at most"),
            front_port,
            front_names,
            join_port,
            engine: found.unwrap_or(EngineKind::Fjall),
            partitions_min: source.or("partitions_min", 1, "partitions of a new table at least"),
            hold_back_unsynced: source.or(
                "hold_back_unsynced",
                false,
                "tests: what isn't synced dies with the process",
            ),
            callers: Callers::read(source),
            session_key_period_s: source.or(
                "session_key_period_s",
                86_400,
                "how long a new key for session tokens is known before it seals, and then the next one is made",
            ),
            common,
        }
    }
}
