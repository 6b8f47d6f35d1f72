//! The settings of every node that serves callers, whom it knows from the control plane.

use crate::source::Source;
use std::time::Duration;

/// A healthy node hears something every ten seconds, also where nothing changes.
const STALE_MS_MIN: u64 = 15_000;
const USES_EVERY_MS_MIN: u64 = 100;

#[derive(Clone, Copy, Debug)]
pub struct Callers {
    /// Past it, identities and policies that aren't heard of any more decide nothing.
    pub identities_stale_ms_max: Option<u64>,
    /// How often uses of credentials are handed on.
    pub uses_every: Duration,
}

impl Callers {
    pub fn read(source: &mut Source) -> Self {
        let what = "refuse callers once identities and policies are older, 0 for never; at least 15000";
        let stale: u64 = source.or("identities_stale_ms_max", 0, what);
        let wrong = "identities_stale_ms_max: below 15000, where healthy nodes are";
        source.check(stale == 0 || stale >= STALE_MS_MIN, wrong);
        let uses: u64 = source.or("uses_every_ms", 10_000, "how often uses of access keys are handed on, in batches");
        source.check(uses >= USES_EVERY_MS_MIN, "uses_every_ms: below 100");
        Callers {
            identities_stale_ms_max: (stale > 0).then_some(stale),
            uses_every: Duration::from_millis(uses.max(USES_EVERY_MS_MIN)),
        }
    }
}
