//! How often this node gives a host new credentials because it asks for them.

use breakwater_types::NodeName;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Hosts' agents leave at least twice as much between two renewals: none that does is refused.
const APART_MAX: Duration = Duration::from_secs(15);
const APART_OF_LIFE: u32 = 20;

/// Each renewal is a session that is sealed and an event that is kept for good: a host that asks in a loop doesn't get them.
#[derive(Debug)]
pub struct Renewals {
    apart: Duration,
    last: Mutex<HashMap<NodeName, Instant>>,
}

impl Renewals {
    /// Of credentials that last so long.
    pub fn new(lasts: Duration) -> Self {
        Renewals { apart: (lasts / APART_OF_LIFE).min(APART_MAX), last: Mutex::default() }
    }

    /// Whether it may have some now; if so, it has.
    pub fn take(&self, host: &NodeName, now: Instant) -> bool {
        let mut last = self.last.lock();
        last.retain(|_, last| now.saturating_duration_since(*last) < self.apart);
        let may = !last.contains_key(host);
        if may {
            last.insert(host.clone(), now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_asks_in_a_loop_is_refused_and_no_other() {
        let renewals = Renewals::new(Duration::from_secs(21_600));
        let (one, other): (NodeName, NodeName) = ("dynamo-node-a1".parse().unwrap(), "dynamo-node-b1".parse().unwrap());
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!((0..3_600).filter(|second| renewals.take(&one, at(*second))).count(), 240);
        assert!(renewals.take(&other, at(3_599)));
        // Of those who haven't asked for a while nothing is kept.
        assert!(renewals.take(&other, at(7_200)));
        assert_eq!(renewals.last.lock().len(), 1);
        // Short settings, as in tests.
        let short = Renewals::new(Duration::from_secs(10));
        assert!(short.take(&one, at(0)) && !short.take(&one, at(0)) && short.take(&one, at(1)));
    }
}
