//! What digests are signed with: RSA key pairs of the region, in the control store. Private parts are read by control
//! nodes alone.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{Compare, MetaClient, Op, RangeRequest, Txn};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

const PUBLIC: &str = "control/trail-key/public/";
const PRIVATE: &str = "control/trail-key/private/";
const KEYS_MAX: usize = 1_000;
/// A pair signs for a year; then there is a new one.
const VALID_MS: i64 = 365 * 86_400_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub from_unix_ms: i64,
    pub to_unix_ms: i64,
    /// PKCS #1, DER.
    pub public: Vec<u8>,
}

impl PublicKey {
    fn is_valid(&self, unix_ms: i64) -> bool {
        (self.from_unix_ms..self.to_unix_ms).contains(&unix_ms)
    }

    /// Names it, in digests.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.public)[..16])
    }
}

pub struct SigningKey {
    pub public: PublicKey,
    pair: KeyPair,
}

impl SigningKey {
    /// RSASSA-PKCS1-v1_5 with SHA-256, in hex.
    pub fn sign(&self, text: &[u8]) -> Result<String, String> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        signed.map_err(|_| "a digest can't be signed")?;
        Ok(HEXLOWER.encode(&signature))
    }

    pub fn is_valid(&self, unix_ms: i64) -> bool {
        self.public.is_valid(unix_ms)
    }
}

/// The newest that is valid: newer ones are of a clock that was ahead.
fn newest(all: Vec<PublicKey>, now_ms: i64) -> Option<PublicKey> {
    all.into_iter().rfind(|public| public.is_valid(now_ms))
}

fn key(kind: &str, from_unix_ms: i64) -> Vec<u8> {
    format!("{kind}{:016x}", from_unix_ms.max(0)).into_bytes()
}

/// All that there have ever been, oldest first.
pub async fn all(meta: &MetaClient, deadline: Instant) -> Result<Vec<PublicKey>, String> {
    let range = RangeRequest::prefix(PUBLIC.as_bytes(), KEYS_MAX);
    let page = meta.range(range, deadline).await.map_err(|e| e.to_string())?;
    page.entries.iter().map(|entry| from_stored(&entry.value)).collect()
}

fn new_pair() -> Result<(KeyPair, Zeroizing<Vec<u8>>), String> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| "no key pair can be made")?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| "a key pair can't be written")?;
    let private = Zeroizing::new(private.as_ref().to_vec());
    Ok((pair, private))
}

/// The pair that signs now; made where there is none.
pub async fn signing(meta: &MetaClient, now_ms: i64, deadline: Instant) -> Result<SigningKey, String> {
    if let Some(public) = newest(all(meta, deadline).await?, now_ms) {
        let private = meta.get(&key(PRIVATE, public.from_unix_ms), deadline).await.map_err(|e| e.to_string())?;
        let private = private.ok_or("the private part of a signing key is missing")?;
        let pair = KeyPair::from_pkcs8(&private.value).map_err(|e| format!("a signing key can't be read: {e}"))?;
        return Ok(SigningKey { public, pair });
    }
    // Slow: off the runtime's threads.
    let (pair, private) = tokio::task::spawn_blocking(new_pair).await.map_err(|e| e.to_string())??;
    let public =
        PublicKey { from_unix_ms: now_ms, to_unix_ms: now_ms + VALID_MS, public: pair.public_key().as_ref().to_vec() };
    let (public_key, private_key) = (key(PUBLIC, now_ms), key(PRIVATE, now_ms));
    let txn = Txn {
        compares: vec![Compare::Absent(public_key.clone())],
        success: vec![Op::put(public_key, to_stored(&public)?), Op::put(private_key, private.to_vec())],
        failure: vec![],
    };
    match meta.txn(txn, deadline).await.map_err(|e| e.to_string())?.succeeded {
        true => Ok(SigningKey { public, pair }),
        false => Err("another node makes a signing key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    #[test]
    fn a_key_of_a_clock_that_was_ahead_leaves_the_valid_one_in_use() {
        let key = |from_unix_ms| PublicKey { from_unix_ms, to_unix_ms: from_unix_ms + 10, public: vec![] };
        let all = || vec![key(0), key(5), key(100)];
        let of = |now_ms| newest(all(), now_ms).map(|key| key.from_unix_ms);
        assert_eq!((of(4), of(7), of(12), of(50), of(105)), (Some(0), Some(5), Some(5), None, Some(100)));
    }

    #[test]
    fn what_is_signed_is_verified_by_the_public_key_as_it_is_told() {
        let (_, private) = new_pair().unwrap();
        let pair = KeyPair::from_pkcs8(&private).unwrap();
        let public = PublicKey { from_unix_ms: 5, to_unix_ms: 9, public: pair.public_key().as_ref().to_vec() };
        let key = SigningKey { public: public.clone(), pair };
        let signature = HEXLOWER.decode(key.sign(b"text").unwrap().as_bytes()).unwrap();
        let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public.public);
        verifier.verify(b"text", &signature).unwrap();
        assert!(verifier.verify(b"texts", &signature).is_err());
        assert!(key.is_valid(5) && !key.is_valid(9) && public.fingerprint().len() == 32);
    }
}
