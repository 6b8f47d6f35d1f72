//! What the console hands to a browser and wants back unchanged and unread: sealed with a key that control nodes alone
//! have, so that any of them opens it.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use breakwater_meta::{Compare, MetaClient, MetaError, Op, RangeRequest, Txn};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use zeroize::Zeroizing;

const KEYS: &[u8] = b"control/console-key/";
const KEYS_MAX: usize = 100;
const NONCE_BYTES: usize = 12;
/// Longer texts aren't read at all.
const TEXT_BYTES_MAX: usize = 4_096;

/// The keys by number, the newest last; the first one is made at the first start.
pub async fn keys(meta: &MetaClient, deadline: Instant) -> Result<Vec<(u32, Zeroizing<Vec<u8>>)>, MetaError> {
    let first = [KEYS, &1u32.to_be_bytes()].concat();
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let txn = Txn {
        compares: vec![Compare::Absent(first.clone())],
        success: vec![Op::put(first, key.to_vec())],
        failure: vec![],
    };
    meta.txn(txn, deadline).await?;
    let all = meta.range(RangeRequest::prefix(KEYS, KEYS_MAX), deadline).await?;
    let number = |key: &[u8]| key.strip_prefix(KEYS)?.try_into().ok().map(u32::from_be_bytes);
    let keys = all.entries.iter().filter_map(|e| Some((number(&e.key)?, Zeroizing::new(e.value.to_vec()))));
    Ok(keys.collect())
}

/// What a sealed text is for: it opens as nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Session,
    /// A password that was right, whose user has a second factor to show.
    HalfWay,
}

impl Purpose {
    fn about(self) -> &'static [u8] {
        match self {
            Purpose::Session => b"breakwater console session 1",
            Purpose::HalfWay => b"breakwater console half way 1",
        }
    }
}

pub struct Sealer {
    keys: Vec<(u32, Aes256Gcm)>,
    /// Of this region: a browser keeps cookies by host, and regions of one machine share it.
    name: String,
    /// Keyed with the first key, which stays when others come.
    digests: Hmac<Sha256>,
}

impl Sealer {
    pub fn new(keys: Vec<(u32, Zeroizing<Vec<u8>>)>) -> Sealer {
        let digest = keys.first().map(|(_, key)| Sha256::digest(&**key)).unwrap_or_default();
        let name = HEXLOWER.encode(&digest[..4]);
        let first = keys.first().map_or(&[][..], |(_, key)| &key[..]);
        let digests = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(first).expect("HMAC takes any key");
        let keys = keys.into_iter().filter_map(|(n, key)| Some((n, Aes256Gcm::new_from_slice(&key).ok()?)));
        Sealer { keys: keys.collect(), name, digests }
    }

    /// The name of a cookie of this region's.
    pub fn cookie(&self, what: &str) -> String {
        format!("breakwater-{}-{what}", self.name)
    }

    /// Of texts, for who must not compute it: where the wrong passwords of a name that nobody has are counted.
    pub fn digest(&self, texts: [&str; 2]) -> [u8; 32] {
        let mut mac = self.digests.clone();
        mac.update(b"breakwater console digest 1");
        for text in texts {
            // The length first: no two pairs are the same bytes.
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    pub fn seal<T: Serialize>(&self, purpose: Purpose, value: &T) -> Option<String> {
        let (number, key) = self.keys.last()?;
        let plain = Zeroizing::new(postcard::to_stdvec(value).ok()?);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let sealed = key.encrypt(&Nonce::from(nonce), Payload { msg: &plain, aad: purpose.about() }).ok()?;
        Some(BASE64URL_NOPAD.encode(&[&number.to_be_bytes()[..], &nonce, &sealed].concat()))
    }

    /// None for what this region's console hasn't sealed for this purpose.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, text: &str) -> Option<T> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (number, rest) = bytes.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let (_, key) = self.keys.iter().find(|(n, _)| *n == u32::from_be_bytes(*number))?;
        let plain = key.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: purpose.about() }).ok()?;
        postcard::from_bytes(&Zeroizing::new(plain)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealer(seed: u8) -> Sealer {
        Sealer::new(vec![(1, Zeroizing::new(vec![seed; 32]))])
    }

    #[test]
    fn a_text_opens_for_its_purpose_in_its_region_alone() {
        let text = sealer(1).seal(Purpose::Session, &"ann").unwrap();
        let open = |seed, purpose| sealer(seed).open::<String>(purpose, &text);
        assert_eq!(open(1, Purpose::Session).as_deref(), Some("ann"));
        assert_eq!((open(1, Purpose::HalfWay), open(2, Purpose::Session)), (None, None));
        assert_ne!(sealer(1).cookie("session"), sealer(2).cookie("session"));
        let rotated = Sealer::new(vec![(1, Zeroizing::new(vec![1; 32])), (2, Zeroizing::new(vec![2; 32]))]);
        assert!(rotated.open::<String>(Purpose::Session, &text).is_some());
        assert!(Sealer::new(vec![]).seal(Purpose::Session, &"ann").is_none());
    }

    #[test]
    fn digests_hang_on_the_first_key_and_on_where_a_text_ends() {
        let digest = |texts| sealer(1).digest(texts);
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
        assert_ne!(digest(["ab", "c"]), sealer(2).digest(["ab", "c"]));
        let rotated = Sealer::new(vec![(1, Zeroizing::new(vec![1; 32])), (2, Zeroizing::new(vec![2; 32]))]);
        assert_eq!(digest(["ab", "c"]), rotated.digest(["ab", "c"]));
    }

    proptest! {
        #[test]
        fn changed_and_invented_texts_are_refused(at in 0usize..200, bit in 0u8..8, text in "[A-Za-z0-9_-]{0,200}|.{0,60}") {
            let sealer = sealer(1);
            let sealed = sealer.seal(Purpose::Session, &"ann").unwrap();
            let mut bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(sealer.open::<String>(Purpose::Session, &BASE64URL_NOPAD.encode(&bytes)).is_none());
            prop_assert!(sealer.open::<String>(Purpose::Session, &text).is_none());
        }
    }
}
