//! Tells control nodes when credentials were last used at this node's front door.

use breakwater_iam::Usages;
use breakwater_meta::records;
use breakwater_transport::{Kind, Transport};
use breakwater_types::NodeName;
use breakwater_types::formats::{Formats, TRAILS};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Told together: this bounds how much is told.
const TOGETHER_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(2);

pub async fn tell(
    usages: Arc<Usages>,
    transport: Arc<Transport>,
    control: Vec<NodeName>,
    formats: Arc<Formats>,
    every: Duration,
) {
    for node in control.iter().cycle() {
        tokio::time::sleep(every).await;
        if formats.active() < TRAILS {
            continue;
        }
        let uses = usages.take(TOGETHER_MAX);
        if uses.is_empty() {
            continue;
        }
        let told = match records::to_stored(&uses) {
            Ok(payload) => {
                let asked = transport.call(node, Kind::Usage, 0, payload.into(), Instant::now() + PATIENCE).await;
                asked.map(|_| ()).map_err(|e| e.to_string())
            }
            Err(e) => Err(e),
        };
        if let Err(e) = told {
            tracing::debug!(error = e, %node, "last uses wait for a control node");
            usages.add(uses);
        }
    }
}
