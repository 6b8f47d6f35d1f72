//! How often this node gives a host new credentials though nothing has changed for it.

use breakwater_types::NodeName;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;
use tokio::time::Instant;

/// Hosts' agents leave at least twice as much between two renewals: none that does is refused.
const APART_MAX: Duration = Duration::from_secs(15);
const APART_OF_LIFE: u32 = 20;

/// What this node told a host last.
#[derive(Debug)]
struct Told {
    digest: u64,
    /// When it was last told something that was no news.
    again: Instant,
}

/// Each renewal is a session that is sealed and an event that is kept for good: a host that asks in a loop doesn't get
/// them, whatever it claims to know.
#[derive(Debug)]
pub struct Renewals {
    apart: Duration,
    /// Of each host that has asked since this node started: as many as the region has hosts.
    told: Mutex<HashMap<NodeName, Told>>,
}

impl Renewals {
    /// Of credentials that last so long.
    pub fn new(lasts: Duration) -> Self {
        Renewals { apart: (lasts / APART_OF_LIFE).min(APART_MAX), told: Mutex::default() }
    }

    /// Whether a host may be told now what has this digest; if so, it counts as told, even if that fails: else a host
    /// with too short a deadline would get an event by each call.
    pub fn take(&self, host: &NodeName, digest: u64, now: Instant) -> bool {
        let mut told = self.told.lock();
        let told = match told.entry(host.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Told { digest, again: now });
                return true;
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        // What is news it is told at any time.
        if told.digest != digest {
            told.digest = digest;
            return true;
        }
        let may = now.saturating_duration_since(told.again) >= self.apart;
        if may {
            told.again = now;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> NodeName {
        name.parse().unwrap()
    }

    #[test]
    fn a_host_that_asks_in_a_loop_is_refused_and_no_other() {
        let renewals = Renewals::new(Duration::from_secs(21_600));
        let (one, other) = (host("dynamo-node-a1"), host("dynamo-node-b1"));
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!((0..3_600).filter(|second| renewals.take(&one, 7, at(*second))).count(), 240);
        assert!(renewals.take(&other, 7, at(3_599)));
        // Short settings, as in tests.
        let short = Renewals::new(Duration::from_secs(10));
        assert!(short.take(&one, 7, at(0)) && !short.take(&one, 7, at(0)) && short.take(&one, 7, at(1)));
    }

    #[test]
    fn only_what_has_changed_here_is_news_and_not_what_an_agent_says_it_knows() {
        let renewals = Renewals::new(Duration::from_secs(21_600));
        let one = host("dynamo-node-a1");
        let now = Instant::now();
        // An agent that names another digest by each call has no part in this: a first answer, and no more.
        assert_eq!((0..100).filter(|_| renewals.take(&one, 7, now)).count(), 1);
        // A profile that changes, and changes back, shows at once, and each change once.
        for digest in [8, 7, 8] {
            assert_eq!((0..100).filter(|_| renewals.take(&one, digest, now)).count(), 1);
        }
        // A host whose agent was started anew and has lost its credentials waits no longer than the bound.
        assert!(renewals.take(&one, 8, now + APART_MAX));
        assert_eq!(renewals.told.lock().len(), 1);
    }
}
