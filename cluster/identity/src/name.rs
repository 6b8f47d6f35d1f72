//! Who a node is, as its certificate says it.

use crate::IdentityError;
use breakwater_types::{NodeKind, NodeName, Region, Zone};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Verified: it was read from a certificate that our CA signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    pub name: NodeName,
    pub kind: NodeKind,
    /// None for what stands outside the zones, as the edge.
    pub zone: Option<Zone>,
    pub region: Region,
}

const SCHEME: &str = "breakwater://";

impl PeerIdentity {
    /// `breakwater://<region>/<kind>/<zone or ->/<name>`
    pub fn uri(&self) -> String {
        let zone = self.zone.as_ref().map_or("-", Zone::as_str);
        format!("{SCHEME}{}/{}/{zone}/{}", self.region, self.kind, self.name)
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let mut parts = uri.strip_prefix(SCHEME)?.split('/');
        let region = parts.next()?.parse().ok()?;
        let kind = parts.next()?.parse().ok()?;
        let zone = match parts.next()? {
            "-" => None,
            zone => Some(zone.parse().ok()?),
        };
        let name = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(PeerIdentity { name, kind, zone, region })
    }

    pub fn from_certificate(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let bad = |why: &str| IdentityError::Certificate(why.to_owned());
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| bad("a certificate that can't be read"))?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| bad("names that can't be read"))?
            .ok_or_else(|| bad("a certificate without names"))?;
        names
            .value
            .general_names
            .iter()
            .find_map(|name| match name {
                GeneralName::URI(uri) => Self::from_uri(uri),
                _ => None,
            })
            .ok_or_else(|| bad("a certificate without a node's identity"))
    }
}

/// When the certificate ends, in seconds since 1970.
pub(crate) fn not_after_s(der: &CertificateDer<'_>) -> Result<i64, IdentityError> {
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| IdentityError::Certificate("unreadable".to_owned()))?;
    Ok(certificate.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_read_back_and_nothing_else_does() {
        let edge = PeerIdentity {
            name: "edge".parse().unwrap(),
            kind: NodeKind::Edge,
            zone: None,
            region: "us-east-1".parse().unwrap(),
        };
        assert_eq!(PeerIdentity::from_uri(&edge.uri()), Some(edge));
        for bad in
            ["", "breakwater://r/edge/-", "breakwater://r/boat/-/n", "breakwater://r/edge/-/n/x", "http://r/edge/-/n"]
        {
            assert_eq!(PeerIdentity::from_uri(bad), None, "{bad}");
        }
    }
}
