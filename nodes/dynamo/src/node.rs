//! Builds a data node, runs it, and ends it in order.

use crate::keys;
use crate::settings::Settings;
use crate::usage;
use anyhow::{Context, Result};
use breakwater_audit::{DataEvents, Spool, SpoolMetrics, trails};
use breakwater_aws::{DerivedKeys, FrontBuilder, Server};
use breakwater_consensus::{FirstId, GroupMetrics, Groups, Member};
use breakwater_dynamodb::node::{Front, FrontSettings, Replicas};
use breakwater_iam::{Guard, GuardMetrics, Usages};
use breakwater_identity::{CertificateMetrics, Joining, PeerIdentity};
use breakwater_meta::formats::{self, FormatError};
use breakwater_meta::records::{self, NodeRecord};
use breakwater_meta::{MetaClient, Mirror, MirrorMetrics, Op, Txn};
use breakwater_net::Listener;
use breakwater_node::{Pages, Shutdown};
use breakwater_storage::Engine;
use breakwater_transport::Transport;
use breakwater_types::{Formats, NodeKind, NodeName, Scope, SharedClock};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const START_MAX: Duration = Duration::from_secs(3_600);
/// A node that has run before goes on without the control store after this.
const CONTROL_STORE_WAIT: Duration = Duration::from_secs(1);
/// How long a node that never heard of trails waits for them before it serves.
const TRAILS_WAIT: Duration = Duration::from_secs(10);

pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<()> {
    let pages = Pages::new(json!({"name": settings.common.name, "kind": "dynamo", "zone": settings.common.zone}));
    if let Some(how) = breakwater_dynamodb::BROKEN.or(breakwater_storage::BROKEN) {
        tracing::error!(how, "this node is broken on purpose: it loses data or answers wrongly");
    }
    if breakwater_aws::UNCHECKED {
        tracing::error!("this node is for a benchmark only: it checks neither signatures nor policies");
    }
    let common = &settings.common;
    breakwater_net::set_source(common.address);
    pages.serve(common.at(common.metrics_port)).await.context("metrics port")?;
    pages.serve_admin(&common.run_dir.join("dynamo-node.sock")).context("admin socket")?;
    let node = tokio::select! {
        started = start(&settings, &pages) => started?,
        () = shutdown.asked() => return Ok(()),
    };
    tracing::info!(front = %node.server.local_addr(), "ready");
    shutdown.asked().await;
    pages.not_ready("stopping");
    let bound = Duration::from_millis(settings.common.drain_ms);
    node.groups.hand_over(Instant::now() + bound / 4).await;
    node.server.drain(Duration::from_millis(600), bound / 2).await;
    node.stop.send_replace(true);
    node.groups.shutdown().await;
    Ok(())
}

struct Running {
    groups: Arc<Groups>,
    server: Server,
    stop: tokio::sync::watch::Sender<bool>,
}

async fn start(settings: &Settings, pages: &Pages) -> Result<Running> {
    let common = settings.common.clone();
    let clock = common.clock();
    let joining = Joining {
        dir: common.identity_dir.clone(),
        identity: PeerIdentity {
            name: common.name.clone(),
            kind: NodeKind::Dynamo,
            zone: common.zone.clone(),
            region: common.region.clone(),
        },
        address: common.address,
        join: common.join.iter().map(|j| (j.name.clone(), j.address)).collect(),
        clock: clock.clone(),
    };
    pages.not_ready("waits for a control node to certify this host");
    let certificate = joining.credentials().await?;
    tokio::spawn(joining.keep_renewed(certificate.clone(), None));

    let transport = Transport::new(certificate.clone(), Default::default());
    for control in &common.control {
        transport.set_address(&control.name, control.address);
    }
    let member = {
        let (name, data, identity) = (common.name.clone(), common.data_dir.clone(), common.identity_dir.clone());
        let (engine, hold) = (settings.engine, settings.hold_back_unsynced);
        tokio::task::spawn_blocking(move || Member::open(&name, &data, &identity, FirstId::Random, engine, hold))
            .await??
    };
    let groups = Groups::open(
        member.raft_id,
        transport.clone(),
        member.log.clone(),
        member.store.clone(),
        &[NodeKind::Dynamo],
        Default::default(),
    );
    pages.register(|registry| {
        registry.register_collector(Box::new(CertificateMetrics(certificate.clone())));
        registry.register_collector(Box::new(GroupMetrics::new(&groups)));
    });
    let control: Vec<NodeName> = common.control.iter().map(|c| c.name.clone()).collect();
    let meta = MetaClient::new(transport.clone(), control.clone());
    let keys = Arc::new(DerivedKeys::default());
    keys::load(&*member.store, &keys);
    tokio::spawn(keys::follow(transport.clone(), control.clone(), member.store.clone(), keys.clone()));

    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    let rpc = Listener::bind(common.at(common.rpc_port)).await.context("rpc port")?;
    tokio::spawn(transport.clone().serve(rpc, async move {
        // The sender lives until this node ends.
        let _ = stopping.wait_for(|s| *s).await;
    }));

    // What a node that has run before kept of the control store is enough to begin with.
    pages.not_ready("waits for the control store");
    let scope = Arc::new(Scope::new(common.account.clone(), common.region.clone()));
    let front_settings = FrontSettings {
        scope: scope.clone(),
        zone: common.zone.clone(),
        partitions_min: settings.partitions_min,
        clock: clock.clone(),
        kept: Some(member.store.clone()),
    };
    let front = Front::start(front_settings, transport.clone(), meta.clone()).await;
    let identities =
        Mirror::start_kept(meta.clone(), breakwater_iam::records::PREFIX.to_vec(), member.store.clone(), clock.clone());
    identities.filled(Instant::now() + START_MAX).await;
    let guard = Guard::bounded(identities.clone(), common.region.as_str(), settings.callers.identities_stale_ms_max);
    guard.know_tags({
        let tables = front.context();
        move |arn| tables.tags_of(arn)
    });
    let usages = Usages::new(guard.clone());
    let record = NodeRecord {
        name: common.name.clone(),
        kind: NodeKind::Dynamo,
        zone: common.zone.clone(),
        rpc: SocketAddr::new(common.address, common.rpc_port),
        raft_id: member.raft_id,
    };
    let context = front.context();
    let formats = follow_formats(&common.name, &meta, &member.store, &clock).await?;
    register(record, context.nodes.clone(), meta.clone()).await?;
    let (tables, nodes) = (context.tables.clone(), context.nodes.clone());
    let meta_of_trails = meta.clone();
    let replicas = Replicas::start(groups.clone(), &transport, meta, tables, nodes, clock.clone(), formats.clone());
    tokio::spawn(usage::tell(
        usages.clone(),
        transport.clone(),
        control.clone(),
        formats.clone(),
        settings.callers.uses_every,
    ));
    let (active, spooling) = (formats.clone(), formats);
    context.router.serve_locally(replicas.clone());
    pages.set_status(move || {
        let mut status = replicas.status();
        status["raft_id"] = member.raft_id.into();
        status["control_store"] = context.mirror_status();
        status["format"] = active.active().into();
        status
    });

    pages.not_ready("waits for signing keys");
    while !keys_of_today(&keys, &clock) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let trails = Mirror::start_kept(meta_of_trails, trails::PREFIX.to_vec(), member.store.clone(), clock.clone());
    // Data calls leave events from the first one on; what a node has kept is enough to begin with.
    if !trails.filled(Instant::now() + TRAILS_WAIT).await {
        tracing::warn!("no control node has told of trails yet: until one does, data calls leave no events");
    }
    let data_events = DataEvents::start(trails.clone(), front.data_calls());
    let spool = Spool::start(member.store.clone(), transport.clone(), control, spooling, data_events)?;
    let listener = Listener::bind(common.at(settings.front_port)).await.context("front port")?;
    let ready = pages.clone();
    let mut built = None;
    pages.register(|registry| {
        let mut mirrors = front.context().mirrors();
        mirrors.push(("iam", identities));
        mirrors.push(("trails", trails));
        registry.register_collector(Box::new(MirrorMetrics(mirrors)));
        registry.register_collector(Box::new(GuardMetrics(guard.clone())));
        registry.register_collector(Box::new(SpoolMetrics(spool.clone())));
        built = Some(
            FrontBuilder::new((*scope).clone(), keys, guard, spool, clock, registry)
                .ready(move || ready.is_ready())
                .usage(usages)
                .mount(&breakwater_dynamodb::SERVICE, front.context())
                .build(),
        );
    });
    let door = built.context("the front door was not built")?;
    let server = Server::start_behind(common.trusted_proxies, listener, door, Some(certificate.front_server()?))?;
    pages.ready();
    Ok(Running { groups, server, stop })
}

/// Refused where the region has moved on to a format that this build doesn't read. A node that has run before starts
/// on what it kept, and declares itself when the control store is there.
async fn follow_formats(
    me: &NodeName,
    meta: &MetaClient,
    store: &Arc<dyn Engine>,
    clock: &SharedClock,
) -> Result<Arc<Formats>> {
    let known = Mirror::start_kept(meta.clone(), formats::FORMATS.to_vec(), store.clone(), clock.clone());
    let has_run = formats::is_readable(&known)?;
    let wait = if has_run { CONTROL_STORE_WAIT } else { START_MAX };
    match formats::declare(meta, me, Instant::now() + wait).await {
        Ok(()) => {}
        Err(FormatError::Meta(e)) if has_run => {
            tracing::warn!(error = %e, "the control store is away: on with the format that was kept");
            let (meta, me) = (meta.clone(), me.clone());
            tokio::spawn(async move {
                loop {
                    match formats::declare(&meta, &me, Instant::now() + START_MAX).await {
                        Ok(()) => return,
                        Err(FormatError::Meta(e)) => tracing::warn!(error = %e, "what this build reads isn't declared"),
                        // What it can't read its replicas refuse, and stop.
                        Err(e) => return tracing::error!(error = %e, "this build is too old"),
                    }
                }
            });
        }
        Err(e) => return Err(e.into()),
    }
    let active = Arc::new(Formats::default());
    formats::follow(known, active.clone());
    Ok(active)
}

/// Tells the control store who and where this node is. It must know before replicas start, unless it was told the same
/// before: then nobody waits for it.
async fn register(record: NodeRecord, nodes: Arc<Mirror>, meta: MetaClient) -> Result<()> {
    let key = records::node_key(&record.name);
    let value = records::to_stored(&record).map_err(anyhow::Error::msg)?;
    let is_known = {
        let key = key.clone();
        move |nodes: &Mirror| {
            let known = nodes.get(&key).and_then(|e| records::from_stored::<NodeRecord>(&e.value).ok());
            known.as_ref() == Some(&record)
        }
    };
    let txn = Txn { success: vec![Op::put(key, value)], ..Txn::default() };
    if !is_known(&nodes) {
        meta.txn(txn, Instant::now() + START_MAX).await?;
        return Ok(());
    }
    // What was kept may be older than what the control store knows.
    tokio::spawn(async move {
        while !nodes.is_fresh() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        if !is_known(&nodes)
            && let Err(e) = meta.txn(txn, Instant::now() + START_MAX).await
        {
            tracing::error!(error = %e, "this node's record could not be put right");
        }
    });
    Ok(())
}

/// Keys kept from before a long rest are of days that are over.
fn keys_of_today(keys: &DerivedKeys, clock: &SharedClock) -> bool {
    let Ok(now) = time::OffsetDateTime::from_unix_timestamp(clock.unix_s()) else { return false };
    let today = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
    keys.last_date().is_some_and(|last| last >= today)
}
