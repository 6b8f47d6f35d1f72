//! What is known of one provider's keys, and whether it is to be asked for them. A decision without a clock or a network.
//!
//! Good keys are never given up for a failure: anybody can make us ask, with a token of a key that isn't known, and so could
//! choose the moment in which the provider fails.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// After this they are fetched again,
const FRESH: Duration = Duration::from_secs(600);
/// and when that fails those that were fetched are believed so long.
const USABLE: Duration = Duration::from_secs(24 * 3_600);
/// A provider isn't asked more often, whether it answered or not,
const PAUSE: Duration = Duration::from_secs(1);
/// nor for a key that isn't known,
const UNKNOWN_PAUSE: Duration = Duration::from_secs(5);
/// nor after it failed, while there are keys.
const RETRY: Duration = Duration::from_secs(10);

/// Keys, and when they were fetched.
#[derive(Debug)]
pub struct Fetched<K> {
    pub keys: Arc<K>,
    pub at: Instant,
}

impl<K> Clone for Fetched<K> {
    fn clone(&self) -> Self {
        Fetched { keys: self.keys.clone(), at: self.at }
    }
}

pub struct Kept<K, E> {
    good: Option<Fetched<K>>,
    /// When it was last asked, and how that failed if it did.
    asked: Option<(Instant, Option<E>)>,
    /// When it was last asked for a key that wasn't known.
    asked_for_unknown: Option<Instant>,
}

#[derive(Debug)]
pub enum Next<K, E> {
    Serve(Fetched<K>),
    Refuse(E),
    Ask,
}

impl<K, E> Default for Kept<K, E> {
    fn default() -> Self {
        Kept { good: None, asked: None, asked_for_unknown: None }
    }
}

impl<K, E: Clone> Kept<K, E> {
    /// Keys that may still be believed, if not the newest.
    pub fn usable(&self, now: Instant) -> Option<Fetched<K>> {
        self.good.clone().filter(|good| now.duration_since(good.at) < USABLE)
    }

    /// For who wants keys; newer ones than `than` if a token's key wasn't among those.
    pub fn next(&self, now: Instant, than: Option<Instant>) -> Next<K, E> {
        let within = |at: Instant, time| now.duration_since(at) < time;
        let asked_within = |time| self.asked.as_ref().is_some_and(|(at, _)| within(*at, time));
        let failure = self.asked.as_ref().and_then(|(_, failure)| failure.clone());
        match (self.usable(now), than) {
            (Some(good), None) if within(good.at, FRESH) || (failure.is_some() && asked_within(RETRY)) => {
                Next::Serve(good)
            }
            (Some(good), Some(than)) if good.at > than => Next::Serve(good),
            (Some(good), Some(_))
                if asked_within(PAUSE) || self.asked_for_unknown.is_some_and(|at| within(at, UNKNOWN_PAUSE)) =>
            {
                failure.map_or(Next::Serve(good), Next::Refuse)
            }
            (None, _) if asked_within(PAUSE) => failure.map_or(Next::Ask, Next::Refuse),
            _ => Next::Ask,
        }
    }

    /// What came of asking.
    pub fn note(&mut self, now: Instant, for_unknown: bool, answer: Result<K, E>) {
        if for_unknown {
            self.asked_for_unknown = Some(now);
        }
        self.asked = Some((now, None));
        match answer {
            Ok(keys) => self.good = Some(Fetched { keys: Arc::new(keys), at: now }),
            Err(failure) => self.asked = Some((now, Some(failure))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(next: &Next<&'static str, &'static str>) -> &'static str {
        match next {
            Next::Serve(fetched) => *fetched.keys,
            Next::Refuse(failure) => failure,
            Next::Ask => "ask",
        }
    }

    #[test]
    fn a_failure_leaves_good_keys_in_force_for_a_day() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut kept = Kept::default();
        assert_eq!(said(&kept.next(start, None)), "ask");
        kept.note(start, false, Ok("keys"));
        assert_eq!(said(&kept.next(start + 599 * second, None)), "keys");
        // Somebody with a key of his own invention, while the provider fails.
        let later = start + 100 * second;
        assert_eq!(said(&kept.next(later, Some(start))), "ask");
        kept.note(later, true, Err("failed"));
        assert_eq!(said(&kept.next(later, Some(start))), "failed");
        assert_eq!(said(&kept.next(later, None)), "keys");
        assert_eq!(said(&kept.next(later + 60 * second, None)), "keys");
        // Old ones are served on, and the provider is asked now and then.
        let old = start + 601 * second;
        assert_eq!(said(&kept.next(old, None)), "ask");
        kept.note(old, false, Err("failed"));
        assert_eq!(said(&kept.next(old, None)), "keys");
        assert_eq!(said(&kept.next(old + 9 * second, None)), "keys");
        assert_eq!(said(&kept.next(old + 10 * second, None)), "ask");
        let day = start + 24 * 3_600 * second;
        kept.note(day - second, false, Err("failed"));
        assert_eq!(said(&kept.next(day - second, None)), "keys");
        kept.note(day, false, Err("failed"));
        assert_eq!(said(&kept.next(day, None)), "failed");
        kept.note(day + second, false, Ok("new"));
        assert_eq!(said(&kept.next(day + second, None)), "new");
    }

    #[test]
    fn unknown_keys_make_us_ask_now_and_then() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut kept = Kept::<_, &str>::default();
        kept.note(start, false, Ok("old"));
        // The first one at once, nearly: the provider may have just changed its keys.
        assert_eq!(said(&kept.next(start, Some(start))), "old");
        let at = start + second;
        assert_eq!(said(&kept.next(at, Some(start))), "ask");
        kept.note(at, true, Ok("new"));
        // Who saw the old ones gets the new ones, who saw those waits.
        assert_eq!(said(&kept.next(at, Some(start))), "new");
        for wait in [0, 1, 4] {
            assert_eq!(said(&kept.next(at + wait * second, Some(at))), "new");
        }
        assert_eq!(said(&kept.next(at + 5 * second, Some(at))), "ask");
    }

    #[test]
    fn without_keys_a_failure_is_told_for_a_moment() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut kept = Kept::<&str, _>::default();
        kept.note(start, false, Err("failed"));
        assert_eq!(said(&kept.next(start, None)), "failed");
        assert_eq!(said(&kept.next(start + second, None)), "ask");
    }
}
