//! Which data calls leave events: those that a trail's selectors name. Every node knows the trails by a mirror, and
//! decides for itself.

use crate::trails::{self, Facts, Trail};
use arc_swap::ArcSwap;
use breakwater_aws::audit::{DataCall, Pending, typed_resources};
use breakwater_aws::{AwsError, Call, Event};
use breakwater_meta::Mirror;
use breakwater_meta::records::from_stored;
use breakwater_types::AccountId;
use std::sync::Arc;

/// What the event of a call of this node's data service tells of the request.
pub type Describe = Arc<dyn Fn(&Call, &Pending) -> DataCall + Send + Sync>;

pub struct DataEvents {
    /// Those that log and select data events.
    trails: Arc<ArcSwap<Vec<Trail>>>,
    describe: Describe,
}

/// Follows the mirror of [`trails::PREFIX`].
async fn follow(mirror: Arc<Mirror>, known: std::sync::Weak<ArcSwap<Vec<Trail>>>) {
    let mut changed = mirror.changed();
    loop {
        let Some(known) = known.upgrade() else { return };
        known.store(Arc::new(read(&mirror)));
        drop(known);
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn read(mirror: &Mirror) -> Vec<Trail> {
    let read = |value: &[u8]| {
        from_stored::<Trail>(value).inspect_err(|e| tracing::error!(error = e, "a trail can't be read")).ok()
    };
    let all = mirror.scan_prefix(trails::PREFIX);
    let all = all.iter().filter_map(|entry| read(&entry.value));
    all.filter(|trail| trail.is_logging() && trail.wants.selectors.of_data()).collect()
}

impl DataEvents {
    pub fn start(mirror: Arc<Mirror>, describe: Describe) -> Self {
        let trails = Arc::new(ArcSwap::from_pointee(read(&mirror)));
        tokio::spawn(follow(mirror, Arc::downgrade(&trails)));
        DataEvents { trails, describe }
    }

    pub fn are_wanted(&self) -> bool {
        !self.trails.load().is_empty()
    }

    /// The events of a call that is over, for the accounts whose trails select them.
    pub fn of(&self, call: &Call, outcome: Result<(), &AwsError>) -> Vec<Event> {
        let Some(pending) = &call.audit else { return Vec::new() };
        let trails = self.trails.load();
        let resources = typed_resources(&pending.resources.lock());
        let resources: Vec<(&str, &str)> = resources.iter().map(|(kind, arn)| (*kind, arn.as_str())).collect();
        let source = format!("{}.amazonaws.com", pending.service);
        let facts = Facts {
            data: true,
            source: &source,
            name: pending.operation,
            read_only: pending.read_only,
            kind: "AwsApiCall",
            identity_arn: &call.principal.arn,
            from_console: call.is_from_console(),
            resources: &resources,
        };
        let wants =
            |account: &AccountId| trails.iter().any(|t| t.account == *account && t.wants.selectors.select(&facts));
        let owners = resources.iter().filter_map(|(_, arn)| arn.split(':').nth(4));
        let mut owners = owners.filter_map(|owner| AccountId::new(owner).ok());
        if !wants(&call.principal.account) && !owners.any(|owner| wants(&owner)) {
            return Vec::new();
        }
        let mut events = call.data_events((self.describe)(call, pending), outcome);
        events.retain(|event| wants(&event.account));
        events
    }
}
