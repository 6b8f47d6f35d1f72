//! Joining and renewal: the control node's side.

use crate::IdentityError;
use crate::agent;
use crate::ca::Ca;
use crate::credentials::Credentials;
use crate::files::{HOSTS, KnownHost, read_hosts, token_hash};
use crate::grpc::incoming_unverified;
use crate::name::PeerIdentity;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use breakwater_net::Listener;
use breakwater_proto::join::join_server::{Join, JoinServer};
use breakwater_proto::join::{CertificateReply, ChallengeReply, ChallengeRequest, EnrolRequest, RenewRequest};
use breakwater_types::Region;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tonic::{Request, Response, Status};

const NONCE_LIFE: Duration = Duration::from_secs(30);
const NONCES_MAX: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The host has enrolled already, with another key.
    #[error("the token was used")]
    Used,
    #[error("{0}")]
    Unavailable(String),
}

/// Which hosts have enrolled, with which keys: kept by the control plane.
#[tonic::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Notes the host's key, once. The same key again is fine: the answer may have been lost.
    async fn enrol(&self, host: &str, enrolment_key: &[u8]) -> Result<(), LedgerError>;
    async fn enrolment_key(&self, host: &str) -> Result<Option<Vec<u8>>, LedgerError>;
}

pub struct JoinService {
    ca: Arc<Ca>,
    region: Region,
    /// Read at each call: hosts are replaced while this runs.
    hosts: PathBuf,
    ledger: Arc<dyn Ledger>,
    nonces: Mutex<VecDeque<([u8; 32], Instant)>>,
}

impl JoinService {
    /// `dir` is the control node's identity folder.
    pub fn new(dir: &Path, region: Region, ca: Arc<Ca>, ledger: Arc<dyn Ledger>) -> Result<Self, IdentityError> {
        let hosts = dir.join(HOSTS);
        read_hosts(&hosts)?;
        Ok(JoinService { ca, region, hosts, ledger, nonces: Mutex::default() })
    }

    pub async fn serve(
        self,
        listener: Listener,
        credentials: &Credentials,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), IdentityError> {
        let incoming = incoming_unverified(listener, credentials)?;
        tonic::transport::Server::builder()
            .timeout(Duration::from_secs(5))
            .add_service(JoinServer::new(self).max_decoding_message_size(64 << 10))
            .serve_with_incoming_shutdown(incoming, shutdown)
            .await
            .map_err(|e| IdentityError::Unreachable(e.to_string()))
    }

    fn known(&self, host: &str) -> Result<KnownHost, Status> {
        let hosts = read_hosts(&self.hosts).map_err(|e| {
            tracing::error!(error = %e, "the hosts can't be read");
            Status::unavailable("the hosts can't be read")
        })?;
        hosts
            .into_iter()
            .find(|h| h.plan.name.as_str() == host)
            .ok_or_else(|| Status::permission_denied("the host isn't known, or its proof is wrong"))
    }

    fn identity(&self, host: &KnownHost) -> PeerIdentity {
        PeerIdentity {
            name: host.plan.name.clone(),
            kind: host.plan.kind,
            zone: host.plan.zone.clone(),
            region: self.region.clone(),
        }
    }

    fn sign(
        &self,
        host: &KnownHost,
        identity: PeerIdentity,
        csr_pem: &str,
    ) -> Result<Response<CertificateReply>, Status> {
        let certificate_pem =
            self.ca.sign(csr_pem, &identity, host.plan.address).map_err(|e| Status::invalid_argument(e.to_string()))?;
        tracing::info!(name = %identity.name, "certificate issued");
        Ok(Response::new(CertificateReply { certificate_pem }))
    }
}

fn ledger_status(e: LedgerError) -> Status {
    match e {
        LedgerError::Used => Status::permission_denied("the token was used"),
        LedgerError::Unavailable(why) => Status::unavailable(why),
    }
}

#[tonic::async_trait]
impl Join for JoinService {
    async fn challenge(&self, _request: Request<ChallengeRequest>) -> Result<Response<ChallengeReply>, Status> {
        let nonce: [u8; 32] = rand::random();
        let mut nonces = self.nonces.lock();
        nonces.push_back((nonce, Instant::now()));
        if nonces.len() > NONCES_MAX {
            nonces.pop_front();
        }
        Ok(Response::new(ChallengeReply { nonce: nonce.to_vec().into() }))
    }

    async fn enrol(&self, request: Request<EnrolRequest>) -> Result<Response<CertificateReply>, Status> {
        let request = request.into_inner();
        let host = self.known(&request.host)?;
        let given = token_hash(&request.token);
        if !bool::from(given.as_bytes().ct_eq(host.token_sha256.as_bytes())) {
            return Err(Status::permission_denied("the host isn't known, or its proof is wrong"));
        }
        if request.enrolment_key.len() != 32 {
            return Err(Status::invalid_argument("not an Ed25519 key"));
        }
        self.ledger.enrol(&host.enrolled_as(), &request.enrolment_key).await.map_err(ledger_status)?;
        self.sign(&host, self.identity(&host), &request.csr_pem)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<CertificateReply>, Status> {
        let request = request.into_inner();
        let host = self.proven(&request, b"").await?;
        self.sign(&host, self.identity(&host), &request.csr_pem)
    }

    async fn certify_agent(&self, request: Request<RenewRequest>) -> Result<Response<CertificateReply>, Status> {
        let request = request.into_inner();
        let host = self.proven(&request, agent::PROOF).await?;
        let identity = self.identity(&host).agent().map_err(|e| Status::invalid_argument(e.to_string()))?;
        self.sign(&host, identity, &request.csr_pem)
    }
}

impl JoinService {
    /// The host that a request is of: it holds the enrolment key, and has signed this very challenge.
    async fn proven(&self, request: &RenewRequest, what: &[u8]) -> Result<KnownHost, Status> {
        let host = self.known(&request.host)?;
        let fresh = {
            let mut nonces = self.nonces.lock();
            nonces.retain(|(_, made)| made.elapsed() < NONCE_LIFE);
            let at = nonces.iter().position(|(nonce, _)| nonce[..] == request.nonce[..]);
            at.and_then(|at| nonces.remove(at)).is_some()
        };
        if !fresh {
            // Perhaps made by another control node: the caller asks again.
            return Err(Status::unavailable("the challenge isn't known here"));
        }
        let key = self.ledger.enrolment_key(&host.enrolled_as()).await.map_err(ledger_status)?;
        let key = key.ok_or_else(|| Status::permission_denied("the host has not enrolled"))?;
        UnparsedPublicKey::new(&ED25519, key)
            .verify(&[what, &request.nonce, request.csr_pem.as_bytes()].concat(), &request.signature)
            .map_err(|_| Status::permission_denied("the host isn't known, or its proof is wrong"))?;
        Ok(host)
    }
}
