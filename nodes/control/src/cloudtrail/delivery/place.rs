//! Where a trail's delivery goes on, and when a spell of logging is settled. Pure.

use breakwater_audit::trails::{Delivery as Progress, Trail};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// All is delivered.
    End,
    /// It logs anew: whatever came up to this arrival number, nothing of it is left to deliver.
    Begins(u64),
    /// It goes on after this arrival number.
    After(u64),
    /// What came up to this arrival number was forgotten, and so many events of it weren't looked at.
    Lost { up_to: u64, count: u64 },
}

/// `seen` is how far it was looked through, `kept` the first arrival number that is kept; `before` gives the one before
/// which nothing is of a time.
pub(super) fn place(
    trail: &Trail,
    progress: &Progress,
    seen: u64,
    kept: u64,
    before: impl FnOnce(i64) -> u64,
) -> Place {
    let Some(first) = trail.unsettled(progress.settled).next() else { return Place::End };
    if first.number > progress.followed {
        return Place::Begins(progress.cursor.max(before(first.from_ms)));
    }
    let after = progress.cursor.max(seen);
    match kept.saturating_sub(after + 1) {
        0 => Place::After(after),
        count => Place::Lost { up_to: kept - 1, count },
    }
}

/// The last spell of which nothing comes any more, where it is looked through to the end now, by a node that has led for
/// so long. After a time when nobody delivered, what waits at other nodes gets as long as ever to come.
pub(super) fn settles(trail: &Trail, progress: &Progress, led_for: Duration, now_ms: i64, stragglers: Duration) -> u64 {
    if led_for < stragglers {
        return progress.settled;
    }
    let stragglers_ms = i64::try_from(stragglers.as_millis()).unwrap_or(i64::MAX / 2);
    trail.over(now_ms - stragglers_ms).max(progress.settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    const MINUTE: Duration = Duration::from_secs(60);
    const MINUTE_MS: i64 = 60_000;

    fn trail() -> Trail {
        let mut trail = Trail::new(1, AccountId::new("111122223333").unwrap(), "music", 0);
        trail.start(MINUTE_MS);
        trail
    }

    #[test]
    fn what_was_forgotten_before_it_was_delivered_is_found_out() {
        let at = |cursor, followed, seen, kept| {
            place(&trail(), &Progress { cursor, followed, ..Progress::default() }, seen, kept, |_| 70)
        };
        // It has no place yet: nothing before it began is missed.
        assert_eq!((at(0, 0, 0, 50), at(80, 0, 0, 90)), (Place::Begins(70), Place::Begins(80)));
        assert_eq!((at(49, 1, 0, 50), at(20, 1, 49, 50)), (Place::After(49), Place::After(49)));
        assert_eq!(at(0, 1, 0, 1), Place::After(0));
        assert_eq!(at(20, 1, 30, 50), Place::Lost { up_to: 49, count: 19 });
    }

    #[test]
    fn a_stopped_trail_is_looked_through_after_a_long_sleep() {
        let mut stopped = trail();
        stopped.stop(2 * MINUTE_MS);
        let mut progress = Progress { cursor: 5, followed: 1, ..Progress::default() };
        let now_ms = 1_000 * MINUTE_MS;
        // A day later, and none has delivered since.
        let settled = |progress: &Progress, led_for, now_ms| settles(&stopped, progress, led_for, now_ms, 15 * MINUTE);
        assert_eq!(place(&stopped, &progress, 0, 1, |_| 0), Place::After(5));
        assert_eq!((settled(&progress, MINUTE, now_ms), settled(&progress, 15 * MINUTE, now_ms)), (0, 1));
        assert_eq!(settled(&progress, 15 * MINUTE, 16 * MINUTE_MS), 0);
        progress.settled = 1;
        assert_eq!(place(&stopped, &progress, 0, 1, |_| 0), Place::End);
        // The next spell goes on from its own beginning.
        stopped.start(900 * MINUTE_MS);
        assert_eq!(place(&stopped, &progress, 0, 50, |_| 70), Place::Begins(70));
    }
}
