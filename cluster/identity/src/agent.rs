//! Certificates of agents: of a kind of their own, which servers don't take for a node's, and in memory only.
//!
//! A host that joins proves its agent with its enrolment key; on a control host the agent signs for itself, as the node
//! does. An agent never gives up: its host may not have joined yet.

use crate::IdentityError;
use crate::ca::{CERTIFICATE_LIFE_S, new_request};
use crate::credentials::{Credentials, anonymous_client};
use crate::files::file_error;
use crate::grpc::connect;
use crate::join::{Joining, load_ca};
use crate::name::PeerIdentity;
use breakwater_proto::join::join_client::JoinClient;
use breakwater_proto::join::{ChallengeRequest, RenewRequest};
use breakwater_types::{NodeKind, NodeName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// What stands before an agent's proof, so that it is no node's.
pub(crate) const PROOF: &[u8] = b"agent\0";
const PREFIX: &str = "agent-";
const ATTEMPT: Duration = Duration::from_secs(3);
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Between two looks at the clock, which may be moved meanwhile.
const NAP: Duration = Duration::from_secs(30);

impl PeerIdentity {
    /// The agent of this host.
    pub fn agent(&self) -> Result<PeerIdentity, IdentityError> {
        let name = NodeName::new(format!("{PREFIX}{}", self.name));
        let name = name.map_err(|e| IdentityError::Certificate(e.to_string()))?;
        Ok(PeerIdentity { name, kind: NodeKind::Agent, ..self.clone() })
    }

    /// Whose agent this is.
    pub fn agents_host(&self) -> Option<NodeName> {
        if self.kind != NodeKind::Agent {
            return None;
        }
        NodeName::new(self.name.as_str().strip_prefix(PREFIX)?).ok()
    }
}

impl Joining {
    /// A certificate of this host's agent; tried until there is one.
    pub async fn agent_credentials(&self) -> Arc<Credentials> {
        let mut pause = PAUSE_MIN;
        loop {
            let made = self.certify_agent().await.and_then(|(certificate, key)| {
                let ca_pem = self.ca_pem()?;
                Credentials::new(&ca_pem, &certificate, &key, self.clock.clone())
            });
            match made {
                Ok(credentials) => return credentials,
                Err(e) => tracing::debug!(error = %e, "no certificate for this host's agent yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Renews after two thirds of a certificate's life, for ever.
    pub async fn keep_agent_renewed(self, credentials: Arc<Credentials>) {
        loop {
            tokio::time::sleep(NAP).await;
            let left = credentials.not_after_s() - self.clock.unix_s();
            // More than a whole life left: the clock was moved back since.
            if (CERTIFICATE_LIFE_S / 3..=CERTIFICATE_LIFE_S).contains(&left) {
                continue;
            }
            let renewed = self.certify_agent().await;
            if let Err(e) = renewed.and_then(|(certificate, key)| credentials.replace(&certificate, &key)) {
                tracing::warn!(error = %e, "the agent's certificate could not be renewed");
            }
        }
    }

    /// `(certificate, key)`, both PEM.
    async fn certify_agent(&self) -> Result<(String, Zeroizing<String>), IdentityError> {
        let (key, csr_pem) = new_request()?;
        if self.identity.kind == NodeKind::Control {
            let certificate = load_ca(self)?.sign(&csr_pem, &self.identity.agent()?, self.address)?;
            return Ok((certificate, key));
        }
        let mut last = IdentityError::Unreachable("no control node is configured".to_owned());
        for (name, address) in &self.join {
            match tokio::time::timeout(ATTEMPT, self.ask_for_agent(name, *address, &csr_pem)).await {
                Ok(Ok(certificate)) => return Ok((certificate, key)),
                Ok(Err(e)) => last = e,
                Err(_) => last = IdentityError::Unreachable(format!("{name} didn't answer in time")),
            }
        }
        Err(last)
    }

    async fn ask_for_agent(
        &self,
        control: &NodeName,
        address: SocketAddr,
        csr_pem: &str,
    ) -> Result<String, IdentityError> {
        let unreachable = |e: tonic::Status| IdentityError::Unreachable(e.to_string());
        let ca_pem = self.ca_pem()?;
        // The node's own, whenever it has joined: it is never made here.
        let path = self.enrolment_path();
        std::fs::metadata(&path).map_err(file_error(&path))?;
        let enrolment = self.enrolment_key()?;
        let mut client = JoinClient::new(connect(anonymous_client(&ca_pem, &self.clock)?, address, control).await?);
        let nonce = client.challenge(ChallengeRequest {}).await.map_err(unreachable)?.into_inner().nonce;
        let signature = enrolment.sign(&[PROOF, &nonce, csr_pem.as_bytes()].concat());
        let request = RenewRequest {
            host: self.identity.name.to_string(),
            csr_pem: csr_pem.to_owned(),
            nonce,
            signature: signature.as_ref().to_vec().into(),
        };
        Ok(client.certify_agent(request).await.map_err(unreachable)?.into_inner().certificate_pem)
    }
}
