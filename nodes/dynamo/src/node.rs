//! Builds a data node, runs it, and ends it in order.

use crate::keys;
use crate::settings::Settings;
use anyhow::{Context, Result};
use breakwater_aws::{AdministratorOnly, DerivedKeys, FrontBuilder, Server};
use breakwater_consensus::{GroupMetrics, Groups, Member};
use breakwater_dynamodb::node::{Front, FrontSettings, Replicas};
use breakwater_identity::{CertificateMetrics, Joining, PeerIdentity};
use breakwater_meta::records::{self, NodeRecord};
use breakwater_meta::{MetaClient, MirrorMetrics, Op, Txn};
use breakwater_net::Listener;
use breakwater_node::{Pages, Shutdown};
use breakwater_transport::Transport;
use breakwater_types::{NodeKind, NodeName, Scope};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const START_MAX: Duration = Duration::from_secs(3_600);

pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<()> {
    let pages = Pages::new(json!({"name": settings.common.name, "kind": "dynamo", "zone": settings.common.zone}));
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
        tokio::task::spawn_blocking(move || Member::open(&name, &data, &identity, engine, hold)).await??
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
    tokio::spawn(keys::follow(transport.clone(), control, member.store.clone(), keys.clone()));

    let (stop, mut stopping) = tokio::sync::watch::channel(false);
    let rpc = Listener::bind(common.at(common.rpc_port)).await.context("rpc port")?;
    tokio::spawn(transport.clone().serve(rpc, async move {
        // The sender lives until this node ends.
        let _ = stopping.wait_for(|s| *s).await;
    }));

    pages.not_ready("waits for the control store");
    let record = NodeRecord {
        name: common.name.clone(),
        kind: NodeKind::Dynamo,
        zone: common.zone.clone(),
        rpc: SocketAddr::new(common.address, common.rpc_port),
        raft_id: member.raft_id,
    };
    let value = records::to_stored(&record).map_err(anyhow::Error::msg)?;
    let txn = Txn { success: vec![Op::put(records::node_key(&common.name), value)], ..Txn::default() };
    meta.txn(txn, Instant::now() + START_MAX).await?;

    let scope = Arc::new(Scope::new(common.account.clone(), common.region.clone()));
    let front_settings = FrontSettings {
        scope: scope.clone(),
        zone: common.zone.clone(),
        partitions_min: settings.partitions_min,
        clock: clock.clone(),
    };
    let front = Front::start(front_settings, transport.clone(), meta.clone()).await;
    let tables = front.context().tables.clone();
    let replicas = Replicas::start(groups.clone(), &transport, meta, tables, clock.clone());
    pages.set_status(move || replicas.status());

    pages.not_ready("waits for signing keys");
    while keys.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listener = Listener::bind(common.at(settings.front_port)).await.context("front port")?;
    let ready = pages.clone();
    let mut built = None;
    pages.register(|registry| {
        registry.register_collector(Box::new(MirrorMetrics(front.context().mirrors())));
        built = Some(
            FrontBuilder::new((*scope).clone(), keys, Arc::new(AdministratorOnly), clock, registry)
                .ready(move || ready.is_ready())
                .mount(&breakwater_dynamodb::SERVICE, front.context())
                .build(),
        );
    });
    let server = Server::start(listener, built.context("the front door was not built")?, None)?;
    pages.ready();
    Ok(Running { groups, server, stop })
}
