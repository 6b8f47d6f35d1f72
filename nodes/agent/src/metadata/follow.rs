//! Hears from control nodes what this host's profile is, and gets new credentials when half of their life is over.

use super::held::{Heard, Held};
use super::renewal::Renewal;
use breakwater_identity::Joining;
use breakwater_node::Named;
use breakwater_proto::instance::{Answer, Request};
use breakwater_transport::{Kind, Transport};
use breakwater_types::{NodeName, SharedClock};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long an answer may take, and one that comes when something has changed.
const PATIENCE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(20);

struct Follower {
    transport: Arc<Transport>,
    held: Arc<Held>,
    clock: SharedClock,
    /// Of what was heard last.
    digest: u64,
    revision: u64,
    /// Of the credentials that were heard last, if there are any.
    renewal: Option<Renewal>,
}

/// For ever.
pub async fn follow(joining: Joining, control: Vec<Named>, held: Arc<Held>) {
    let credentials = joining.agent_credentials().await;
    let clock = joining.clock.clone();
    tokio::spawn(joining.keep_agent_renewed(credentials.clone()));
    let transport = Transport::new(credentials, Default::default());
    for node in &control {
        transport.set_address(&node.name, node.address);
    }
    let mut follower = Follower { transport, held, clock, digest: 0, revision: 0, renewal: None };
    let mut pause = PAUSE;
    for node in control.iter().cycle() {
        let e = loop {
            match follower.ask(&node.name).await {
                Ok(()) => pause = PAUSE,
                Err(e) => break e,
            }
        };
        tracing::debug!(error = e, node = %node.name, "nothing heard of this host's profile: on to the next");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl Follower {
    async fn ask(&mut self, node: &NodeName) -> Result<(), String> {
        let left = self.renewal.as_ref().map(|renewal| renewal.left(&*self.clock));
        let renew = left.is_some_and(|left| left.is_zero());
        let wait = if self.revision == 0 || renew { PATIENCE } else { left.unwrap_or(WATCH).clamp(PATIENCE, WATCH) };
        let asked = Request { digest: self.digest, revision: self.revision, renew };
        let payload = asked.encode_to_vec().into();
        let answer = self.transport.call(node, Kind::Instance, 0, payload, Instant::now() + wait).await;
        let answer = Answer::decode(answer.map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
        if answer.revision < self.revision {
            return Err("it is older than what is known".to_owned());
        }
        if let Some(instance) = answer.instance {
            let heard = Heard::new(instance, self.clock.unix_s());
            self.renewal = heard.credentials().map(|credentials| Renewal::of(credentials, &*self.clock));
            match heard.credentials() {
                Some(c) => tracing::info!(access_key_id = c.access_key_id, "this host has new credentials"),
                None => tracing::info!("this host has no credentials"),
            }
            self.held.set(heard);
        } else if renew {
            return Err("no new credentials".to_owned());
        }
        (self.digest, self.revision) = (answer.digest, answer.revision);
        Ok(())
    }
}
