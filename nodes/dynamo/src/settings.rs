//! A data node's settings.

use breakwater_node::{Callers, Common, Source};
use breakwater_storage::EngineKind;

#[derive(Clone, Debug)]
pub struct Settings {
    pub common: Common,
    pub front_port: u16,
    pub engine: EngineKind,
    pub partitions_min: u32,
    pub hold_back_unsynced: bool,
    pub callers: Callers,
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
            callers: Callers::read(source),
            common,
        }
    }
}
