//! Hosts as instances: which instance profile a host has, and the credentials that its agent gets for it.
//!
//! A host's agent asks, and its certificate says whose agent it is: nobody gets another host's credentials. It is
//! answered when there is something else than what it knows, so that a profile that is taken away, a role that is
//! exchanged, or a trust policy that no longer trusts EC2, show on the host at once; credentials that were handed out
//! stay good until they end, as at AWS.

mod association;
mod credentials;
mod event;
mod renewals;
mod view;

pub use association::serve;
pub use renewals::Renewals;

use breakwater_aws::{Recorder, SecretKeys};
use breakwater_consensus::Group;
use breakwater_meta::Mirror;
use breakwater_proto::instance::{Answer, Request};
use breakwater_transport::{Handler, Inbound, Refusal};
use breakwater_types::{AccountId, NodeName, Region, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use view::View;

/// What is left of a caller's time for the answer to reach it.
const MARGIN: Duration = Duration::from_millis(500);
/// How long a node that has heard less than its caller waits to catch up.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Answers hosts' agents.
pub struct Instances {
    pub group: Arc<Group>,
    /// Of IAM's records, associations among them.
    pub mirror: Arc<Mirror>,
    /// Seal session tokens.
    pub keys: Arc<SecretKeys>,
    pub recorder: Arc<dyn Recorder>,
    pub region: Region,
    /// Of hosts without a profile.
    pub account: AccountId,
    pub clock: SharedClock,
    /// How long credentials last.
    pub lasts_s: i64,
    pub renewals: Renewals,
}

impl Instances {
    async fn answer(&self, host: &NodeName, asked: &Request, deadline: Instant) -> Result<Answer, (Refusal, String)> {
        let cut_off = || (Refusal::Overloaded, "this node has lost touch with the control store".to_owned());
        let end = deadline - MARGIN;
        if !self.mirror.wait_for(asked.revision, end.min(Instant::now() + CATCH_UP)).await {
            return Err(cut_off());
        }
        let mut changed = self.mirror.changed();
        loop {
            if !self.group.in_touch() {
                return Err(cut_off());
            }
            // Read first: what is sent is at least as new.
            let revision = *changed.borrow_and_update();
            let view = View::of(self, host);
            let digest = view.digest();
            if digest != asked.digest || asked.renew {
                // What the host says it knows doesn't count here: it can say anything.
                if !self.renewals.take(host, digest, Instant::now()) {
                    return Err((Refusal::Overloaded, "this host got new credentials a moment ago".to_owned()));
                }
                let instance = self.instance(host, &view, digest != asked.digest, deadline).await;
                let instance = instance.map_err(|e| (Refusal::Failed, e))?;
                return Ok(Answer { digest, revision, instance: Some(instance) });
            }
            if tokio::time::timeout_at(end, changed.changed()).await.is_err() {
                return Ok(Answer { digest, revision, instance: None });
            }
        }
    }
}

impl Handler for Instances {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let host = call.from.agents_host();
            let host = host.ok_or((Refusal::Forbidden, "not the agent of a host".to_owned()))?;
            let asked = Request::decode(call.payload).map_err(|e| (Refusal::Malformed, e.to_string()))?;
            let answer = self.answer(&host, &asked, call.deadline).await?;
            Ok(answer.encode_to_vec().into())
        })
    }
}
