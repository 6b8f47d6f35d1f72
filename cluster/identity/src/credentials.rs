//! A node's own certificate and the CA it trusts, replaceable while connections go on.

use crate::IdentityError;
use crate::name::{PeerIdentity, not_after_s};
use arc_swap::ArcSwap;
use breakwater_types::{NodeName, SharedClock};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;
use std::time::Duration;

fn failed(e: impl std::fmt::Display) -> IdentityError {
    IdentityError::Certificate(e.to_string())
}

/// TLS's view of our clock, so that a moved clock counts for certificates too.
#[derive(Debug)]
struct OurTime(SharedClock);

impl TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.unix_s()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    not_after_s: i64,
}

#[derive(Debug)]
struct Resolver(Arc<ArcSwap<Current>>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
    fn has_certs(&self) -> bool {
        true
    }
}

/// What a node shows and what it trusts.
pub struct Credentials {
    identity: PeerIdentity,
    current: Arc<ArcSwap<Current>>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// For calls before there is a certificate of one's own.
    clock: SharedClock,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn roots(ca_pem: &str) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(failed)?).map_err(failed)?;
    }
    Ok(Arc::new(roots))
}

fn current(certificate_pem: &str, key_pem: &str) -> Result<(Current, PeerIdentity), IdentityError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificate_pem.as_bytes()).collect::<Result<_, _>>().map_err(failed)?;
    let first = chain.first().ok_or_else(|| failed("no certificate"))?;
    let identity = PeerIdentity::from_certificate(first)?;
    let not_after_s = not_after_s(first)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| failed("the key can't be read"))?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|_| failed("the key is of no use"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| failed("key and certificate don't belong together"))?;
    Ok((Current { key: Arc::new(certified), not_after_s }, identity))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A client that knows the CA but has no certificate yet: for joining.
pub(crate) fn anonymous_client(ca_pem: &str, clock: &SharedClock) -> Result<Arc<ClientConfig>, IdentityError> {
    let verifier: Arc<dyn ServerCertVerifier> =
        WebPkiServerVerifier::builder_with_provider(roots(ca_pem)?, provider()).build().map_err(failed)?;
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(OurTime(clock.clone())))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

impl Credentials {
    pub fn new(
        ca_pem: &str,
        certificate_pem: &str,
        key_pem: &str,
        clock: SharedClock,
    ) -> Result<Arc<Self>, IdentityError> {
        let roots = roots(ca_pem)?;
        let (current, identity) = current(certificate_pem, key_pem)?;
        let current = Arc::new(ArcSwap::from_pointee(current));
        let time: Arc<dyn TimeProvider> = Arc::new(OurTime(clock.clone()));

        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build().map_err(failed)?;
        let mut server = ServerConfig::builder_with_details(provider(), time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failed)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(Resolver(current.clone())));
        server.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would go on under the certificate of before.
        server.send_tls13_tickets = 0;

        let servers: Arc<dyn ServerCertVerifier> =
            WebPkiServerVerifier::builder_with_provider(roots, provider()).build().map_err(failed)?;
        let mut client = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(servers)
            .with_client_cert_resolver(Arc::new(Resolver(current.clone())));
        client.resumption = Resumption::disabled();
        client.alpn_protocols = vec![b"h2".to_vec()];

        Ok(Arc::new(Credentials { identity, current, server: Arc::new(server), client: Arc::new(client), clock }))
    }

    pub fn identity(&self) -> PeerIdentity {
        self.identity.clone()
    }

    /// From now on new connections show this certificate. It must be of the same node.
    pub fn replace(&self, certificate_pem: &str, key_pem: &str) -> Result<(), IdentityError> {
        let (current, identity) = current(certificate_pem, key_pem)?;
        if identity != self.identity {
            return Err(failed("a certificate of another node"));
        }
        self.current.store(Arc::new(current));
        Ok(())
    }

    /// When the certificate ends, in seconds since 1970.
    pub fn not_after_s(&self) -> i64 {
        self.current.load().not_after_s
    }

    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// HTTPS for clients, whose signatures say who they are.
    pub fn front_server(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let mut server = self.anonymous_server(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(server))
    }

    /// A server that shows our certificate but asks for none.
    fn anonymous_server(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<ServerConfig, IdentityError> {
        let time: Arc<dyn TimeProvider> = Arc::new(OurTime(self.clock.clone()));
        Ok(ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(versions)
            .map_err(failed)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver(self.current.clone()))))
    }

    /// Where hosts join.
    pub(crate) fn joining_server(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let mut server = self.anonymous_server(&[&rustls::version::TLS13])?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.send_tls13_tickets = 0;
        Ok(Arc::new(server))
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }
}

pub(crate) fn server_name(peer: &NodeName) -> Result<ServerName<'static>, IdentityError> {
    ServerName::try_from(peer.as_str().to_owned()).map_err(failed)
}
