//! A provider's public keys, as its JSON Web Key Set has them (RFC 7517, RFC 7518).

use crate::jwt::Algorithm;
use crate::{Refused, invalid};
use aws_lc_rs::signature::{RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// AWS's bound for each kind.
const KEYS_MAX: usize = 100;
/// No key that is worth trying is longer.
const NUMBER_BYTES_MAX: usize = 1_024;

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    #[serde(rename = "use")]
    used: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Debug)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// On the curve of this name, as an uncompressed point.
    Curve {
        name: String,
        point: Vec<u8>,
    },
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    public: Public,
}

/// Public keys that signatures are checked with. Symmetric ones are never among them.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

fn number(text: Option<&str>) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    (!bytes.is_empty() && bytes.len() <= NUMBER_BYTES_MAX).then_some(bytes)
}

impl Entry {
    /// None for what can't check a signature.
    fn key(self) -> Option<Key> {
        if self.used.is_some_and(|used| used != "sig") {
            return None;
        }
        let public = match self.kty.as_str() {
            "RSA" => Public::Rsa { n: number(self.n.as_deref())?, e: number(self.e.as_deref())? },
            "EC" => {
                let name = self.crv?;
                let bytes = match name.as_str() {
                    "P-256" => 32,
                    "P-384" => 48,
                    "P-521" => 66,
                    _ => return None,
                };
                let (x, y) = (number(self.x.as_deref())?, number(self.y.as_deref())?);
                if x.len() != bytes || y.len() != bytes {
                    return None;
                }
                Public::Curve { name, point: [&[4][..], &x, &y].concat() }
            }
            _ => return None,
        };
        Some(Key { id: self.kid, algorithm: self.alg, public })
    }
}

impl Key {
    fn fits(&self, algorithm: Algorithm) -> bool {
        let kind = match &self.public {
            Public::Rsa { .. } => algorithm.curve().is_none(),
            Public::Curve { name, .. } => algorithm.curve() == Some(name.as_str()),
        };
        kind && self.algorithm.as_deref().is_none_or(|only| only == algorithm.word())
    }

    fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::Rsa { n, e } => {
                let Some(parameters) = algorithm.rsa() else { return false };
                RsaPublicKeyComponents { n: n.as_slice(), e: e.as_slice() }
                    .verify(parameters, message, signature)
                    .is_ok()
            }
            Public::Curve { point, .. } => {
                let Some(parameters) = algorithm.ecdsa() else { return false };
                UnparsedPublicKey::new(parameters, point).verify(message, signature).is_ok()
            }
        }
    }
}

impl KeySet {
    /// Keys of unknown kinds are left out, as RFC 7517 wants it.
    pub fn parse(json: &[u8]) -> Result<KeySet, Refused> {
        let document: Document = serde_json::from_slice(json).map_err(|_| invalid("it is not a key set"))?;
        if document.keys.len() > 2 * KEYS_MAX {
            return Err(invalid("it has too many keys"));
        }
        let entries = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Entry>(key).ok());
        let keys: Vec<Key> = entries.filter_map(Entry::key).collect();
        let curves = keys.iter().filter(|key| matches!(key.public, Public::Curve { .. })).count();
        if curves > KEYS_MAX || keys.len() - curves > KEYS_MAX {
            return Err(invalid("it has too many keys"));
        }
        Ok(KeySet(keys))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key of this id has signed it; without an id the one key that could have.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Refused> {
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm) && (id.is_none() || key.id.as_deref() == id));
        let key = fitting.next().ok_or(Refused::UnknownKey)?;
        if fitting.next().is_some() {
            return Err(invalid("The identity token doesn't say which of the provider's keys has signed it"));
        }
        match key.verifies(algorithm, message, signature) {
            true => Ok(()),
            false => Err(invalid("The signature of the identity token is not valid")),
        }
    }
}
