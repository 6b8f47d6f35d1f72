//! Signing keys in parts, so that a change of one access key sends a part and not all of them, however many there are.

use super::KeySet;
use breakwater_types::stable_hash;
use serde::{Deserialize, Serialize};

/// Parts that access keys fall into by their ids.
pub const KEY_PARTS: usize = 256;
/// The part after them, of what opens session tokens.
pub const SESSIONS_PART: usize = KEY_PARTS;

/// The part of an access key.
pub fn part_of(access_key_id: &[u8]) -> usize {
    (stable_hash(access_key_id) % KEY_PARTS as u64) as usize
}

/// What a data node knows, when it asks for what has changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeysAsked {
    /// The control store's revision as of which it was told last.
    pub revision: u64,
    /// Of its parts; 0, or none at all, for what it doesn't know.
    pub digests: Vec<u64>,
}

impl KeysAsked {
    pub fn digest(&self, part: usize) -> u64 {
        self.digests.get(part).copied().unwrap_or_default()
    }

    /// What it knows once it has been told.
    pub fn learn(&mut self, told: &KeysTold) {
        self.revision = told.revision;
        self.digests.resize(SESSIONS_PART + 1, 0);
        for part in &told.parts {
            if let Some(digest) = self.digests.get_mut(usize::from(part.number)) {
                *digest = part.digest;
            }
        }
    }
}

/// Parts that are other ones than those that the data node knows.
#[derive(Debug, Serialize, Deserialize)]
pub struct KeysTold {
    pub revision: u64,
    /// Whether there are further ones: it asks again at once.
    pub more: bool,
    pub parts: Vec<KeysPart>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct KeysPart {
    pub number: u16,
    pub digest: u64,
    pub set: KeySet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_and_nothing_else() {
        let part = |number, digest| KeysPart {
            number,
            digest,
            set: KeySet::derive(&[], "r", "dynamodb", vec!["20261123".to_owned()], &[]),
        };
        let mut known = KeysAsked::default();
        known.learn(&KeysTold { revision: 7, more: true, parts: vec![part(3, 9), part(60_000, 1)] });
        assert_eq!((known.revision, known.digest(3), known.digest(4)), (7, 9, 0));
        known.learn(&KeysTold { revision: 8, more: false, parts: vec![part(256, 5)] });
        assert_eq!((known.revision, known.digest(3), known.digest(SESSIONS_PART)), (8, 9, 5));
    }

    #[test]
    fn access_keys_fall_into_all_parts_alike() {
        let mut counts = vec![0; KEY_PARTS];
        for n in 0..100 * KEY_PARTS {
            counts[part_of(format!("AKIA{n:016}").as_bytes())] += 1;
        }
        assert!(counts.iter().all(|n| (40..200).contains(n)), "{counts:?}");
    }
}
