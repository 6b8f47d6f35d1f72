//! When this host asks for new credentials: when half of the life is over of those that it has.
//!
//! Counted is what has passed since they came, not what this host's clock says of their end: a host whose clock is ahead
//! would find new ones old at once, and ask again, and again.

use super::held::Credentials;
use breakwater_types::Clock;
use std::time::Duration;

/// Two renewals are apart by so much, or by a tenth of the credentials' life where that is less.
const APART: Duration = Duration::from_secs(30);
const APART_MIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Renewal {
    after: Duration,
    apart: Duration,
    /// When they came.
    boot_ns: u64,
    unix_ms: i64,
}

impl Renewal {
    /// Of credentials that came just now.
    pub fn of(credentials: &Credentials, clock: &dyn Clock) -> Renewal {
        let life = credentials.expires_unix_s - credentials.issued_unix_s;
        let life = Duration::from_secs(u64::try_from(life).unwrap_or_default());
        Renewal {
            after: life / 2,
            apart: (life / 10).clamp(APART_MIN, APART),
            boot_ns: clock.boot_ns(),
            unix_ms: clock.unix_ms(),
        }
    }

    /// How long until new ones are asked for.
    pub fn left(&self, clock: &dyn Clock) -> Duration {
        let passed = Duration::from_nanos(clock.boot_ns().saturating_sub(self.boot_ns));
        // A host that was stopped from outside learns by its wall clock how long: whichever clock says more. One that is
        // set costs one renewal, and counts from there.
        let by_wall = Duration::from_millis(u64::try_from(clock.unix_ms() - self.unix_ms).unwrap_or_default());
        self.after.saturating_sub(passed.max(by_wall)).max(self.apart.saturating_sub(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::ManualClock;

    const ISSUED_S: i64 = 1_000_000;

    fn credentials(lasts_s: i64) -> Credentials {
        Credentials {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: String::new().into(),
            session_token: String::new().into(),
            issued_unix_s: ISSUED_S,
            expires_unix_s: ISSUED_S + lasts_s,
        }
    }

    fn renewals(clock: &ManualClock, lasts_s: i64, seconds: i64, each_s: impl Fn()) -> usize {
        let (mut renewals, mut next) = (0, Renewal::of(&credentials(lasts_s), clock));
        for _ in 0..seconds * 10 {
            clock.advance_ms(100);
            each_s();
            if next.left(clock).is_zero() {
                (renewals, next) = (renewals + 1, Renewal::of(&credentials(lasts_s), clock));
            }
        }
        renewals
    }

    /// It renewed 8,544 times in ten seconds.
    #[test]
    fn a_clock_that_is_ahead_or_behind_changes_nothing() {
        // By half of their life, and more.
        for ahead_s in [0, 10_800, 86_400, -86_400] {
            let clock = ManualClock::new((ISSUED_S + ahead_s) * 1_000);
            assert_eq!(renewals(&clock, 21_600, 6 * 3_600, || ()), 2, "{ahead_s}");
        }
    }

    #[test]
    fn a_host_that_slept_renews_at_once_and_one_whose_clock_is_set_renews_once() {
        let clock = ManualClock::new(ISSUED_S * 1_000);
        let renewal = Renewal::of(&credentials(21_600), &*clock);
        clock.advance_ms(60_000);
        assert_eq!(renewal.left(&*clock), Duration::from_secs(10_740));
        clock.jump_ms(86_400_000);
        assert!(renewal.left(&*clock).is_zero());
        assert_eq!(Renewal::of(&credentials(21_600), &*clock).left(&*clock), Duration::from_secs(10_800));
        clock.jump_ms(-86_400_000);
        assert!(renewal.left(&*clock) > Duration::from_secs(10_000));
    }

    #[test]
    fn renewals_are_apart_whatever_clocks_and_answers_say() {
        let clock = ManualClock::new(0);
        assert_eq!(renewals(&clock, 21_600, 600, || clock.jump_ms(86_400_000)), 20);
        assert_eq!(renewals(&clock, 10, 600, || clock.jump_ms(86_400_000)), 600);
        // Over when they come.
        assert_eq!(renewals(&clock, -5, 600, || ()), 600);
        // As short as the settings allow: by half of their life.
        assert_eq!(renewals(&clock, 10, 600, || ()), 120);
    }
}
