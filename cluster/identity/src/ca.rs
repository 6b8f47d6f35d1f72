//! The cluster's certificate authority.

use crate::IdentityError;
use crate::name::PeerIdentity;
use breakwater_types::{NodeKind, SharedClock};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::DnsName;
use std::net::IpAddr;
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// A node's certificate lives so long; it is renewed after two thirds.
pub const CERTIFICATE_LIFE_S: i64 = 24 * 3_600;
const CA_LIFE_DAYS: i64 = 3_650;
/// Clocks of two hosts may differ by this much.
pub(crate) const BACKDATED_S: i64 = 300;

/// Signs node certificates. Its key stands in memory on control nodes and with `init` only.
pub struct Ca {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    key_pem: Zeroizing<String>,
    clock: SharedClock,
    front_names: Vec<SanType>,
}

/// By which names and addresses clients reach a front door, unless it is told otherwise.
pub const FRONT_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A name, `*.name` too, or an address, as certificates have them.
fn front_name(name: &str) -> Result<SanType, IdentityError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    DnsName::try_from(name.strip_prefix("*.").unwrap_or(name)).map_err(failed)?;
    Ok(SanType::DnsName(name.try_into().map_err(failed)?))
}

pub fn is_front_name(name: &str) -> bool {
    front_name(name).is_ok()
}

fn failed(e: impl std::fmt::Display) -> IdentityError {
    IdentityError::Certificate(e.to_string())
}

fn at(clock: &SharedClock, offset_s: i64) -> Result<OffsetDateTime, IdentityError> {
    let now = OffsetDateTime::from_unix_timestamp(clock.unix_s()).map_err(failed)?;
    Ok(now + Duration::seconds(offset_s))
}

impl Ca {
    pub fn generate(region: &str, clock: SharedClock) -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Breakwater {region} CA"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = at(&clock, -BACKDATED_S)?;
        params.not_after = at(&clock, CA_LIFE_DAYS * 86_400)?;
        let certificate_pem = params.self_signed(&key).map_err(failed)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        Self::load(certificate_pem, key_pem, clock)
    }

    pub fn load(
        certificate_pem: String,
        key_pem: Zeroizing<String>,
        clock: SharedClock,
    ) -> Result<Self, IdentityError> {
        let key = KeyPair::from_pem(&key_pem).map_err(failed)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(failed)?;
        Ca { certificate_pem, issuer, key_pem, clock, front_names: Vec::new() }.with_front_names(&FRONT_NAMES)
    }

    /// The names that nodes with a front door are certified for besides their own.
    pub fn with_front_names(mut self, names: &[impl AsRef<str>]) -> Result<Self, IdentityError> {
        self.front_names = names.iter().map(|name| front_name(name.as_ref())).collect::<Result<_, _>>()?;
        Ok(self)
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    pub(crate) fn key_pem(&self) -> &Zeroizing<String> {
        &self.key_pem
    }

    /// Signs the public key of a request under an identity that the caller has checked; nothing else of the request
    /// is believed.
    pub fn sign(&self, request_pem: &str, who: &PeerIdentity, address: IpAddr) -> Result<String, IdentityError> {
        let request = CertificateSigningRequestParams::from_pem(request_pem).map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, who.name.as_str());
        params.subject_alt_names = vec![
            SanType::DnsName(who.name.as_str().try_into().map_err(failed)?),
            SanType::IpAddress(address),
            SanType::URI(who.uri().as_str().try_into().map_err(failed)?),
        ];
        if matches!(who.kind, NodeKind::Control | NodeKind::Dynamo) {
            params.subject_alt_names.extend(self.front_names.iter().cloned());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        // An agent only calls: nobody takes it for a node, whatever a node's name is.
        if who.kind != NodeKind::Agent {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.not_before = at(&self.clock, -BACKDATED_S)?;
        params.not_after = at(&self.clock, CERTIFICATE_LIFE_S)?;
        Ok(params.signed_by(&request.public_key, &self.issuer).map_err(failed)?.pem())
    }
}

/// A new key with a request to have it certified: `(key, request)`, both PEM.
pub fn new_request() -> Result<(Zeroizing<String>, String), IdentityError> {
    let key = KeyPair::generate().map_err(failed)?;
    let request = CertificateParams::default().serialize_request(&key).map_err(failed)?.pem().map_err(failed)?;
    Ok((Zeroizing::new(key.serialize_pem()), request))
}
