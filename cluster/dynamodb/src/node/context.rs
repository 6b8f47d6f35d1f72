//! What operations share on a node that mounts DynamoDB.

use crate::router::Router;
use crate::tables::{self, TableRecord};
use breakwater_meta::records::{LEADERS, NODES, NodeRecord, from_stored, leader_key};
use breakwater_meta::{MetaClient, MetaError, Mirror};
use breakwater_storage::Engine;
use breakwater_transport::Transport;
use breakwater_types::{AccountId, NodeKind, Region, Scope, SharedClock, Zone};
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone)]
pub struct FrontSettings {
    pub scope: Arc<Scope>,
    pub zone: Option<Zone>,
    /// Partitions of a new table at least.
    pub partitions_min: u32,
    pub clock: SharedClock,
    /// Where the mirrors keep themselves, on nodes that have to start without the control store.
    pub kept: Option<Arc<dyn Engine>>,
}

type Decoded = (u64, Arc<TableRecord>);

pub struct Context {
    pub settings: FrontSettings,
    pub meta: MetaClient,
    pub tables: Arc<Mirror>,
    pub nodes: Arc<Mirror>,
    pub router: Router,
    pub stats: Stats,
    leaders: Arc<Mirror>,
    /// Decoded records by key, with the revision that they were decoded from.
    decoded: RwLock<HashMap<Vec<u8>, Decoded>>,
}

/// Where leaders tell how much their partitions hold.
pub const STATS: &[u8] = b"cluster/stats/";

pub fn stats_key(group: breakwater_types::GroupId) -> Vec<u8> {
    [STATS, format!("{:016x}", group.0).as_bytes()].concat()
}

/// What a partition's leader told last: items and their bytes.
pub type PartitionStats = (u64, u64);

pub struct Stats(Arc<Mirror>);

impl Stats {
    /// Items and bytes of a table, as its leaders told last; AWS's own are up to six hours old.
    pub fn of(&self, table: &TableRecord) -> (u64, u64) {
        table
            .partitions
            .iter()
            .filter_map(|p| self.0.get(&stats_key(p.group)))
            .filter_map(|entry| from_stored::<PartitionStats>(&entry.value).ok())
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// How long a table that isn't in the mirror is looked for in the control store.
const LOOK_UP: Duration = Duration::from_secs(2);

impl Context {
    fn decode(&self, key: &[u8], revision: u64, value: &[u8]) -> Option<Arc<TableRecord>> {
        if let Some((known, table)) = self.decoded.read().get(key)
            && *known == revision
        {
            return Some(table.clone());
        }
        match TableRecord::from_stored(value) {
            Ok(table) => {
                let table = Arc::new(table);
                self.decoded.write().insert(key.to_vec(), (revision, table.clone()));
                Some(table)
            }
            Err(e) => {
                tracing::error!(error = e, "a table's record can't be read");
                None
            }
        }
    }

    /// The table as the mirror has it: maybe old, but there when the control plane isn't.
    pub fn known_table(&self, scope: &Scope, name: &str) -> Option<Arc<TableRecord>> {
        let key = tables::key(scope, name);
        let entry = self.tables.get(&key)?;
        self.decode(&key, entry.mod_revision, &entry.value)
    }

    /// The tags of the table that an ARN names, also as part of it, as this node has heard of them.
    pub fn tags_of(&self, arn: &str) -> Option<BTreeMap<String, String>> {
        let mut parts = arn.strip_prefix("arn:aws:dynamodb:")?.splitn(3, ':');
        let (region, account) = (Region::new(parts.next()?).ok()?, AccountId::new(parts.next()?).ok()?);
        let name = parts.next()?.strip_prefix("table/")?.split('/').next()?;
        self.known_table(&Scope::new(account, region), name).map(|table| table.tags.clone())
    }

    /// The table, asking the control store where the mirror doesn't know it.
    pub async fn table(&self, scope: &Scope, name: &str) -> Result<Option<Arc<TableRecord>>, MetaError> {
        match self.known_table(scope, name) {
            Some(table) => Ok(Some(table)),
            None => Ok(self.table_now(scope, name).await?.map(|(table, _)| table)),
        }
    }

    /// The table as it is in the control store now, with its revision.
    pub async fn table_now(&self, scope: &Scope, name: &str) -> Result<Option<(Arc<TableRecord>, u64)>, MetaError> {
        let key = tables::key(scope, name);
        let entry = self.meta.get(&key, Instant::now() + LOOK_UP).await?;
        Ok(entry.and_then(|e| Some((self.decode(&key, e.mod_revision, &e.value)?, e.mod_revision))))
    }

    /// Whether a group has ever told who leads it.
    pub fn has_leader(&self, group: breakwater_types::GroupId) -> bool {
        self.leaders.get(&leader_key(group)).is_some()
    }

    /// What this node mirrors of the control store, for its metrics.
    pub fn mirrors(&self) -> Vec<(&'static str, Arc<Mirror>)> {
        vec![("tables", self.tables.clone()), ("nodes", self.nodes.clone()), ("leaders", self.leaders.clone())]
    }

    /// Tells when leaders changed.
    pub fn leaders_changed(&self) -> tokio::sync::watch::Receiver<u64> {
        self.leaders.changed()
    }

    /// How many tables' records are kept decoded.
    pub fn decoded_tables(&self) -> usize {
        self.decoded.read().len()
    }

    /// Lets go of what was learnt of tables and groups that are gone.
    fn forget_gone(&self) {
        self.decoded.write().retain(|key, _| self.tables.get(key).is_some());
        self.router.retain(|group| self.has_leader(group));
    }

    /// What is known here of the control store, for people: its revision, and when it was last heard.
    pub fn mirror_status(&self) -> Value {
        json!({"revision": self.tables.revision(), "age_ms": self.tables.age_ms(), "silent_ms": self.tables.silent_ms(),
               "fresh": self.tables.is_fresh()})
    }

    /// The nodes that can hold replicas.
    pub fn dynamo_nodes(&self) -> Vec<NodeRecord> {
        let decode = |entry: &Arc<breakwater_meta::Entry>| from_stored::<NodeRecord>(&entry.value).ok();
        let nodes = self.nodes.scan_prefix(NODES);
        nodes.iter().filter_map(decode).filter(|n| n.kind == NodeKind::Dynamo).collect()
    }
}

/// DynamoDB's side of a front door.
#[derive(Clone)]
pub struct Front {
    context: Arc<Context>,
}

impl Front {
    /// Begins to follow tables, nodes and leaders; ends when the first answer of the control store is there.
    pub async fn start(settings: FrontSettings, transport: Arc<Transport>, meta: MetaClient) -> Front {
        let prefix = format!("{}/", settings.scope.partition).into_bytes();
        let mirror = |prefix: Vec<u8>| match &settings.kept {
            Some(store) => Mirror::start_kept(meta.clone(), prefix, store.clone(), settings.clock.clone()),
            None => Mirror::start(meta.clone(), prefix),
        };
        let (tables, nodes, leaders) = (mirror(prefix), mirror(NODES.to_vec()), mirror(LEADERS.to_vec()));
        let stats = Mirror::start(meta.clone(), STATS.to_vec());
        let far = Instant::now() + Duration::from_secs(3_600);
        for mirror in [&tables, &nodes, &leaders] {
            mirror.filled(far).await;
        }
        tokio::spawn(follow_addresses(transport.clone(), Arc::downgrade(&nodes)));
        let router = Router::new(transport, settings.zone.clone(), leaders.clone());
        let context =
            Context { settings, meta, tables, nodes, router, stats: Stats(stats), leaders, decoded: RwLock::default() };
        let context = Arc::new(context);
        tokio::spawn(forget(Arc::downgrade(&context)));
        Front { context }
    }

    /// What this front door's audit events tell of calls to items.
    pub fn data_calls(&self) -> breakwater_audit::Describe {
        let context = self.context();
        Arc::new(move |call, pending| crate::data_calls::describe(&context, call, pending))
    }

    pub fn context(&self) -> Arc<Context> {
        self.context.clone()
    }
}

/// At most so often: it looks at everything that is known.
const FORGET_EVERY: Duration = Duration::from_secs(2);

async fn forget(context: Weak<Context>) {
    let Some(mut changed) = context.upgrade().map(|c| c.tables.changed()) else { return };
    while changed.changed().await.is_ok() {
        tokio::time::sleep(FORGET_EVERY).await;
        let Some(context) = context.upgrade() else { return };
        context.forget_gone();
    }
}

/// Tells the transport where nodes are.
async fn follow_addresses(transport: Arc<Transport>, nodes: Weak<Mirror>) {
    let Some(mut changed) = nodes.upgrade().map(|n| n.changed()) else { return };
    loop {
        let Some(mirror) = nodes.upgrade() else { return };
        for entry in mirror.scan_prefix(NODES) {
            match from_stored::<NodeRecord>(&entry.value) {
                Ok(node) if node.name != *transport.name() => transport.set_address(&node.name, node.rpc),
                Ok(_) => {}
                Err(e) => tracing::error!(error = e, "a node's record can't be read"),
            }
        }
        drop(mirror);
        if changed.changed().await.is_err() {
            return;
        }
    }
}
