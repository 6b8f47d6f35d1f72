//! What an account has been told of a SAML provider: its name for itself, and its keys.

use super::xml::{self, METADATA, SIGNATURE};
use crate::{Refused, invalid};
use aws_lc_rs::signature::{RsaParameters, UnparsedPublicKey};
use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;

/// Keys that are tried at most.
const KEYS_MAX: usize = 10;

/// An RSA key.
#[derive(Debug)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn verifies(&self, parameters: &'static RsaParameters, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(parameters, &self.0).verify(message, signature).is_ok()
    }
}

#[derive(Debug)]
pub struct Metadata {
    pub entity_id: String,
    pub valid_until_unix_s: Option<i64>,
    keys: Vec<Key>,
}

fn wrong(what: &str) -> Refused {
    invalid(format!("Could not parse metadata: {what}"))
}

impl Metadata {
    pub fn parse(text: &str) -> Result<Metadata, Refused> {
        let document = xml::parse(text)?;
        let root = document.root_element();
        if !xml::is(root, METADATA, "EntityDescriptor") {
            return Err(wrong("it is not an EntityDescriptor"));
        }
        let entity_id = root.attribute("entityID").filter(|id| !id.is_empty() && id.len() <= 1_024);
        let entity_id = entity_id.ok_or_else(|| wrong("it has no entityID"))?.to_owned();
        let provider = xml::only(root, METADATA, "IDPSSODescriptor")?;
        let mut keys = Vec::new();
        for key in xml::children(provider, METADATA, "KeyDescriptor") {
            if key.attribute("use").is_some_and(|used| used != "signing") {
                continue;
            }
            for certificate in key.descendants().filter(|node| xml::is(*node, SIGNATURE, "X509Certificate")) {
                let der = xml::bytes(certificate)?;
                let (_, parsed) = x509_parser::parse_x509_certificate(&der)
                    .map_err(|_| wrong("it has a certificate that can't be read"))?;
                let public = parsed.public_key();
                if public.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
                    return Err(wrong("it has a key that is not RSA"));
                }
                keys.push(Key(public.subject_public_key.data.to_vec()));
            }
        }
        match keys.len() {
            0 => Err(wrong("it has no certificate to verify signatures with")),
            1..=KEYS_MAX => Ok(Metadata { entity_id, valid_until_unix_s: xml::time(root, "validUntil")?, keys }),
            _ => Err(wrong("it has too many certificates")),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter()
    }
}
