//! A control node's settings.

use breakwater_identity::{FRONT_NAMES, is_front_name};
use breakwater_node::{Common, Source};
use breakwater_storage::EngineKind;

#[derive(Clone, Debug)]
pub struct Settings {
    pub common: Common,
    pub front_port: u16,
    pub front_names: Vec<String>,
    pub join_port: u16,
    pub engine: EngineKind,
    pub partitions_min: u32,
    pub hold_back_unsynced: bool,
    pub instance_credentials_s: u32,
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
        Settings {
            instance_credentials_s: lasts_s,
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
            common,
        }
    }
}
