//! A partition over the memory engine, with a log that stands in for Raft.

mod cost;
mod model;
mod reads;
mod recovery;
mod writes;

use super::*;
use crate::rpc::{
    GetRead, GotItem, ItemWrite, Page, PartitionRequest, PartitionResponse, QueryRead, ReturnValues, ScanRead, Select,
    WriteAction,
};
use breakwater_consensus::{Applying, KeyPrefix, StateMachine};
use breakwater_items::expression::{Condition, ExpressionKind, Projection, Substitutions, Update, compile};
use breakwater_items::schema::{IndexProjection, KeyAttribute, KeySchema, KeyType, LocalIndex};
use breakwater_items::{AttributeValue, Item};
use breakwater_storage::{Batch, Engine, MemoryEngine};
use breakwater_types::{AccountId, Clock, GroupId, ManualClock, Region, Scope};
use std::collections::BTreeMap;

pub const NOW_MS: i64 = 1_800_000_000_000;
const GROUP: GroupId = GroupId(1_000);
/// Where the tests keep the applied index, as consensus does: outside the state machine's keys.
const APPLIED_KEY: &[u8] = b"\xffapplied";

pub fn attribute(name: &str, key_type: KeyType) -> KeyAttribute {
    KeyAttribute { name: name.to_owned(), key_type }
}

fn index(name: &str, sort: &str, key_type: KeyType, projection: IndexProjection) -> LocalIndex {
    LocalIndex { name: name.to_owned(), range: attribute(sort, key_type), projection }
}

/// Hash `h` (S), range `r` (N), and no index.
pub fn plain() -> TableSchema {
    let key = KeySchema { hash: attribute("h", KeyType::S), range: Some(attribute("r", KeyType::N)) };
    TableSchema { key, local_indexes: Vec::new() }
}

/// As [`plain`], with three local indexes: `whole` over `a` (S), `keys` over `b` (N), `some` over `a`, which holds `c`.
pub fn indexed() -> TableSchema {
    TableSchema {
        local_indexes: vec![
            index("whole", "a", KeyType::S, IndexProjection::All),
            index("keys", "b", KeyType::N, IndexProjection::KeysOnly),
            index("some", "a", KeyType::S, IndexProjection::Include(vec!["c".to_owned()])),
        ],
        ..plain()
    }
}

pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string().parse().unwrap())
}

pub fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub fn key_of(h: &str, r: i64) -> PrimaryKey {
    PrimaryKey { hash: s(h), range: Some(n(r)) }
}

fn substitutions(values: &[(&str, AttributeValue)]) -> Substitutions {
    let values: BTreeMap<_, _> = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Substitutions::new(None, (!values.is_empty()).then_some(values)).unwrap()
}

pub fn update(text: &str, values: &[(&str, AttributeValue)]) -> Update {
    compile::update(text, &mut substitutions(values)).unwrap()
}

pub fn condition(text: &str, values: &[(&str, AttributeValue)]) -> Condition {
    compile::condition(text, ExpressionKind::Condition, &mut substitutions(values)).unwrap()
}

pub fn projection(text: &str) -> Projection {
    compile::projection(text, &mut substitutions(&[])).unwrap()
}

pub fn write(request_id: u128, action: WriteAction) -> ItemWrite {
    ItemWrite {
        request_id,
        age_ms: 0,
        action,
        condition: None,
        return_values: ReturnValues::None,
        return_on_condition_failure: false,
        want_collection_metrics: false,
    }
}

pub fn put(request_id: u128, attributes: &[(&str, AttributeValue)]) -> ItemWrite {
    write(request_id, WriteAction::Put { item: item(attributes) })
}

/// One replica, and the log it applies.
pub struct Replica {
    pub engine: MemoryEngine,
    pub prefix: KeyPrefix,
    pub partition: Partition,
    pub log: Vec<Bytes>,
    pub clock: Arc<ManualClock>,
}

impl Replica {
    pub fn new(schema: TableSchema) -> Self {
        Self::with(schema, Settings::default())
    }

    pub fn with(schema: TableSchema, settings: Settings) -> Self {
        let descriptor = PartitionDescriptor {
            scope: Scope::new(AccountId::new("111122223333").unwrap(), Region::new("test-1").unwrap()),
            table_name: "t".to_owned(),
            table_id: uuid::Uuid::from_u128(7),
            group: GROUP,
            ordinal: 0,
            schema,
            salt: [3; 16],
            hash_start: 0,
            hash_end: u128::MAX,
        };
        let clock = ManualClock::new(NOW_MS);
        Self::open(descriptor, settings, MemoryEngine::new(1), KeyPrefix::new(GROUP, 0), Vec::new(), clock)
    }

    pub fn open(
        descriptor: PartitionDescriptor,
        settings: Settings,
        engine: MemoryEngine,
        prefix: KeyPrefix,
        log: Vec<Bytes>,
        clock: Arc<ManualClock>,
    ) -> Self {
        let machine = Arc::new(Machine::new(Arc::new(engine.clone()), clock.clone()));
        machine.open(&engine, &prefix).unwrap();
        let partition = Partition::new(descriptor, machine, settings, Arc::default());
        let mut replica = Replica { engine, prefix, partition, log, clock };
        replica.apply_log();
        replica
    }

    pub fn applied(&self) -> usize {
        let bytes = self.engine.get(APPLIED_KEY).unwrap();
        bytes.map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().unwrap()) as usize)
    }

    /// Applies what the log has and the store has not, all in one batch, as consensus does.
    pub fn apply_log(&mut self) -> Vec<Bytes> {
        let applied = self.applied();
        if applied == self.log.len() {
            return Vec::new();
        }
        let mut batch = Batch::new();
        let machine = self.partition.machine();
        let mut results = Vec::new();
        for (at, command) in self.log.iter().enumerate().skip(applied) {
            let at = Applying { index: at as u64 + 1, term: 1 };
            results.push(machine.apply(at, command, &self.prefix, &mut batch).unwrap());
        }
        batch.put(APPLIED_KEY, (self.log.len() as u64).to_be_bytes().to_vec());
        self.engine.write(&batch).unwrap();
        machine.applied(self.log.len() as u64);
        results
    }

    /// Power is lost after the log was synced: the store loses what it had not synced, and is opened again.
    pub fn crash(&mut self) {
        self.engine.crash();
        let old = std::mem::take(&mut self.log);
        *self = Self::open(
            self.partition.descriptor().clone(),
            self.partition.settings,
            self.engine.clone(),
            self.prefix,
            old,
            self.clock.clone(),
        );
    }

    pub fn evaluate(&self, write: &ItemWrite) -> Result<Evaluated, PartitionError> {
        self.partition.evaluate(&self.prefix, write, self.clock.unix_ms())
    }

    /// The whole way of a write.
    pub fn write(&mut self, write: &ItemWrite) -> Result<WriteDone, PartitionError> {
        let key = self.partition.latch_key(write)?;
        let latches = self.partition.latches().clone();
        let _guard = latches.try_lock(&[key]).expect("nobody else writes");
        let evaluated = self.evaluate(write)?;
        let Some(effects) = evaluated.effects else { return Ok(evaluated.done) };
        self.log.push(self.partition.command(vec![effects]));
        let results = self.apply_log();
        self.partition.answers(results.last().unwrap(), vec![(write.request_id, evaluated.done)]).pop().unwrap()
    }

    pub fn read(&self, request: PartitionRequest) -> Result<PartitionResponse, PartitionError> {
        self.partition.read(|| self.prefix, &request)
    }

    pub fn get(&self, h: &str, r: i64) -> Option<Item> {
        let get = GetRead { keys: vec![key_of(h, r)], projection: None, consistent: true };
        match self.read(PartitionRequest::Get(get)).unwrap() {
            PartitionResponse::Get(items) => items.into_iter().next().unwrap().item,
            other => panic!("{other:?}"),
        }
    }

    pub fn page(&self, request: PartitionRequest) -> Result<Page, PartitionError> {
        match self.read(request)? {
            PartitionResponse::Page(page) => Ok(page),
            other => panic!("{other:?}"),
        }
    }

    pub fn scan_all(&self, index: Option<u8>) -> Vec<Item> {
        let mut items = Vec::new();
        let mut scan = scan(index);
        scan.limit = Some(7);
        loop {
            let page = self.page(PartitionRequest::Scan(scan.clone())).unwrap();
            items.extend(page.items);
            match page.last_evaluated {
                Some(start) => scan.exclusive_start = Some(start),
                None => return items,
            }
        }
    }
}

pub fn scan(index: Option<u8>) -> ScanRead {
    ScanRead {
        index,
        filter: None,
        projection: None,
        select: if index.is_some() { Select::Projected } else { Select::All },
        limit: None,
        bytes_max: 1 << 20,
        exclusive_start: None,
        hash_range: (0, u128::MAX),
        consistent: true,
    }
}

pub fn query(h: &str) -> QueryRead {
    QueryRead {
        index: None,
        key_condition: breakwater_items::expression::KeyCondition { hash: s(h), range: None },
        filter: None,
        projection: None,
        select: Select::All,
        forward: true,
        limit: None,
        exclusive_start: None,
        consistent: true,
    }
}
