//! Joining and renewal: the host's side.

use crate::IdentityError;
use crate::ca::{BACKDATED_S, CERTIFICATE_LIFE_S, Ca, new_request};
use crate::credentials::{Credentials, anonymous_client};
use crate::files::{file_error, read_secret, unseal, write_secret};
use crate::grpc::connect;
use crate::name::PeerIdentity;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use breakwater_proto::join::join_client::JoinClient;
use breakwater_proto::join::{ChallengeRequest, EnrolRequest, RenewRequest};
use breakwater_types::{NodeName, SharedClock};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Who this node is to be, and how it gets its certificate.
#[derive(Clone, Debug)]
pub struct Joining {
    pub dir: PathBuf,
    pub identity: PeerIdentity,
    pub address: IpAddr,
    /// Control nodes' joining ports.
    pub join: Vec<(NodeName, SocketAddr)>,
    pub clock: SharedClock,
}

const CERTIFICATE: &str = "node.pem";
const KEY: &str = "node.key";
const ENROLMENT: &str = "enrolment.key";
const TOKEN: &str = "join-token";
const ATTEMPT: Duration = Duration::from_secs(3);
/// A stored certificate with less left is not worth a start. Small: a node starts without the control plane while it
/// can, and renews as soon as it runs.
const LEFT_MIN_S: i64 = 60;
/// Between two looks at the clock, which may be moved meanwhile; also between two renewals, where clocks differ so
/// much that a new certificate is due again at once.
const NAP_S: i64 = 30;

/// More than a whole life left: the clock was moved back since, and peers refuse it as not yet valid.
fn from_the_future(left_s: i64) -> bool {
    left_s > CERTIFICATE_LIFE_S + BACKDATED_S
}

/// The CA of a control node, out of its folder.
pub fn load_ca(joining: &Joining) -> Result<Ca, IdentityError> {
    let dev_key = read_secret(&joining.dir.join("dev.key"))?;
    let sealed = read_secret(&joining.dir.join("ca.key.sealed"))?;
    let key = unseal(&dev_key, &sealed)?;
    let key = String::from_utf8(key.to_vec())
        .map(Zeroizing::new)
        .map_err(|_| IdentityError::Certificate("the CA key isn't text".to_owned()))?;
    Ca::load(joining.ca_pem()?, key, joining.clock.clone())
}

impl Joining {
    pub(crate) fn ca_pem(&self) -> Result<String, IdentityError> {
        let path = self.dir.join("ca.pem");
        std::fs::read_to_string(&path).map_err(file_error(&path))
    }

    /// A control node signs its own certificate: it must come up when nobody else is there.
    pub fn control_credentials(&self, ca: &Ca) -> Result<Arc<Credentials>, IdentityError> {
        let (key, request) = new_request()?;
        let certificate = ca.sign(&request, &self.identity, self.address)?;
        Credentials::new(ca.certificate_pem(), &certificate, &key, self.clock.clone())
    }

    pub fn renew_control(&self, ca: &Ca, credentials: &Credentials) -> Result<(), IdentityError> {
        let (key, request) = new_request()?;
        let certificate = ca.sign(&request, &self.identity, self.address)?;
        credentials.replace(&certificate, &key)
    }

    /// The stored certificate while it is good; else a new one, by the enrolment key or, the first time, the token.
    /// Goes on trying until a control node answers; a refusal is final.
    pub async fn credentials(&self) -> Result<Arc<Credentials>, IdentityError> {
        let ca_pem = self.ca_pem()?;
        if let Some(stored) = self.stored(&ca_pem) {
            return Ok(stored);
        }
        let mut told = false;
        loop {
            match self.obtain(&ca_pem).await {
                Ok((certificate, key)) => {
                    return Credentials::new(&ca_pem, &certificate, &key, self.clock.clone());
                }
                Err(IdentityError::Unreachable(why)) => {
                    if !told {
                        tracing::info!(why, "waits for a control node to certify this host");
                        told = true;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn stored(&self, ca_pem: &str) -> Option<Arc<Credentials>> {
        let certificate = std::fs::read_to_string(self.dir.join(CERTIFICATE)).ok()?;
        let key = Zeroizing::new(std::fs::read_to_string(self.dir.join(KEY)).ok()?);
        let credentials = Credentials::new(ca_pem, &certificate, &key, self.clock.clone()).ok()?;
        let left = credentials.not_after_s() - self.clock.unix_s();
        let good = credentials.identity() == self.identity && left > LEFT_MIN_S && !from_the_future(left);
        good.then_some(credentials)
    }

    /// A new certificate, stored: `(certificate, key)`.
    async fn obtain(&self, ca_pem: &str) -> Result<(String, Zeroizing<String>), IdentityError> {
        let (key, csr_pem) = new_request()?;
        let mut last = IdentityError::Unreachable("no control node is configured".to_owned());
        for (name, address) in &self.join {
            let asked = tokio::time::timeout(ATTEMPT, self.ask(ca_pem, name, *address, &csr_pem)).await;
            match asked {
                Ok(Ok(certificate)) => {
                    write_secret(&self.dir.join(KEY), key.as_bytes())?;
                    write_secret(&self.dir.join(CERTIFICATE), certificate.as_bytes())?;
                    let token = self.dir.join(TOKEN);
                    if token.exists() {
                        std::fs::remove_file(&token).map_err(file_error(&token))?;
                    }
                    return Ok((certificate, key));
                }
                Ok(Err(e @ IdentityError::Unreachable(_))) => last = e,
                Ok(Err(e)) => return Err(e),
                Err(_) => last = IdentityError::Unreachable(format!("{name} didn't answer in time")),
            }
        }
        Err(last)
    }

    async fn ask(
        &self,
        ca_pem: &str,
        control: &NodeName,
        address: SocketAddr,
        csr_pem: &str,
    ) -> Result<String, IdentityError> {
        let channel = connect(anonymous_client(ca_pem, &self.clock)?, address, control).await?;
        let mut client = JoinClient::new(channel);
        let answered = |status: tonic::Status| match status.code() {
            tonic::Code::PermissionDenied | tonic::Code::InvalidArgument => {
                IdentityError::Refused(status.message().to_owned())
            }
            _ => IdentityError::Unreachable(status.to_string()),
        };
        let host = self.identity.name.to_string();
        let token = self.dir.join(TOKEN);
        let enrolment = self.enrolment_key()?;
        if token.exists() {
            let token = std::fs::read_to_string(&token).map_err(file_error(&token))?;
            let request = EnrolRequest {
                host,
                token: token.trim().to_owned(),
                enrolment_key: enrolment.public_key().as_ref().to_vec().into(),
                csr_pem: csr_pem.to_owned(),
            };
            return Ok(client.enrol(request).await.map_err(answered)?.into_inner().certificate_pem);
        }
        let nonce = client.challenge(ChallengeRequest {}).await.map_err(answered)?.into_inner().nonce;
        let signature = enrolment.sign(&[&nonce[..], csr_pem.as_bytes()].concat());
        let request =
            RenewRequest { host, csr_pem: csr_pem.to_owned(), nonce, signature: signature.as_ref().to_vec().into() };
        Ok(client.renew(request).await.map_err(answered)?.into_inner().certificate_pem)
    }

    pub(crate) fn enrolment_path(&self) -> PathBuf {
        self.dir.join(ENROLMENT)
    }

    /// Made at the first call, and kept: what proves this host after its certificate has ended.
    pub(crate) fn enrolment_key(&self) -> Result<Ed25519KeyPair, IdentityError> {
        let path = self.enrolment_path();
        let unusable = |_| IdentityError::Certificate("the enrolment key can't be used".to_owned());
        if !path.exists() {
            let key = Ed25519KeyPair::generate()
                .and_then(|pair| pair.to_pkcs8v1())
                .map_err(|_| IdentityError::Certificate("no key could be made".to_owned()))?;
            write_secret(&path, key.as_ref())?;
        }
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&read_secret(&path)?).map_err(unusable)
    }

    /// Renews after two thirds of a certificate's life, for ever. For control nodes with their CA.
    pub async fn keep_renewed(self, credentials: Arc<Credentials>, ca: Option<Arc<Ca>>) {
        loop {
            let left = credentials.not_after_s() - self.clock.unix_s();
            let due_in = (left - CERTIFICATE_LIFE_S / 3).max(0);
            if due_in > 0 && !from_the_future(left) {
                tokio::time::sleep(Duration::from_secs(due_in.min(NAP_S).unsigned_abs())).await;
                continue;
            }
            let renewed = match &ca {
                Some(ca) => self.renew_control(ca, &credentials),
                None => match self.ca_pem() {
                    Ok(ca_pem) => self
                        .obtain(&ca_pem)
                        .await
                        .and_then(|(certificate, key)| credentials.replace(&certificate, &key)),
                    Err(e) => Err(e),
                },
            };
            match renewed {
                Ok(()) => {
                    tracing::info!(not_after_s = credentials.not_after_s(), "certificate renewed");
                    tokio::time::sleep(Duration::from_secs(NAP_S.unsigned_abs())).await;
                }
                Err(e) => {
                    tracing::warn!(error = %e, "the certificate could not be renewed");
                    let jitter = rand::random::<u64>() % 5_000;
                    tokio::time::sleep(Duration::from_millis(5_000 + jitter)).await;
                }
            }
        }
    }
}
