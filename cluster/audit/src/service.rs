//! The group's side: takes events from all nodes, and from the control store's outbox.

use crate::arrivals::{self, Arrivals};
use crate::lookup::{Lookup, Page, RETENTION_MS};
use crate::machine::{AuditMachine, Command, before_day, day, from_format_4, to_format_4};
use crate::segments::{self, Segments};
use crate::steady::Steadiness;
use crate::{Category, EVENTS_MAX, outbox, some_of};
use breakwater_aws::Event;
use breakwater_consensus::{Group, Groups, ProposeError, ReadError, StartError};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{MetaClient, Mirror, Op, Txn};
use breakwater_storage::{KeyRange, StorageError};
use breakwater_transport::{Handler, Inbound, Kind, Refusal, Transport};
use breakwater_types::formats::{Formats, TRAILS};
use breakwater_types::{AccountId, GroupId, NodeKind, NodeName, RaftNodeId, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Messages that wait for a quorum at the same time.
const PROPOSALS_MAX: usize = 64;
const TXN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);
const TIDY_EVERY: Duration = Duration::from_secs(10);
/// Events in the outbox beyond which changes of the control plane are told to wait.
const OUTBOX_MAX: usize = 10_000;

/// What a node that sent events is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Kept,
    NotLeader(Option<NodeName>),
    Busy(String),
}

pub struct AuditService {
    /// From when on every node of the region knows of it.
    group: OnceLock<(Arc<Group>, Arc<RwLock<Segments>>)>,
    proposals: Semaphore,
    formats: Arc<Formats>,
    clock: SharedClock,
    outbox_is_full: Arc<AtomicBool>,
    /// No trail waits for an event up to this number.
    delivered: AtomicU64,
}

impl AuditService {
    /// Answers nodes that send events; [`AuditService::start_group`] lets it keep them.
    pub fn start(transport: &Transport, formats: Arc<Formats>, clock: SharedClock) -> Arc<Self> {
        let proposals = Semaphore::new(PROPOSALS_MAX);
        let service = Arc::new(AuditService {
            group: OnceLock::new(),
            proposals,
            formats,
            clock,
            outbox_is_full: Arc::default(),
            // Nothing is known of trails yet.
            delivered: AtomicU64::new(0),
        });
        transport.register(Kind::Audit, &[NodeKind::Control, NodeKind::Dynamo], service.clone());
        service
    }

    pub async fn start_group(
        &self,
        groups: &Arc<Groups>,
        founders: BTreeMap<RaftNodeId, NodeName>,
    ) -> Result<Arc<Group>, StartError> {
        let machine = Arc::new(AuditMachine::new(groups.store().clone()));
        let segments = machine.segments.clone();
        let group = groups.start(GroupId::AUDIT, machine, founders).await?;
        Ok(self.group.get_or_init(|| (group, segments)).0.clone())
    }

    /// None until every node of the region knows of events.
    pub fn group(&self) -> Option<&Arc<Group>> {
        self.group.get().map(|(group, _)| group)
    }

    /// Whether events' order of arrival is known.
    pub fn knows_order(&self) -> bool {
        self.group.get().is_some() && self.formats.active() >= TRAILS
    }

    fn known(&self) -> Result<&(Arc<Group>, Arc<RwLock<Segments>>), StorageError> {
        self.group.get().ok_or(StorageError::Corrupt {
            place: "audit events".to_owned(),
            what: "they aren't kept here yet".to_owned(),
        })
    }

    /// Whether this node's replica hears of all that is kept: not one that only learns, or is cut off.
    pub fn is_current(&self) -> bool {
        self.group().is_some_and(|group| group.is_voter() && group.in_touch())
    }

    /// What this node's own replica has heard of. Blocks.
    pub fn look_up(&self, lookup: &Lookup) -> Result<Page, StorageError> {
        let (group, segments) = self.known()?;
        lookup.run(group, segments)
    }

    /// An account's events after an arrival number, in order, about so many bytes. Blocks.
    pub fn arrivals(&self, account: &AccountId, after: u64, bytes_max: usize) -> Result<Arrivals, StorageError> {
        let (group, segments) = self.known()?;
        arrivals::read(group, segments, account, after, bytes_max)
    }

    /// The arrival number after which everything comes that happened at this time or later.
    pub fn before(&self, unix_ms: i64) -> u64 {
        self.group.get().map_or(0, |(_, segments)| segments.read().first_since(unix_ms).saturating_sub(1))
    }

    /// The number of the first event that is kept, and of the first one of the newest segment.
    pub fn kept(&self) -> (u64, u64) {
        self.group.get().map_or((1, 1), |(_, segments)| {
            let segments = segments.read();
            (segments.first(), segments.newest())
        })
    }

    /// Whoever delivers says up to which number no trail waits for events; 0 where it isn't known.
    pub fn set_delivered(&self, up_to: u64) {
        self.delivered.store(up_to, Ordering::Relaxed);
    }

    /// Kept by a quorum when it says so. May be asked again for the same events.
    pub(crate) async fn keep(&self, category: Category, events: &[Event]) -> Reply {
        let Ok(_permit) = self.proposals.try_acquire() else { return Reply::Busy("too many events wait".to_owned()) };
        let command = if self.knows_order() {
            to_format_4(&Command::Keep { category, now_ms: self.clock.unix_ms(), events: events.to_vec() })
        } else if category == Category::Management {
            to_stored(&events)
        } else {
            Err("data events aren't kept here yet".to_owned())
        };
        match command {
            Ok(command) => self.tell(command).await,
            Err(why) => Reply::Busy(why),
        }
    }

    async fn tell(&self, command: Vec<u8>) -> Reply {
        let Some(group) = self.group() else { return Reply::Busy("events aren't kept here yet".to_owned()) };
        let lead = match group.lead().await {
            Ok(lead) => lead,
            Err(ReadError::NotLeader(hint)) => return Reply::NotLeader(hint.leader),
            Err(ReadError::NotConfirmed(why) | ReadError::Stopped(why)) => return Reply::Busy(why),
        };
        match group.propose(lead, command.into()).await {
            Ok(_) => Reply::Kept,
            Err(ProposeError::NotLeader(hint)) => Reply::NotLeader(hint.leader),
            Err(ProposeError::Unknown(why) | ProposeError::Stopped(why)) => Reply::Busy(why),
            Err(e @ ProposeError::TooLarge(_)) => Reply::Busy(e.to_string()),
        }
    }

    /// Set while more events wait in the outbox than should.
    pub fn outbox_is_full(&self) -> Arc<AtomicBool> {
        self.outbox_is_full.clone()
    }

    /// Moves what the outbox has into the group, wherever this node leads that; for ever.
    pub async fn empty_outbox(self: Arc<Self>, meta: MetaClient, mirror: Arc<Mirror>) {
        let mut changed = mirror.changed();
        let mut unreadable = HashSet::new();
        loop {
            changed.mark_unchanged();
            let mut entries = mirror.scan_prefix(outbox::PREFIX);
            self.outbox_is_full.store(entries.len() > OUTBOX_MAX, Ordering::Relaxed);
            entries.retain(|entry| !unreadable.contains(&entry.key));
            if entries.is_empty() {
                if changed.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if !self.group().is_some_and(|group| group.is_leader()) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let mut all = Vec::new();
            for entry in entries.iter().take(EVENTS_MAX) {
                match from_stored::<Event>(&entry.value) {
                    Ok(event) => all.push((entry.key.clone(), event)),
                    Err(e) => {
                        // It stays there, for a build that can.
                        tracing::error!(error = e, "an audit event in the outbox can't be read");
                        unreadable.insert(entry.key.clone());
                    }
                }
            }
            let some = some_of(all.iter().map(|(_, event)| event));
            if some.is_empty() {
                continue;
            }
            let moved = match self.keep(Category::Management, &some).await {
                Reply::Kept => {
                    let keys = all.iter().take(some.len()).map(|(key, _)| Op::Delete { key: key.to_vec() });
                    let txn = Txn { success: keys.collect(), ..Txn::default() };
                    meta.txn(txn, Instant::now() + TXN).await.map_err(|e| e.to_string())
                }
                reply => Err(format!("{reply:?}")),
            };
            match moved {
                Ok(outcome) => {
                    mirror.wait_for(outcome.revision, Instant::now() + TXN).await;
                }
                Err(why) => {
                    tracing::info!(why, "audit events stay in the outbox for now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Forgets events that are too old or too many, where this node leads the group, and removes what is forgotten from
    /// this replica; for ever. What is left of it isn't shown either. Nothing is too old for a clock that may be wrong:
    /// one whose time doesn't follow on the events', and that hasn't run steadily for long.
    pub async fn tidy(self: Arc<Self>, bytes_max: u64) {
        let mut clock = Steadiness::default();
        let mut gone = None;
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            let now_ms = self.clock.unix_ms();
            let is_steady = clock.is_steady(now_ms, self.clock.boot_ns());
            let Some((group, segments)) = self.group.get().cloned() else { continue };
            let is_right = is_steady || segments.read().run_on_to(now_ms);
            let oldest_ms = if is_right { now_ms - RETENTION_MS } else { 0 };
            let stays = segments.read().first_to_stay(oldest_ms, bytes_max, self.delivered.load(Ordering::Relaxed));
            if let Some(before) = stays.filter(|_| group.is_leader()) {
                match to_format_4(&Command::Forget { before }) {
                    Ok(command) => match self.tell(command).await {
                        Reply::Kept => tracing::info!(before, "old audit events are forgotten"),
                        reply => tracing::info!(?reply, "old audit events stay for now"),
                    },
                    Err(e) => tracing::error!(error = e, "old audit events stay"),
                }
            }
            let mut ranges = vec![before_day(day(oldest_ms))];
            if let Some((number, segment)) = segments.read().all.first_key_value() {
                ranges.extend(segments::before(*number, segment));
            }
            // What was deleted isn't looked for again.
            let prefix = group.prefix();
            let now_gone = Some((prefix, ranges.clone()));
            if gone == now_gone {
                continue;
            }
            let deleted = tokio::task::spawn_blocking(move || {
                for (start, end) in ranges {
                    group.store().delete_range(KeyRange::new(prefix.key(&start), prefix.key(&end)))?;
                }
                Ok::<_, StorageError>(())
            });
            match deleted.await {
                Ok(Ok(())) => gone = now_gone,
                Ok(Err(e)) => tracing::warn!(error = %e, "old audit events stay for now"),
                Err(e) => tracing::warn!(error = %e, "old audit events stay for now"),
            }
        }
    }
}

impl Handler for AuditService {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let malformed = |e| (Refusal::Malformed, e);
            let (category, events): (Category, Vec<Event>) = match from_format_4(&call.payload).map_err(malformed)? {
                Some(brought) => brought,
                None => (Category::Management, from_stored(&call.payload).map_err(malformed)?),
            };
            let reply = self.keep(category, &events).await;
            Ok(to_stored(&reply).map_err(|e| (Refusal::Failed, e))?.into())
        })
    }
}

/// How much the group keeps, as this replica has heard it.
pub struct AuditMetrics(pub Arc<AuditService>);

impl std::fmt::Debug for AuditMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuditMetrics")
    }
}

impl Collector for AuditMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let (bytes, arrived) = self.0.group.get().map_or((0, 0), |(_, segments)| {
            let segments = segments.read();
            (segments.bytes(), segments.next() - 1)
        });
        for (name, help, value) in [
            ("audit_kept_bytes", "Bytes of audit events that the audit group keeps", bytes),
            ("audit_arrived_events", "Audit events that have arrived since the region's first start", arrived),
        ] {
            let gauge = ConstGauge::new(value as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
