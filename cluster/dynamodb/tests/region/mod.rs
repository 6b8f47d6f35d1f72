//! A region in one process: one control node, three data nodes in three zones, real Raft, real mTLS over loopback,
//! stores in memory and logs on disk. Operations are invoked as the front door does it, without HTTP and signatures.
#![allow(dead_code)]

use anyhow::{Context as _, Result};
use breakwater_aws::{AwsError, Call, Principal, RequestId, RootOnly};
use breakwater_consensus::{Groups, raft_id_of};
use breakwater_dynamodb::node::{Context, Front, FrontSettings, Replicas};
use breakwater_dynamodb::tables::{self, TableRecord, TableStatus};
use breakwater_identity::{Ca, Credentials, PeerIdentity, new_request};
use breakwater_meta::records::{LEADERS, NODES, NodeRecord, leader_key, node_key, to_stored};
use breakwater_meta::{Compare, MetaClient, MetaMachine, MetaService, Mirror, Op, Txn};
use breakwater_net::Listener;
use breakwater_storage::{DevKeyFile, LogOptions, LogStore, MemoryEngine};
use breakwater_transport::Transport;
use breakwater_types::{
    AccountId, GroupId, NodeKind, NodeName, Region as RegionName, Scope, SharedClock, SystemClock, Zone,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Region {
    pub context: Arc<Context>,
    scope: Arc<Scope>,
    clock: SharedClock,
    groups: Vec<Arc<Groups>>,
    dir: PathBuf,
}

struct Member {
    transport: Arc<Transport>,
    groups: Arc<Groups>,
    record: NodeRecord,
}

fn patience() -> Instant {
    Instant::now() + PATIENCE
}

async fn member(
    ca: &Ca,
    clock: &SharedClock,
    dir: &std::path::Path,
    name: &str,
    kind: NodeKind,
    zone: &str,
) -> Result<Member> {
    let name: NodeName = name.parse()?;
    let zone: Zone = zone.parse()?;
    let identity =
        PeerIdentity { name: name.clone(), kind, zone: Some(zone.clone()), region: RegionName::new("us-east-1")? };
    let (key, request) = new_request()?;
    let address = std::net::IpAddr::from([127, 0, 0, 1]);
    let certificate = ca.sign(&request, &identity, address)?;
    let credentials = Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone())?;
    let transport = Transport::new(credentials, Default::default());
    let listener = Listener::bind((address, 0).into()).await?;
    let rpc = listener.local_addr()?;
    tokio::spawn(transport.clone().serve(listener, std::future::pending()));
    let data = dir.join(name.as_str());
    std::fs::create_dir_all(&data)?;
    let provider = Arc::new(DevKeyFile::open_or_create(data.join("dev.key"))?);
    let log = LogStore::open(&data.join("log"), LogOptions::new(provider))?;
    let raft_id = raft_id_of(&name, 1);
    let groups =
        Groups::open(raft_id, transport.clone(), log, Arc::new(MemoryEngine::new(1)), &[kind], Default::default());
    Ok(Member { transport, groups, record: NodeRecord { name, kind, zone: Some(zone), rpc, raft_id } })
}

impl Region {
    /// `partitions_min`: of every table.
    pub async fn start(partitions_min: u32) -> Result<Region> {
        Self::start_with_leftovers(partitions_min, &[]).await
    }

    /// Every data node has stored something of these groups before.
    pub async fn start_with_leftovers(partitions_min: u32, leftovers: &[GroupId]) -> Result<Region> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("breakwater-region-{}-{number}", std::process::id()));
        let clock = SystemClock::shared();
        let ca = Ca::generate("us-east-1", clock.clone())?;
        let control = member(&ca, &clock, &dir, "control-node-a1", NodeKind::Control, "az-a").await?;
        let mut data = Vec::new();
        for zone in ["a", "b", "c"] {
            let name = format!("dynamo-node-{zone}1");
            data.push(member(&ca, &clock, &dir, &name, NodeKind::Dynamo, &format!("az-{zone}")).await?);
        }
        let all: Vec<NodeRecord> = std::iter::once(&control).chain(&data).map(|member| member.record.clone()).collect();
        for member in std::iter::once(&control).chain(&data) {
            for peer in all.iter().filter(|peer| peer.name != member.record.name) {
                member.transport.set_address(&peer.name, peer.rpc);
            }
        }
        let machine = Arc::new(MetaMachine::default());
        let founders = BTreeMap::from([(control.record.raft_id, control.record.name.clone())]);
        let meta_group = control.groups.start(GroupId::META, machine.clone(), founders).await?;
        MetaService::start(meta_group, machine, &control.transport, clock.clone());
        let client = |member: &Member| MetaClient::new(member.transport.clone(), vec![control.record.name.clone()]);

        let meta = client(&control);
        let mut txn = Txn::default();
        for record in &all {
            let value = to_stored(record).map_err(anyhow::Error::msg)?;
            txn.success.push(Op::put(node_key(&record.name), value));
        }
        meta.txn(txn, patience()).await?;

        for member in &data {
            for id in leftovers {
                let machine = Arc::new(MetaMachine::default());
                let alone = BTreeMap::from([(member.record.raft_id, member.record.name.clone())]);
                let group = member.groups.start(*id, machine, alone).await?;
                let until = patience();
                while group.lead().await.is_err() {
                    anyhow::ensure!(Instant::now() < until, "{id} is led by nobody");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                member.groups.stop(*id).await;
            }
            anyhow::ensure!(member.groups.stored()?.iter().eq(leftovers), "what is stored isn't found");
            let meta = client(member);
            let mirror = Mirror::start(meta.clone(), tables::ALL.to_vec());
            let nodes = Mirror::start(meta.clone(), NODES.to_vec());
            Replicas::start(
                member.groups.clone(),
                &member.transport,
                meta,
                mirror,
                nodes,
                clock.clone(),
                Arc::default(),
            );
        }
        let scope = Arc::new(Scope::new(AccountId::new("111122223333")?, RegionName::new("us-east-1")?));
        let settings = FrontSettings {
            scope: scope.clone(),
            zone: Some("az-b".parse()?),
            partitions_min,
            clock: clock.clone(),
            kept: None,
        };
        let front = data.get(1).context("a data node")?;
        let front = Front::start(settings, front.transport.clone(), client(front)).await;
        tokio::spawn(table_states(meta, scope.clone()));
        let groups = std::iter::once(control.groups).chain(data.into_iter().map(|member| member.groups)).collect();
        Ok(Region { context: front.context(), scope, clock, groups, dir })
    }

    fn call_of(&self) -> Call {
        Call {
            request_id: RequestId::random(),
            scope: self.scope.clone(),
            principal: Arc::new(Principal {
                access_key_id: "AKIA".to_owned(),
                account: self.scope.account.clone(),
                arn: "arn:aws:iam::111122223333:user/administrator".to_owned(),
                identity: breakwater_aws::Identity::Root,
                session: None,
            }),
            deadline: Instant::now() + Duration::from_secs(10),
            source: ([127, 0, 0, 1], 1).into(),
            secure: false,
            user_agent: None,
            received_unix_ms: self.clock.unix_ms(),
            clock: self.clock.clone(),
            span: tracing::Span::none(),
            audit: None,
        }
    }

    pub async fn raw(&self, operation: &str, body: String) -> Result<Value, AwsError> {
        let entry = breakwater_dynamodb::SERVICE
            .operations
            .iter()
            .find(|entry| entry.name == operation)
            .unwrap_or_else(|| panic!("no operation {operation}"));
        let call = self.call_of();
        let answer = entry.invoke(&self.context, &call, body.into_bytes().into(), &RootOnly).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&answer).unwrap_or_else(|e| panic!("{operation} answered no JSON: {e}")))
    }

    pub async fn ask(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.raw(operation, body.to_string()).await
    }

    /// What must succeed.
    pub async fn done(&self, operation: &str, body: Value) -> Value {
        match self.ask(operation, body.clone()).await {
            Ok(answer) => answer,
            Err(e) => panic!("{operation} {body}: {e} ({:?})", e.cause),
        }
    }

    /// Code and message of what must fail.
    pub async fn refused(&self, operation: &str, body: Value) -> (String, String) {
        match self.ask(operation, body.clone()).await {
            Ok(answer) => panic!("{operation} {body} was done: {answer}"),
            Err(e) => (e.code.into_owned(), e.message.into_owned()),
        }
    }

    pub async fn until_active(&self, table: &str) {
        let until = patience();
        loop {
            let described = self.done("DescribeTable", serde_json::json!({"TableName": table})).await;
            if described["Table"]["TableStatus"] == "ACTIVE" {
                return;
            }
            assert!(Instant::now() < until, "{table} doesn't become active: {described}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn create(&self, body: Value) {
        self.done("CreateTable", body.clone()).await;
        self.until_active(body["TableName"].as_str().unwrap_or_default()).await;
    }

    pub async fn until_gone(&self, table: &str) {
        let until = patience();
        while self.ask("DescribeTable", serde_json::json!({"TableName": table})).await.is_ok() {
            assert!(Instant::now() < until, "{table} doesn't go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until the data nodes lead so many groups.
    pub async fn until_led(&self, counts: &[usize]) {
        let until = patience() + PATIENCE;
        loop {
            let led = |groups: &Arc<Groups>| groups.all().iter().filter(|group| group.is_leader()).count();
            let led: Vec<usize> = self.groups[1..].iter().map(led).collect();
            if led == counts {
                return;
            }
            assert!(Instant::now() < until, "leaders stay as {led:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until every data node stores these groups and no others.
    pub async fn until_stored(&self, groups: &[u64]) {
        let until = patience() + PATIENCE;
        loop {
            let stored: Vec<Vec<u64>> =
                self.groups[1..].iter().map(|g| g.stored().unwrap().iter().map(|id| id.0).collect()).collect();
            if stored.iter().all(|s| s == groups) {
                return;
            }
            assert!(Instant::now() < until, "{stored:?} stay stored");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until the front door knows only of these groups and of their tables.
    pub async fn until_forgotten(&self, groups: &[u64]) {
        let until = patience();
        loop {
            let known: Vec<u64> = self.context.router.learnt().iter().map(|id| id.0).collect();
            if known.iter().all(|id| groups.contains(id)) && self.context.decoded_tables() == 1 {
                return;
            }
            assert!(Instant::now() < until, "{known:?} stay known");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All replicas of the data node that leads most partitions end. Says how many it led.
    pub async fn lose_leader(&self) -> usize {
        let led = |groups: &Groups| groups.all().iter().filter(|group| group.is_leader()).count();
        let (_, data) = self.groups.split_first().expect("the control node's come first");
        let most = data.iter().max_by_key(|groups| led(groups)).expect("data nodes");
        let lost = led(most);
        most.shutdown().await;
        lost
    }

    pub async fn stop(self) {
        for groups in &self.groups {
            groups.shutdown().await;
        }
        // Kept after a failed test, which doesn't come here.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What the control node's reconciler does: tables become active when their partitions lead, and go when deleted.
async fn table_states(meta: MetaClient, scope: Arc<Scope>) {
    let mirror = Mirror::start(meta.clone(), tables::prefix(&scope));
    let leaders = Mirror::start(meta.clone(), LEADERS.to_vec());
    loop {
        for entry in mirror.scan_prefix(&tables::prefix(&scope)) {
            let Ok(mut table) = TableRecord::from_stored(&entry.value) else { continue };
            let led = table.partitions.iter().all(|p| leaders.get(&leader_key(p.group)).is_some());
            let change = match table.status {
                TableStatus::Creating if led => {
                    table.status = TableStatus::Active;
                    table.to_stored().ok().map(|value| Op::put(entry.key.to_vec(), value))
                }
                TableStatus::Deleting => Some(Op::Delete { key: entry.key.to_vec() }),
                TableStatus::Creating | TableStatus::Active => None,
            };
            if let Some(change) = change {
                let unchanged = Compare::ModRevision(entry.key.to_vec(), entry.mod_revision);
                let txn = Txn { compares: vec![unchanged], success: vec![change], failure: vec![] };
                // Tried again by the next turn.
                let _ = meta.txn(txn, patience()).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
