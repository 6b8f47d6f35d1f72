//! Who vouches for a provider's server: an authority that this machine trusts, or a certificate that the provider's
//! thumbprints name.

use super::https::Failed;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha1::{Digest as _, Sha1};
use std::sync::Arc;

/// As IAM has it: the SHA-1 of a certificate, in hexadecimal.
pub fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    Sha1::digest(certificate).iter().map(|b| format!("{b:02x}")).collect()
}

#[derive(Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    /// None on a machine that trusts nobody.
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl Trust {
    pub fn of_machine() -> Trust {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for e in &found.errors {
            tracing::debug!(error = %e, "authorities that this machine trusts can't be read");
        }
        roots.add_parsable_certificates(found.certs);
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().ok();
        Trust { provider, authorities }
    }

    fn config(&self, verifier: Arc<dyn ServerCertVerifier>) -> Result<Arc<ClientConfig>, Error> {
        let config =
            ClientConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions()?;
        Ok(Arc::new(config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
    }

    /// Also whom these thumbprints name.
    pub fn with(&self, thumbprints: &[String]) -> Result<Arc<ClientConfig>, Failed> {
        let verifier = Vouched {
            provider: self.provider.clone(),
            authorities: self.authorities.clone(),
            thumbprints: Some(thumbprints.to_vec()),
        };
        self.config(Arc::new(verifier)).map_err(|e| Failed::Unreachable(e.to_string()))
    }

    /// To see who is there: nothing that such a server says is believed.
    pub fn in_anybody(&self) -> Result<Arc<ClientConfig>, Failed> {
        let verifier = Vouched { provider: self.provider.clone(), authorities: None, thumbprints: None };
        self.config(Arc::new(verifier)).map_err(|e| Failed::Unreachable(e.to_string()))
    }
}

#[derive(Debug)]
struct Vouched {
    provider: Arc<CryptoProvider>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// None where everybody will do.
    thumbprints: Option<Vec<String>>,
}

impl Vouched {
    /// By a certificate of the chain itself that a thumbprint names.
    fn by_thumbprint(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let is_named = |certificate: &CertificateDer<'_>| match &self.thumbprints {
            Some(thumbprints) => thumbprints.contains(&thumbprint(certificate)),
            None => false,
        };
        if let Some(authority) = intermediates.iter().find(|certificate| is_named(certificate)) {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone().into_owned())?;
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone()).build();
            let verifier = verifier.map_err(|e| Error::General(e.to_string()))?;
            return verifier.verify_server_cert(end_entity, intermediates, name, &[], now).map(|_| ());
        }
        if !is_named(end_entity) {
            return Err(CertificateError::UnknownIssuer.into());
        }
        // The server's own certificate: nobody else has to vouch for it, but it has to be for this name and this time.
        rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).map_err(|_| CertificateError::Expired)?;
        let (from, to) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        match (from..=to).contains(&now) {
            true => Ok(()),
            false => Err(CertificateError::Expired.into()),
        }
    }
}

impl ServerCertVerifier for Vouched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.thumbprints.is_none() {
            return Ok(ServerCertVerified::assertion());
        }
        if let Some(authorities) = &self.authorities
            && let Ok(verified) = authorities.verify_server_cert(end_entity, intermediates, name, ocsp, now)
        {
            return Ok(verified);
        }
        self.by_thumbprint(end_entity, intermediates, name, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
