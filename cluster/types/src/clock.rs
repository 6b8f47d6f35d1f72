//! One clock for everything, so that a test can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Wall time for people and protocols, boot time (which counts suspension) for leases.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// Milliseconds since 1970, UTC.
    fn unix_ms(&self) -> i64;
    /// Nanoseconds since boot, suspended time included; never goes back.
    fn boot_ns(&self) -> u64;
    /// Seconds since 1970, UTC.
    fn unix_s(&self) -> i64 {
        self.unix_ms().div_euclid(1_000)
    }
}

pub type SharedClock = Arc<dyn Clock>;

/// Seconds since 1970 as `2026-11-23T20:15:00Z`.
pub fn rfc3339(unix_s: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

/// The machine's clock, moved by a fixed offset where a test says so (`clock_offset_s` of a node).
#[derive(Debug, Default)]
pub struct SystemClock {
    offset_ms: i64,
}

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(SystemClock::default())
    }
    pub fn with_offset_s(offset_s: i64) -> SharedClock {
        Arc::new(SystemClock { offset_ms: offset_s.saturating_mul(1_000) })
    }
}

fn read(id: rustix::time::ClockId) -> (i64, i64) {
    let t = rustix::time::clock_gettime(id);
    (t.tv_sec, t.tv_nsec)
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        let (s, ns) = read(rustix::time::ClockId::Realtime);
        s * 1_000 + ns / 1_000_000 + self.offset_ms
    }
    fn boot_ns(&self) -> u64 {
        let (s, ns) = read(rustix::time::ClockId::Boottime);
        s.unsigned_abs() * 1_000_000_000 + ns.unsigned_abs()
    }
}

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub struct ManualClock {
    unix_ms: AtomicI64,
    boot_ns: AtomicI64,
}

impl ManualClock {
    pub fn new(unix_ms: i64) -> Arc<Self> {
        Arc::new(ManualClock { unix_ms: AtomicI64::new(unix_ms), boot_ns: AtomicI64::new(1) })
    }
    /// Time passes on both clocks.
    pub fn advance_ms(&self, ms: i64) {
        self.unix_ms.fetch_add(ms, Ordering::SeqCst);
        self.boot_ns.fetch_add(ms.max(0) * 1_000_000, Ordering::SeqCst);
    }
    /// The wall clock is set, as by an administrator; boot time goes on.
    pub fn jump_ms(&self, ms: i64) {
        self.unix_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> i64 {
        self.unix_ms.load(Ordering::SeqCst)
    }
    fn boot_ns(&self) -> u64 {
        self.boot_ns.load(Ordering::SeqCst).unsigned_abs()
    }
}
