//! The data key of a store, and keys derived from it.

use crate::error::StorageError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

pub(crate) const TAG_BYTES: usize = 16;

/// Never seals anything itself: each use derives a key of its own, so that nonces of one can't meet the other's.
pub(crate) struct DataKey(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey")
    }
}

impl DataKey {
    pub(crate) fn generate() -> Result<Self, StorageError> {
        let mut key = Zeroizing::new(vec![0; 32]);
        aws_lc_rs::rand::fill(&mut key).map_err(|_| StorageError::refused("no random bytes"))?;
        Ok(DataKey(key))
    }
    pub(crate) fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Result<Self, StorageError> {
        if bytes.len() == 32 { Ok(DataKey(bytes)) } else { Err(StorageError::refused("a data key of a wrong length")) }
    }
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// HKDF-SHA256. `purpose` has a fixed length for each `label`, so the two can't be mistaken for each other.
    pub(crate) fn derive(&self, label: &'static str, salt: &[u8]) -> SealKey {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&self.0);
        let info = [label.as_bytes()];
        let okm = prk.expand(&info, &AES_256_GCM).expect("32 bytes are within HKDF's bound");
        SealKey(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

/// AES-256-GCM. The caller answers for nonces that are never used twice.
pub(crate) struct SealKey(LessSafeKey);

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// Appends ciphertext and tag of `plain` to `out`.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        let start = out.len();
        out.extend_from_slice(plain);
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut out[start..])
            .map_err(|_| StorageError::invalid("a value too long to be sealed"))?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// `None` if it isn't what was sealed under this key, nonce and `aad`.
    pub(crate) fn open<'a>(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_salts_make_other_keys() {
        let data = DataKey::generate().unwrap();
        let mut sealed = Vec::new();
        data.derive("a", b"1").seal([0; 12], b"", b"plain", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 5 + TAG_BYTES);
        assert!(data.derive("b", b"1").open([0; 12], b"", &mut sealed.clone()).is_none());
        assert!(data.derive("a", b"2").open([0; 12], b"", &mut sealed.clone()).is_none());
        assert_eq!(data.derive("a", b"1").open([0; 12], b"", &mut sealed).unwrap(), b"plain");
        assert_eq!(format!("{data:?}"), "DataKey");
    }
}
