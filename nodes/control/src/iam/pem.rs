//! Certificates and keys in PEM, as requests bring them.

use super::check;
use breakwater_aws::AwsError;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Characters of a certificate's or a key's text.
pub const BODY_MAX: usize = 16_384;
/// Certificates of one chain.
const CHAIN_MAX: usize = 20;

/// A text of at most so many characters.
pub fn text<'a>(value: Option<&'a str>, at: &str, most: usize) -> Result<&'a str, AwsError> {
    let value = check::required(value, at)?;
    match value.chars().count() {
        0 => Err(check::constraint("", at, "Member must have length greater than or equal to 1")),
        n if n > most => {
            Err(check::constraint("", at, &format!("Member must have length less than or equal to {most}")))
        }
        _ => Ok(value),
    }
}

fn malformed(what: &str) -> AwsError {
    AwsError::new("MalformedCertificate", 400, what.to_owned())
}

fn unreadable() -> AwsError {
    malformed("Unable to parse certificate. Please ensure the certificate is in PEM format.")
}

/// The one certificate of a text.
pub fn certificate(text: &str) -> Result<Vec<u8>, AwsError> {
    let [one] = <[Vec<u8>; 1]>::try_from(certificates(text, 1).ok_or_else(unreadable)?).map_err(|_| unreadable())?;
    parsed(&one)?;
    Ok(one)
}

/// Those of a text that holds nothing else: a key that came with one by mistake would be stored and told with it.
fn certificates(text: &str, most: usize) -> Option<Vec<Vec<u8>>> {
    let text = text.trim();
    if !text.starts_with("-----BEGIN CERTIFICATE-----") || !text.ends_with("-----END CERTIFICATE-----") {
        return None;
    }
    let mut all = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        match section {
            Ok((SectionKind::Certificate, der)) if all.len() < most => all.push(der),
            _ => return None,
        }
    }
    Some(all)
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, AwsError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(unreadable()),
    }
}

/// Unix seconds at which it ends.
pub fn expires(der: &[u8]) -> Result<i64, AwsError> {
    Ok(parsed(der)?.validity().not_after.timestamp())
}

pub fn is_valid_at(der: &[u8], unix_s: i64) -> Result<bool, AwsError> {
    let certificate = parsed(der)?;
    let validity = certificate.validity();
    Ok((validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&unix_s))
}

/// Whether the private key is the certificate's.
pub fn check_key(der: &[u8], key: &str) -> Result<(), AwsError> {
    let bad = || malformed("Unable to parse private key. Please ensure the key is unencrypted and in PEM format.");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| bad())?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|_| bad())?;
    let its_own = key.public_key().ok_or_else(bad)?;
    if *its_own != *parsed(der)?.public_key().raw {
        let message = "The certificate and the private key do not match.";
        return Err(AwsError::new("KeyPairMismatch", 400, message));
    }
    Ok(())
}

/// Each certificate of the chain has to be the issuer of the one before, from the certificate itself on.
pub fn check_chain(der: &[u8], chain: &str) -> Result<(), AwsError> {
    let bad = |index: i64| {
        malformed(&format!(
            "Unable to validate certificate chain. The certificate chain must start with the immediate signing \
             certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate \
             is: {index}"
        ))
    };
    let chain = certificates(chain, CHAIN_MAX).ok_or_else(|| bad(-1))?;
    let mut certificate = parsed(der)?;
    for (index, issuer) in (0..).zip(&chain) {
        let of = parsed(issuer).map_err(|_| bad(index))?;
        let issued =
            certificate.issuer() == of.subject() && certificate.verify_signature(Some(of.public_key())).is_ok();
        if !issued {
            return Err(bad(index));
        }
        certificate = of;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, Issuer, KeyPair};

    fn made(name: &str, by: Option<&Issuer<'_, KeyPair>>) -> (String, KeyPair, CertificateParams) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = match by {
            Some(issuer) => params.signed_by(&key, issuer).unwrap().pem(),
            None => params.self_signed(&key).unwrap().pem(),
        };
        (pem, key, params)
    }

    #[test]
    fn keys_and_chains_have_to_fit() {
        let (root, root_key, root_params) = made("root", None);
        let issuer = Issuer::new(root_params, root_key);
        let (leaf, key, _) = made("leaf", Some(&issuer));
        let (other, other_key, _) = made("other", None);
        let der = certificate(&leaf).unwrap();
        assert!(check_key(&der, &key.serialize_pem()).is_ok());
        assert_eq!(check_key(&der, &other_key.serialize_pem()).unwrap_err().code, "KeyPairMismatch");
        assert_eq!(check_key(&der, &leaf).unwrap_err().code, "MalformedCertificate");
        assert!(check_chain(&der, &root).is_ok());
        for bad in [other.as_str(), "", "x", &format!("{root}{other}")] {
            assert_eq!(check_chain(&der, bad).unwrap_err().code, "MalformedCertificate");
        }
        let with_key = format!("{}{leaf}", key.serialize_pem());
        for bad in ["x", &format!("{leaf}{root}"), &with_key, &format!("text\n{leaf}"), &leaf[..leaf.len() / 2]] {
            assert_eq!(certificate(bad).unwrap_err().code, "MalformedCertificate");
        }
        assert!(certificate(&leaf.replace('\n', "\r\n")).is_ok());
        assert!(is_valid_at(&der, 1_790_000_000).unwrap() && expires(&der).unwrap() > 1_790_000_000);
    }
}
