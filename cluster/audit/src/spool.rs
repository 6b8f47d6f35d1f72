//! A node's events on its own disk, until the group has them.
//!
//! In the node's sealed store under group number 0, which is no group's: `0 (8) | "audit/spool/" | number (8)`; data events
//! under `audit/data-spool/`. The two have room of their own: data events never take that of management events, whose
//! calls wait for room and for the disk. Data calls wait for nothing: what finds no room is counted.

use crate::courier::Courier;
use crate::data_events::DataEvents;
use crate::{Category, some_of};
use breakwater_aws::{AwsError, Call, Event, Recorder};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_storage::{Batch, Direction, Engine, KeyRange, StorageError};
use breakwater_transport::Transport;
use breakwater_types::NodeName;
use breakwater_types::formats::{EVENTS, Formats};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

const PREFIX: &[u8] = b"\0\0\0\0\0\0\0\0audit/spool/";
const DATA_PREFIX: &[u8] = b"\0\0\0\0\0\0\0\0audit/data-spool/";
/// What a lane holds at most, in units of 1,024 bytes.
const ROOM: usize = 64 * 1024;
const QUEUED_MAX: usize = 1_024;
const DATA_QUEUED_MAX: usize = 16_384;
/// Calls that may wait for room: further ones are told to try again, and hold nothing meanwhile.
const WAITING_MAX: usize = 256;
/// Calls whose events share a sync.
const TOGETHER_MAX: usize = 256;
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

struct Waiting {
    events: Vec<Event>,
    /// None where nobody waits.
    kept: Option<oneshot::Sender<Result<(), String>>>,
}

struct Spooled {
    number: u64,
    event: Event,
}

struct Shared {
    category: Category,
    store: Arc<dyn Engine>,
    room: Semaphore,
    waiting: Semaphore,
    queue: Mutex<VecDeque<Spooled>>,
    more: Notify,
}

/// One category's way to the group.
struct Lane {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Waiting>,
}

pub struct Spool {
    management: Lane,
    data: Lane,
    /// Data events that found no room.
    dropped: AtomicU64,
    data_events: DataEvents,
    formats: Arc<Formats>,
    /// On control nodes: whether the outbox has more than it should.
    outbox_is_full: OnceLock<Arc<AtomicBool>>,
}

fn units(event: &Event) -> u32 {
    1 + u32::try_from(event.bytes() / 1_024).unwrap_or(u32::MAX - 1)
}

fn prefix(category: Category) -> &'static [u8] {
    match category {
        Category::Management => PREFIX,
        Category::Data => DATA_PREFIX,
    }
}

fn key(category: Category, number: u64) -> Vec<u8> {
    [prefix(category), &number.to_be_bytes()].concat()
}

fn corrupt(what: &str) -> StorageError {
    StorageError::Corrupt { place: "audit spool".to_owned(), what: what.to_owned() }
}

/// What was on its way when the node ended.
fn load(store: &dyn Engine, category: Category) -> Result<VecDeque<Spooled>, StorageError> {
    let mut all = VecDeque::new();
    let prefix = prefix(category);
    for found in store.scan(KeyRange::prefix(prefix), Direction::Forward)? {
        let (stored, value) = found?;
        let number = <[u8; 8]>::try_from(&stored[prefix.len()..]).map_err(|_| corrupt("a key can't be read"))?;
        let event = from_stored(&value).map_err(|e| corrupt(&e))?;
        all.push_back(Spooled { number: u64::from_be_bytes(number), event });
    }
    Ok(all)
}

impl Lane {
    fn start(
        category: Category,
        queued_max: usize,
        store: &Arc<dyn Engine>,
        transport: &Arc<Transport>,
        control: &[NodeName],
        formats: &Arc<Formats>,
    ) -> Result<Lane, StorageError> {
        let queue = load(&**store, category)?;
        let next = queue.back().map_or(0, |last| last.number + 1);
        let room = Semaphore::new(ROOM);
        for spooled in &queue {
            room.forget_permits(units(&spooled.event) as usize);
        }
        let (store, more) = (store.clone(), Notify::new());
        let waiting = Semaphore::new(WAITING_MAX);
        let shared = Arc::new(Shared { category, store, room, waiting, queue: Mutex::new(queue), more });
        let (sender, receiver) = mpsc::channel(queued_max);
        tokio::spawn(write(shared.clone(), receiver, next));
        let (transport, formats, nodes) = (transport.clone(), formats.clone(), control.to_vec());
        let courier = Courier { transport, formats, category, nodes, leader: None, next: 0 };
        tokio::spawn(send(shared.clone(), courier));
        Ok(Lane { shared, queue: sender })
    }

    async fn keep(&self, events: Vec<Event>) -> Result<(), AwsError> {
        let needed = events.iter().map(units).sum();
        let stopped = || AwsError::internal("the audit spool has stopped");
        let permits = match self.shared.room.try_acquire_many(needed) {
            Ok(permits) => permits,
            Err(_) => {
                let Ok(_waits) = self.shared.waiting.try_acquire() else {
                    return Err(AwsError::throttling().with_cause("too many calls wait for room for audit events"));
                };
                self.shared.room.acquire_many(needed).await.map_err(|_| stopped())?
            }
        };
        let place = self.queue.reserve().await.map_err(|_| stopped())?;
        let (kept, answer) = oneshot::channel();
        // From here on the room is taken until the group has them; the writer gives it back where it fails.
        permits.forget();
        place.send(Waiting { events, kept: Some(kept) });
        answer.await.map_err(|_| stopped())?.map_err(AwsError::internal)
    }

    /// False where there is no room.
    fn offer(&self, events: Vec<Event>) -> bool {
        let needed = events.iter().map(units).sum();
        let Ok(permits) = self.shared.room.try_acquire_many(needed) else { return false };
        let Ok(place) = self.queue.try_reserve() else { return false };
        permits.forget();
        place.send(Waiting { events, kept: None });
        true
    }
}

impl Spool {
    /// Sends what it holds to the audit group's leader among `control`, from now on.
    pub fn start(
        store: Arc<dyn Engine>,
        transport: Arc<Transport>,
        control: Vec<NodeName>,
        formats: Arc<Formats>,
        data_events: DataEvents,
    ) -> Result<Arc<Spool>, StorageError> {
        let lane = |category, queued_max| Lane::start(category, queued_max, &store, &transport, &control, &formats);
        let management = lane(Category::Management, QUEUED_MAX)?;
        let data = lane(Category::Data, DATA_QUEUED_MAX)?;
        let outbox_is_full = OnceLock::new();
        Ok(Arc::new(Spool { management, data, dropped: AtomicU64::new(0), data_events, formats, outbox_is_full }))
    }

    /// Changes wait while this is set.
    pub fn heed(&self, outbox_is_full: Arc<AtomicBool>) {
        // The first one stays: a node has one outbox.
        let _ = self.outbox_is_full.set(outbox_is_full);
    }
}

impl Recorder for Spool {
    fn is_active(&self) -> bool {
        self.formats.active() >= EVENTS
    }

    fn hears_data(&self) -> bool {
        self.data_events.are_wanted()
    }

    fn has_room(&self) -> bool {
        !self.outbox_is_full.get().is_some_and(|full| full.load(Ordering::Relaxed))
    }

    fn offer(&self, call: &Call, outcome: Result<(), &AwsError>) {
        let events = self.data_events.of(call, outcome);
        let count = events.len() as u64;
        if count > 0 && !self.data.offer(events) {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn record<'a>(
        &'a self,
        events: Vec<Event>,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<(), AwsError>> + Send + 'a>> {
        Box::pin(async move {
            match tokio::time::timeout_at(deadline, self.management.keep(events)).await {
                Ok(kept) => kept,
                Err(_) => Err(AwsError::throttling().with_cause("no room for audit events")),
            }
        })
    }
}

/// Writes what comes together with one sync. A data event may be lost with the whole machine: nobody waits for it, and
/// the disk has other things to do.
async fn write(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Waiting>, mut next: u64) {
    let mut together = Vec::new();
    while waiting.recv_many(&mut together, TOGETHER_MAX).await > 0 {
        let mut batch = Batch::new();
        let mut spooled = Vec::new();
        let mut answers = Vec::new();
        let mut unreadable = None;
        for Waiting { events, kept } in together.drain(..) {
            answers.extend(kept);
            for event in events {
                match to_stored(&event) {
                    Ok(value) => batch.put(key(shared.category, next), value),
                    Err(e) => unreadable = Some(e),
                }
                spooled.push(Spooled { number: next, event });
                next += 1;
            }
        }
        let (store, synced) = (shared.store.clone(), shared.category == Category::Management);
        let written = tokio::task::spawn_blocking(move || {
            store.write(&batch)?;
            if synced { store.sync() } else { Ok(()) }
        });
        let written = match (written.await, unreadable) {
            (Ok(Ok(())), None) => Ok(()),
            (Ok(Ok(())), Some(e)) => Err(e),
            (Ok(Err(e)), _) => Err(e.to_string()),
            (Err(e), _) => Err(e.to_string()),
        };
        match &written {
            Ok(()) => {
                shared.queue.lock().extend(spooled);
                shared.more.notify_one();
            }
            Err(e) => {
                tracing::error!(error = e, "audit events can't be written to this node's disk");
                shared.room.add_permits(spooled.iter().map(|s| units(&s.event) as usize).sum());
            }
        }
        for answer in answers {
            // Who waited may have given up.
            let _ = answer.send(written.clone());
        }
    }
}

/// Brings what there is to the group, oldest first.
async fn send(shared: Arc<Shared>, mut courier: Courier) {
    let mut pause = PAUSE_MIN;
    loop {
        let some = some_of(shared.queue.lock().iter().map(|spooled| &spooled.event));
        if some.is_empty() {
            shared.more.notified().await;
            continue;
        }
        if let Err(why) = courier.bring(&some).await {
            tracing::debug!(why, "audit events stay on this node for now");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            continue;
        }
        pause = PAUSE_MIN;
        let mut batch = Batch::new();
        {
            let mut queue = shared.queue.lock();
            for spooled in queue.drain(..some.len()) {
                shared.room.add_permits(units(&spooled.event) as usize);
                batch.delete(key(shared.category, spooled.number));
            }
        }
        // Where it fails, they are sent once more after the next start, and are kept once.
        if let Err(e) = shared.store.write(&batch) {
            tracing::warn!(error = %e, "audit events that were sent stay on this node's disk");
        }
    }
}

/// How much waits on this node.
pub struct SpoolMetrics(pub Arc<Spool>);

impl std::fmt::Debug for SpoolMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SpoolMetrics")
    }
}

impl Collector for SpoolMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        for (name, lane, help) in [
            (
                "audit_spool_events",
                &self.0.management,
                "Audit events on this node that the audit group doesn't have yet",
            ),
            ("audit_data_spool_events", &self.0.data, "Data events on this node that the audit group doesn't have yet"),
        ] {
            let waiting = ConstGauge::new(lane.shared.queue.lock().len() as f64);
            waiting.encode(encoder.encode_descriptor(name, help, None, waiting.metric_type())?)?;
        }
        let dropped = ConstCounter::new(self.0.dropped.load(Ordering::Relaxed));
        let help = "Data events that found no room on this node: data calls don't wait";
        dropped.encode(encoder.encode_descriptor("audit_data_events_dropped", help, None, dropped.metric_type())?)
    }
}
