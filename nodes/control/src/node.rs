//! Builds a control node, runs it, and ends it in order.

use crate::accounts;
use crate::cloudtrail::delivery::{Delivery, Periods};
use crate::console::Console;
use crate::credentials;
use crate::iam::passwords::root;
use crate::join::MetaLedger;
use crate::members;
use crate::session_keys;
use crate::settings::Settings;
use crate::signing_keys::KeysHandler;
use crate::tables;
use crate::{blobs, cloudtrail, console, iam, instances, sts, usage};
use anyhow::{Context, Result};
use breakwater_audit::{AuditMetrics, AuditService, DataEvents, Spool, SpoolMetrics, outbox, trails};
use breakwater_aws::{FrontBuilder, SecretKeys, Server};
use breakwater_blobs::BlobMetrics;
use breakwater_consensus::{FirstId, Group, GroupMetrics, Groups, Member, raft_id_of};
use breakwater_dynamodb as dynamodb;
use breakwater_iam::{Guard, GuardMetrics, Usages};
use breakwater_identity::{CertificateMetrics, JoinService, Joining, PeerIdentity, load_ca};
use breakwater_meta::formats;
use breakwater_meta::records::{self, NodeRecord};
use breakwater_meta::{MetaClient, MetaMachine, MetaService, Mirror, MirrorMetrics, Op, Txn};
use breakwater_net::Listener;
use breakwater_node::{Pages, Shutdown};
use breakwater_transport::{Kind, Transport};
use breakwater_types::formats::{EVENTS, Formats};
use breakwater_types::{GroupId, NodeKind, NodeName, Scope};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a control node waits for at most before it says that it can't start.
const START_MAX: Duration = Duration::from_secs(3_600);
const FORMAT_EVERY: Duration = Duration::from_secs(1);

pub async fn run(settings: Settings, shutdown: Shutdown) -> Result<()> {
    if let Some(how) = dynamodb::BROKEN.or(breakwater_storage::BROKEN) {
        tracing::error!(how, "this node is broken on purpose: it loses data or answers wrongly");
    }
    let common = settings.common.clone();
    let clock = common.clock();
    let pages = Pages::new(json!({"name": common.name, "kind": "control", "zone": common.zone}));
    breakwater_net::set_source(common.address);
    pages.serve(common.at(common.metrics_port)).await.context("metrics port")?;
    pages.serve_admin(&common.run_dir.join("control-node.sock")).context("admin socket")?;

    let joining = Joining {
        dir: common.identity_dir.clone(),
        identity: PeerIdentity {
            name: common.name.clone(),
            kind: NodeKind::Control,
            zone: common.zone.clone(),
            region: common.region.clone(),
        },
        address: common.address,
        join: vec![],
        clock: clock.clone(),
    };
    let ca = Arc::new(load_ca(&joining)?.with_front_names(&settings.front_names)?);
    let certificate = joining.control_credentials(&ca)?;
    tokio::spawn(joining.clone().keep_renewed(certificate.clone(), Some(ca.clone())));

    let transport = Transport::new(certificate.clone(), Default::default());
    for control in &common.control {
        transport.set_address(&control.name, control.address);
    }
    let member = {
        let (name, data, identity) = (common.name.clone(), common.data_dir.clone(), common.identity_dir.clone());
        let (engine, hold) = (settings.engine, settings.hold_back_unsynced);
        tokio::task::spawn_blocking(move || Member::open(&name, &data, &identity, FirstId::Founding, engine, hold))
            .await??
    };
    let groups = Groups::open(
        member.raft_id,
        transport.clone(),
        member.log.clone(),
        member.store.clone(),
        &[NodeKind::Control],
        Default::default(),
    );
    pages.register(|registry| {
        registry.register_collector(Box::new(CertificateMetrics(certificate.clone())));
        registry.register_collector(Box::new(GroupMetrics::new(&groups)));
    });
    let machine = Arc::new(MetaMachine::default());
    let founders: BTreeMap<u64, NodeName> =
        common.control.iter().map(|c| (raft_id_of(&c.name, 1), c.name.clone())).collect();
    let meta_group = groups.start(GroupId::META, machine.clone(), founders.clone()).await?;
    pages.set_status({
        let (groups, raft_id) = (groups.clone(), member.raft_id);
        move || {
            let name = |id| if id == GroupId::AUDIT { "audit" } else { "meta" };
            let mut status = dynamodb::node::status_of(&groups, |id| name(id).to_owned());
            status["raft_id"] = raft_id.into();
            status
        }
    });
    MetaService::start(meta_group.clone(), machine, &transport, clock.clone());
    let meta = MetaClient::new(transport.clone(), nearest_first(&common.name, &common.control));

    let (stop, stopping) = tokio::sync::watch::channel(false);
    let ended = |mut stopping: tokio::sync::watch::Receiver<bool>| async move {
        // The sender lives until this node ends.
        let _ = stopping.wait_for(|s| *s).await;
    };
    let rpc = Listener::bind(common.at(common.rpc_port)).await.context("rpc port")?;
    tokio::spawn(transport.clone().serve(rpc, ended(stopping.clone())));
    let join =
        JoinService::new(&common.identity_dir, common.region.clone(), ca.clone(), Arc::new(MetaLedger(meta.clone())))?;
    let join_listener = Listener::bind(common.at(settings.join_port)).await.context("join port")?;
    {
        let (certificate, ended) = (certificate.clone(), ended(stopping.clone()));
        tokio::spawn(async move { join.serve(join_listener, &certificate, ended).await });
    }

    let format = Arc::new(Formats::default());
    let audit = AuditService::start(&transport, format.clone(), clock.clone());
    let known_formats = Mirror::start(meta.clone(), formats::FORMATS.to_vec());
    formats::follow(known_formats.clone(), format.clone());
    let events = Mirror::start(meta.clone(), outbox::PREFIX.to_vec());
    let access_keys = Mirror::start(meta.clone(), credentials::PREFIX.to_vec());
    let sealing_keys = Mirror::start(meta.clone(), session_keys::PREFIX.to_vec());
    let keys_known = session_keys::Keeper::rotation(meta.clone());
    let identities = Mirror::start(meta.clone(), breakwater_iam::records::PREFIX.to_vec());
    let start = async {
        pages.not_ready("waits for a quorum of control nodes");
        let root = credentials::load_first(&common.identity_dir, &meta, &clock, Instant::now() + START_MAX).await?;
        let record = NodeRecord {
            name: common.name.clone(),
            kind: NodeKind::Control,
            zone: common.zone.clone(),
            rpc: SocketAddr::new(common.address, common.rpc_port),
            raft_id: member.raft_id,
        };
        formats::declare(&meta, &common.name, Instant::now() + START_MAX).await?;
        let value = records::to_stored(&record).map_err(anyhow::Error::msg)?;
        let txn = Txn { success: vec![Op::put(records::node_key(&common.name), value)], ..Txn::default() };
        meta.txn(txn, Instant::now() + START_MAX).await?;
        pages.not_ready("waits for the control store's contents");
        session_keys::make_first(&meta, Instant::now() + START_MAX).await?;
        // A control node that lags behind may have filled them: nobody may be refused, or let in, because of that.
        let now = meta.revision(Instant::now() + START_MAX).await?;
        for mirror in [&access_keys, &identities, &known_formats, &sealing_keys, &keys_known] {
            let shown = mirror.wait_for(now, Instant::now() + START_MAX).await;
            anyhow::ensure!(shown, "the control store's contents didn't arrive");
        }
        let console_keys = console::keys(&meta, Instant::now() + START_MAX).await?;
        anyhow::Ok((console_keys, root))
    };
    let (console_keys, root) = tokio::select! {
        started = start => started?,
        () = shutdown.asked() => return Ok(()),
    };

    let keys = Arc::new(SecretKeys::new(credentials::read(&access_keys)));
    tokio::spawn(credentials::follow(access_keys.clone(), keys.clone()));
    session_keys::Keeper {
        group: meta_group.clone(),
        meta: meta.clone(),
        mirror: sealing_keys.clone(),
        rotation: keys_known,
        keys: keys.clone(),
        clock: clock.clone(),
        formats: format.clone(),
        period_s: settings.session_key_period_s,
    }
    .start();
    let handler = KeysHandler {
        group: meta_group.clone(),
        session_keys: sealing_keys,
        mirror: access_keys,
        region: common.region.clone(),
        clock: clock.clone(),
    };
    transport.register(Kind::Keys, &[NodeKind::Dynamo], Arc::new(handler));

    if let Some((account, password)) = root {
        tokio::spawn(root::load_first(meta.clone(), clock.clone(), format.clone(), account, password));
    }
    accounts::serve(&pages, &meta, &clock, &format);
    instances::serve(&pages, &meta, &format, &common.region);
    let scope = Arc::new(Scope::new(common.account.clone(), common.region.clone()));
    let front_settings = dynamodb::node::FrontSettings {
        scope: scope.clone(),
        zone: common.zone.clone(),
        partitions_min: settings.partitions_min,
        clock: clock.clone(),
        kept: None,
    };
    let guard = Guard::bounded(identities.clone(), common.region.as_str(), settings.callers.identities_stale_ms_max);
    let usages = Usages::new(guard.clone());
    transport.register(Kind::Usage, &[NodeKind::Dynamo], Arc::new(usage::UsageHandler(usages.clone())));
    tokio::spawn(usage::keep(usages.clone(), meta.clone(), format.clone(), settings.callers.uses_every));
    let iam = Arc::new(iam::Context {
        meta: meta.clone(),
        mirror: identities.clone(),
        clock: clock.clone(),
        keys: keys.clone(),
        formats: format.clone(),
        issuers: Arc::new(sts::issuers::Issuers::new()),
    });
    let front = dynamodb::node::Front::start(front_settings, transport.clone(), meta.clone()).await;
    guard.know_tags({
        let tables = front.context();
        move |arn| tables.tags_of(arn)
    });
    tokio::spawn(tables::reconcile(meta_group.clone(), front.clone()));
    tokio::spawn(raise_format(meta_group.clone(), meta.clone()));
    tokio::spawn(members::follow(meta_group.clone(), front.context().nodes.clone()));
    tokio::spawn(keep_events(audit.clone(), groups.clone(), founders, format.clone(), front.context().nodes.clone()));
    tokio::spawn(audit.clone().empty_outbox(meta.clone(), events));
    tokio::spawn(audit.clone().tidy(settings.audit_bytes_max));
    let control = common.control.iter().map(|c| c.name.clone()).collect();
    let spool = {
        let (store, transport, format) = (member.store.clone(), transport.clone(), format.clone());
        let wanted = Mirror::start(meta.clone(), trails::PREFIX.to_vec());
        // Data calls leave events from the first one on.
        wanted.filled(Instant::now() + START_MAX).await;
        Spool::start(store, transport, control, format, DataEvents::start(wanted, front.data_calls()))?
    };
    spool.heed(audit.outbox_is_full());
    let hosts = instances::Instances {
        group: meta_group.clone(),
        mirror: identities.clone(),
        keys: keys.clone(),
        recorder: spool.clone(),
        region: common.region.clone(),
        account: common.account.clone(),
        clock: clock.clone(),
        lasts_s: i64::from(settings.instance_credentials_s),
        renewals: instances::Renewals::new(Duration::from_secs(settings.instance_credentials_s.into())),
    };
    transport.register(Kind::Instance, &[NodeKind::Agent], Arc::new(hosts));
    let blobs = blobs::start(&settings, &transport, &meta, front.context().nodes.clone(), format.clone()).await?;
    cloudtrail::exports::serve(&pages, &blobs);
    let console = Console::new(iam.clone(), spool.clone(), common.region.clone(), console_keys);
    let periods = Periods {
        files: settings.trail_files_every,
        digests: settings.trail_digests_every,
        stragglers: settings.trail_stragglers,
    };
    let region = common.region.clone();
    let delivery = Delivery::new(audit.clone(), blobs.clone(), meta.clone(), clock.clone(), region, periods);
    tokio::spawn(delivery.run());
    let (audit_metrics, trail_formats) = (AuditMetrics(audit.clone()), format.clone());
    let trail = cloudtrail::Context { audit, clock: clock.clone(), meta: meta.clone(), formats: trail_formats };

    let server = {
        let listener = Listener::bind(common.at(settings.front_port)).await.context("front port")?;
        let ready = pages.clone();
        let mut built = None;
        pages.register(|registry| {
            let mut mirrors = front.context().mirrors();
            mirrors.push(("iam", identities));
            registry.register_collector(Box::new(MirrorMetrics(mirrors)));
            registry.register_collector(Box::new(GuardMetrics(guard.clone())));
            registry.register_collector(Box::new(SpoolMetrics(spool.clone())));
            registry.register_collector(Box::new(audit_metrics));
            registry.register_collector(Box::new(BlobMetrics(blobs.clone())));
            let door = FrontBuilder::new((*scope).clone(), keys, guard, spool, clock, registry)
                .ready(move || ready.is_ready())
                .usage(usages)
                .mount(&dynamodb::SERVICE, front.context())
                .mount(&iam::SERVICE, iam.clone())
                .mount(&sts::SERVICE, iam)
                .mount(&cloudtrail::SERVICE, Arc::new(trail))
                .route(console::PATH, console.route())
                .build();
            built = Some(door);
        });
        let door = built.context("the front door was not built")?;
        console.behind(&door);
        Server::start_behind(common.trusted_proxies, listener, door, Some(certificate.front_server()?))?
    };
    pages.ready();
    tracing::info!(front = %server.local_addr(), "ready");

    shutdown.asked().await;
    pages.not_ready("stopping");
    let bound = Duration::from_millis(common.drain_ms);
    groups.hand_over(Instant::now() + bound / 4).await;
    server.drain(Duration::from_millis(600), bound / 2).await;
    stop.send_replace(true);
    groups.shutdown().await;
    Ok(())
}

/// Starts this node's replica of the audit group when every node of the region knows of events, and keeps its members.
async fn keep_events(
    audit: Arc<AuditService>,
    groups: Arc<Groups>,
    founders: BTreeMap<u64, NodeName>,
    format: Arc<Formats>,
    nodes: Arc<Mirror>,
) {
    while format.active() < EVENTS {
        tokio::time::sleep(FORMAT_EVERY / 10).await;
    }
    loop {
        match audit.start_group(&groups, founders.clone()).await {
            Ok(group) => return members::follow(group, nodes).await,
            Err(e) => tracing::error!(error = %e, "this node can't keep audit events for now"),
        }
        tokio::time::sleep(FORMAT_EVERY).await;
    }
}

/// Where this node leads the control store, it makes the newest format active that all nodes read.
async fn raise_format(meta_group: Arc<Group>, meta: MetaClient) {
    loop {
        if meta_group.is_leader()
            && let Err(e) = formats::raise(&meta, Instant::now() + Duration::from_secs(2)).await
        {
            tracing::warn!(error = %e, "the format stays as it is for now");
        }
        tokio::time::sleep(FORMAT_EVERY).await;
    }
}

/// This node, then the others.
fn nearest_first(me: &NodeName, control: &[breakwater_node::Named]) -> Vec<NodeName> {
    let mut names: Vec<NodeName> = control.iter().map(|c| c.name.clone()).collect();
    names.sort_by_key(|name| name != me);
    names
}
