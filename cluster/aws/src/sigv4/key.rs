//! Signing keys: what a secret access key becomes for one day, region and service.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

type HmacSha256 = Hmac<Sha256>;

fn hmac(key: &[u8], data: &[u8]) -> Zeroizing<[u8; 32]> {
    // HMAC takes keys of any length.
    let mut mac = <HmacSha256 as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(data);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// Can sign for one access key, day, region and service, and for nothing else. Data nodes hold these, never secrets.
#[derive(Clone)]
pub struct SigningKey {
    bytes: Zeroizing<[u8; 32]>,
    /// With the key's two blocks already hashed: half of the work of every signature.
    mac: HmacSha256,
}

impl SigningKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mac = <HmacSha256 as KeyInit>::new_from_slice(&bytes).expect("HMAC takes any key");
        SigningKey { bytes: Zeroizing::new(bytes), mac }
    }

    /// For handing the key to a node that needs it, over an encrypted channel.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub fn sign(&self, string_to_sign: &[u8]) -> [u8; 32] {
        let mut mac = self.mac.clone();
        mac.update(string_to_sign);
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// `date` is `YYYYMMDD`.
pub fn derive_signing_key(secret: &str, date: &str, region: &str, service: &str) -> SigningKey {
    let mut start = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    start.extend_from_slice(b"AWS4");
    start.extend_from_slice(secret.as_bytes());
    let day = hmac(&start, date.as_bytes());
    let region = hmac(&*day, region.as_bytes());
    let service = hmac(&*region, service.as_bytes());
    let key = hmac(&*service, b"aws4_request");
    SigningKey::from_bytes(*key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_aws_documentation() {
        let key = derive_signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
        assert_eq!(hex::encode(key.expose()), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
    }
}
