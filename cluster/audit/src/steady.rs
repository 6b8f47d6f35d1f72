//! Whether a clock is to be believed when it says that events are too old: what is forgotten doesn't come back when the
//! clock does.

/// A wall clock that has run with the machine's for so long is right about the days.
const STEADY_MS: i64 = 6 * 3_600_000;
/// More than clocks are slewed by between two looks.
const JUMP_MS: i64 = 60_000;

fn boot_ms(boot_ns: u64) -> i64 {
    i64::try_from(boot_ns / 1_000_000).unwrap_or(i64::MAX / 2)
}

/// Since when, of the time since boot, the wall clock has run steadily, and how far ahead of that it was last.
#[derive(Debug, Default)]
pub(crate) struct Steadiness(Option<(i64, i64)>);

impl Steadiness {
    /// Asked again and again: whether it has run steadily for long.
    pub(crate) fn is_steady(&mut self, unix_ms: i64, boot_ns: u64) -> bool {
        let boot_ms = boot_ms(boot_ns);
        let ahead_ms = unix_ms.saturating_sub(boot_ms);
        let since_ms = match self.0 {
            Some((since_ms, before_ms)) if (ahead_ms - before_ms).abs() < JUMP_MS => since_ms,
            _ => boot_ms,
        };
        self.0 = Some((since_ms, ahead_ms));
        boot_ms - since_ms >= STEADY_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_believed_for_hours() {
        let mut clock = Steadiness::default();
        let hour_ns = 3_600_000_000_000;
        let mut is_steady = |hours: u64, ahead_ms: i64| {
            clock.is_steady(1_700_000_000_000 + i64::try_from(hours).unwrap() * 3_600_000 + ahead_ms, hours * hour_ns)
        };
        assert!(!is_steady(100, 0) && !is_steady(105, 0) && is_steady(106, 500) && is_steady(500, 30_000));
        // 90 days ahead, for a while or for long.
        let days_90 = 90 * 86_400_000;
        assert!(!is_steady(501, days_90) && !is_steady(502, 0) && !is_steady(507, 0) && is_steady(508, 0));
        assert!(!is_steady(509, days_90) && is_steady(515, days_90));
    }
}
