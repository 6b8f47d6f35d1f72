//! The open connections of a port, and which of them gives way when there is no room: the one that was silent longest, and
//! first of all one on which the client never said anything. So who opens connections and is silent keeps nobody out. A
//! decision without a clock or a network.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Who was silent for less gives no way: before the client's first byte,
const SILENT_FIRST_MIN: Duration = Duration::from_millis(100);
/// between an answer and the next question,
const SILENT_MIN: Duration = Duration::from_secs(1);
/// and while the client waits for its answer.
const SILENT_WAITING_MIN: Duration = Duration::from_secs(5);

/// What happens on a connection.
#[derive(Debug)]
pub struct Activity {
    begun: Instant,
    /// When a byte last went either way, in milliseconds after it began.
    last_ms: AtomicU64,
    spoke_last: AtomicU8,
    gives_way: Notify,
}

/// Who spoke last. Connections give way in this order.
const NOBODY: u8 = 0;
const SERVER: u8 = 1;
const CLIENT: u8 = 2;

impl Activity {
    fn new(now: Instant) -> Activity {
        let (last_ms, spoke_last) = (AtomicU64::new(0), AtomicU8::new(NOBODY));
        Activity { begun: now, last_ms, spoke_last, gives_way: Notify::new() }
    }

    pub fn client_spoke(&self, now: Instant) {
        self.note(now, CLIENT);
    }

    pub fn server_spoke(&self, now: Instant) {
        self.note(now, SERVER);
    }

    fn note(&self, now: Instant, who: u8) {
        let ms = u64::try_from(now.duration_since(self.begun).as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
        self.spoke_last.store(who, Ordering::Relaxed);
    }

    /// Where it stands among those that give way, the first the smallest; None if it doesn't.
    fn silence(&self, now: Instant) -> Option<(u8, Instant)> {
        let (who, since) = (self.spoke_last.load(Ordering::Relaxed), self.silent_since());
        let min = match who {
            NOBODY => SILENT_FIRST_MIN,
            SERVER => SILENT_MIN,
            _ => SILENT_WAITING_MIN,
        };
        (now.duration_since(since) >= min).then_some((who, since))
    }

    fn silent_since(&self) -> Instant {
        self.begun + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }

    /// Another connection needs the room.
    pub async fn gives_way(&self) {
        self.gives_way.notified().await;
    }
}

#[derive(Default)]
struct Table {
    next: u64,
    open: HashMap<u64, (IpAddr, Arc<Activity>)>,
}

impl Table {
    /// Which connection gives way, of all or of one source.
    fn silent(&self, now: Instant, of: Option<IpAddr>) -> Option<u64> {
        let its = self.open.iter().filter(|(_, (source, _))| of.is_none_or(|of| *source == of));
        let silent = its.filter_map(|(id, (_, activity))| activity.silence(now).map(|silence| (silence, *id)));
        silent.min().map(|(_, id)| id)
    }
}

pub struct Connections {
    open_max: usize,
    /// Of one address that clients come from. Many may come from one, as behind a NAT.
    of_one_max: usize,
    table: Mutex<Table>,
    freed: Notify,
}

/// A connection's, while it is open.
pub struct Place {
    connections: Arc<Connections>,
    id: u64,
    pub activity: Arc<Activity>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table.lock().open.remove(&self.id);
        self.connections.freed.notify_one();
    }
}

/// Why there is no place now.
#[derive(Debug, PartialEq, Eq)]
pub enum Full {
    /// For this source, all of whose connections are busy.
    ForOne,
    /// For everybody: all are busy.
    ForAll,
}

impl Connections {
    pub fn new(open_max: usize) -> Arc<Connections> {
        let of_one_max = (open_max * 3 / 4).max(1);
        Arc::new(Connections { open_max, of_one_max, table: Mutex::default(), freed: Notify::new() })
    }

    /// A place, and whether another connection gives way for it.
    pub fn take(self: &Arc<Self>, source: IpAddr, now: Instant) -> Result<(Place, bool), Full> {
        let mut table = self.table.lock();
        let its = table.open.values().filter(|(other, _)| *other == source).count();
        let gives_way = match (its >= self.of_one_max, table.open.len() >= self.open_max) {
            (true, _) => Some(table.silent(now, Some(source)).ok_or(Full::ForOne)?),
            (false, true) => Some(table.silent(now, None).ok_or(Full::ForAll)?),
            (false, false) => None,
        };
        if let Some((_, activity)) = gives_way.and_then(|id| table.open.remove(&id)) {
            activity.gives_way.notify_one();
        }
        let (id, activity) = (table.next, Arc::new(Activity::new(now)));
        table.next += 1;
        table.open.insert(id, (source, activity.clone()));
        Ok((Place { connections: self.clone(), id, activity }, gives_way.is_some()))
    }

    /// A connection has ended, perhaps some time ago.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(n: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, n])
    }

    fn ended(place: &Place) -> bool {
        !place.connections.table.lock().open.contains_key(&place.id)
    }

    #[test]
    fn silent_connections_keep_nobody_out() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let connections = Connections::new(4);
        let take = |n, at: u32| connections.take(from(n), start + at * second).map(|(place, _)| place);
        let old = take(1, 0).unwrap();
        let silent = take(2, 1).unwrap();
        let busy = take(3, 2).unwrap();
        let newer = take(4, 3).unwrap();
        old.activity.client_spoke(start + 3 * second);
        busy.activity.server_spoke(start + 9 * second);
        // The one that never said anything first, though another has been silent for longer.
        let more = take(5, 10).unwrap();
        assert!(ended(&silent) && !ended(&newer) && !ended(&old) && !ended(&busy));
        let further = take(6, 10).unwrap();
        assert!(ended(&newer) && !ended(&old) && !ended(&busy));
        // Then who has its answer; and who waits for one, if it is for long.
        further.activity.client_spoke(start + 10 * second);
        more.activity.client_spoke(start + 10 * second);
        let last = take(7, 10).unwrap();
        assert!(ended(&busy) && !ended(&old));
        last.activity.client_spoke(start + 10 * second);
        let one_more = take(9, 10).unwrap();
        assert!(ended(&old) && !ended(&more));
        one_more.activity.server_spoke(start + 10 * second);
        // Nobody else has been silent for long enough.
        assert_eq!(take(8, 10).err(), Some(Full::ForAll));
        drop(more);
        assert!(take(8, 10).is_ok());
        // That a connection that gave way ends changes nothing.
        drop((silent, newer, old));
        assert_eq!(connections.table.lock().open.len(), 3);
        drop((busy, further, last, one_more));
    }

    #[test]
    fn one_source_leaves_room_to_others() {
        let now = Instant::now();
        let connections = Connections::new(8);
        let places: Vec<_> = (0..6).map(|_| connections.take(from(1), now).unwrap()).collect();
        assert_eq!(connections.take(from(1), now).err(), Some(Full::ForOne));
        let other = connections.take(from(2), now).unwrap();
        // Its own give way, though another's is as silent.
        let (_, gave_way) = connections.take(from(1), now + SILENT_FIRST_MIN).unwrap();
        assert!(gave_way && !ended(&other.0));
        assert_eq!(places.iter().filter(|(place, _)| ended(place)).count(), 1);
    }
}
