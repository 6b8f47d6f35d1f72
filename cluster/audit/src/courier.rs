//! Brings events to the group's leader, wherever it is.

use crate::Category;
use crate::machine::to_format_4;
use crate::service::Reply;
use breakwater_aws::Event;
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_transport::{Kind, Transport};
use breakwater_types::NodeName;
use breakwater_types::formats::{Formats, TRAILS};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const ATTEMPT: Duration = Duration::from_secs(3);

pub(crate) struct Courier {
    pub(crate) transport: Arc<Transport>,
    pub(crate) formats: Arc<Formats>,
    pub(crate) category: Category,
    /// The control nodes.
    pub(crate) nodes: Vec<NodeName>,
    pub(crate) leader: Option<NodeName>,
    pub(crate) next: usize,
}

impl Courier {
    /// One attempt; who is asked next it remembers.
    pub(crate) async fn bring(&mut self, events: &[Event]) -> Result<(), String> {
        let node = match self.leader.take() {
            Some(leader) => leader,
            None => {
                self.next += 1;
                self.nodes.get(self.next % self.nodes.len().max(1)).cloned().ok_or("no control node is known")?
            }
        };
        let payload = match (self.formats.active() >= TRAILS, self.category) {
            (true, category) => to_format_4(&(category, events))?,
            (false, Category::Management) => to_stored(&events)?,
            (false, Category::Data) => return Err("data events aren't known everywhere yet".to_owned()),
        };
        let asked = self.transport.call(&node, Kind::Audit, 2, payload.into(), Instant::now() + ATTEMPT).await;
        match from_stored(&asked.map_err(|e| format!("{node}: {e}"))?)? {
            Reply::Kept => {
                self.leader = Some(node);
                Ok(())
            }
            Reply::NotLeader(hint) => {
                self.leader = hint.filter(|leader| *leader != node);
                Err(format!("{node} doesn't lead"))
            }
            Reply::Busy(why) => Err(format!("{node}: {why}")),
        }
    }
}
