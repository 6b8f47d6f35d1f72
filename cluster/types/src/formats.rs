//! Which format the cluster writes. What nodes store in common or send to each other has one number for the whole
//! cluster: a node reads every format that its build knows, and writes the one that is active. The active one is
//! raised when every node's build reads it, so a rolling upgrade never has a node meet what it can't read; it never
//! falls, so a build that is too old is refused when it starts.

use std::sync::atomic::{AtomicU32, Ordering};

/// The format of builds that don't say what they read.
pub const OLDEST: u32 = 1;

/// The newest format that this build reads.
///
/// 2: a partition's command holds hybrid times as differences. 3: calls leave audit events. 4: the audit group knows the
/// order in which events came; trails, blobs, passwords.
pub const NEWEST: u32 = if cfg!(feature = "previous-format") { TRAILS - 1 } else { TRAILS };

/// From here on every control node keeps audit events.
pub const EVENTS: u32 = 3;

/// From here on trails deliver what comes, and nodes keep blobs.
pub const TRAILS: u32 = 4;

/// The active format as this node knows it: at worst an older one, which everybody reads.
#[derive(Debug)]
pub struct Formats(AtomicU32);

impl Default for Formats {
    fn default() -> Self {
        Formats(AtomicU32::new(OLDEST))
    }
}

impl Formats {
    pub fn active(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// What this build doesn't know it doesn't write.
    pub fn raise_to(&self, format: u32) {
        self.0.fetch_max(format.min(NEWEST), Ordering::Relaxed);
    }
}
