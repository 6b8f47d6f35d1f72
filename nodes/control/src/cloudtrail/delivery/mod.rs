//! Brings events to where trails want them: log files every few minutes, and digests of them every hour.
//!
//! The audit group's leader does it. A trail's cursor, the arrival number of the last event that it has looked at, moves
//! in the transaction that catalogues the file with the events before it: each event is in one file, whoever leads and
//! whoever dies. Two leaders can't both: each transaction holds only if the trail and its cursor are as they were read.

mod digests;
mod files;
pub mod keys;
mod place;
mod round;
mod state;

use breakwater_audit::AuditService;
use breakwater_blobs::Blobs;
use breakwater_meta::MetaClient;
use breakwater_types::{Region, SharedClock};
use keys::SigningKey;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often it is looked whether something is due.
const LOOK_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub struct Periods {
    pub files: Duration,
    pub digests: Duration,
    /// For so long after a trail has stopped, events of before may come.
    pub stragglers: Duration,
}

pub struct Delivery {
    pub audit: Arc<AuditService>,
    pub blobs: Arc<Blobs>,
    pub meta: MetaClient,
    pub clock: SharedClock,
    pub region: Region,
    pub periods: Periods,
    /// How far each trail, by its id, was looked through without finding anything.
    seen: HashMap<u128, u64>,
    key: Option<SigningKey>,
    /// Since when this node delivers.
    led_since: Option<Instant>,
}

impl Delivery {
    pub fn new(
        audit: Arc<AuditService>,
        blobs: Arc<Blobs>,
        meta: MetaClient,
        clock: SharedClock,
        region: Region,
        periods: Periods,
    ) -> Self {
        Delivery { audit, blobs, meta, clock, region, periods, seen: HashMap::new(), key: None, led_since: None }
    }

    /// For ever.
    pub async fn run(mut self) {
        let look = self.periods.files.min(self.periods.digests).min(LOOK_MAX);
        let mut last: Option<Instant> = None;
        loop {
            tokio::time::sleep(look).await;
            let led = match self.audit.group().filter(|group| self.audit.knows_order() && group.is_leader()) {
                // All that was kept before is in this node's replica then.
                Some(group) => group.lead().await.is_ok(),
                None => false,
            };
            if !led {
                (last, self.led_since) = (None, None);
                self.audit.set_delivered(0);
                continue;
            }
            self.led_since.get_or_insert_with(Instant::now);
            let with_files = last.is_none_or(|last| last.elapsed() + look / 2 >= self.periods.files);
            if with_files {
                last = Some(Instant::now());
            }
            if let Err(why) = self.round(with_files).await {
                tracing::warn!(why, "trails are not delivered for now");
            }
        }
    }
}
