//! What is stored of a password: Argon2id, whose cost stands in the record, so that it can be raised later.
//!
//! Hashing is made to be slow: it runs off the threads that serve requests, a few at a time, and so many may wait.

use argon2::{Algorithm, Argon2, Params, Version};
use breakwater_aws::AwsError;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// OWASP's recommendation (Password Storage Cheat Sheet, 2024): 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Of a record that was read; a damaged one must not take all memory.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 16;

const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

/// Passwords that one process hashes at once.
const TOGETHER_MAX: usize = 2;
/// Those that wait for it; more are told to try again.
const WAITING_MAX: usize = 64;

static TOGETHER: Semaphore = Semaphore::const_new(TOGETHER_MAX);
static WAITING: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; SALT_BYTES],
    tag: [u8; TAG_BYTES],
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    fn tag_of(&self, password: &str) -> Result<[u8; TAG_BYTES], String> {
        if self.memory_kib > MEMORY_KIB_MAX || self.passes > PASSES_MAX || self.lanes > PASSES_MAX {
            return Err("its cost is out of bounds".to_owned());
        }
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, Some(TAG_BYTES)).map_err(|e| e.to_string())?;
        let mut tag = [0; TAG_BYTES];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(password.as_bytes(), &self.salt, &mut tag).map_err(|e| e.to_string())?;
        Ok(tag)
    }

    fn is_of(&self, password: &str) -> Result<bool, String> {
        Ok(self.tag_of(password)?.ct_eq(&self.tag).into())
    }

    /// That of no password, at the usual cost: what is compared where there is nobody to compare with.
    pub fn decoy() -> Hash {
        Hash { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: [0; SALT_BYTES], tag: [0; TAG_BYTES] }
    }
}

/// One place among those that wait.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        if WAITING.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            WAITING.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, AwsError> {
    let place = Place::take().ok_or_else(AwsError::throttling)?;
    let permit = TOGETHER.acquire().await.map_err(AwsError::internal)?;
    drop(place);
    let done = tokio::task::spawn_blocking(move || {
        // Given back when the work is done, also where nobody waits for it any more.
        let _permit = permit;
        work()
    });
    done.await.map_err(AwsError::internal)?.map_err(AwsError::internal)
}

pub async fn hash(password: Zeroizing<String>) -> Result<Hash, AwsError> {
    apart(move || {
        let mut hash = Hash { salt: rand::random(), ..Hash::decoy() };
        hash.tag = hash.tag_of(&password)?;
        Ok(hash)
    })
    .await
}

/// Whether this is the password of any of these.
pub async fn is_one_of(password: Zeroizing<String>, hashes: Vec<Hash>) -> Result<bool, AwsError> {
    apart(move || {
        let mut found = false;
        for hash in hashes {
            found |= hash.is_of(&password)?;
        }
        Ok(found)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_its_own_hashs_and_no_others() {
        let (a, b) = (hash(text("right")).await.unwrap(), hash(text("right")).await.unwrap());
        assert_ne!(a, b, "each has its own salt");
        assert!(is_one_of(text("right"), vec![a.clone()]).await.unwrap());
        assert!(is_one_of(text("right"), vec![Hash::decoy(), b.clone()]).await.unwrap());
        assert!(!is_one_of(text("wrong"), vec![a.clone(), b]).await.unwrap());
        assert!(!is_one_of(text("right"), vec![Hash::decoy()]).await.unwrap());
        assert_eq!(format!("{a:?}"), "Hash");
    }

    #[test]
    fn a_damaged_record_is_an_error_and_takes_no_memory() {
        for bad in [
            Hash { memory_kib: u32::MAX, ..Hash::decoy() },
            Hash { passes: u32::MAX, ..Hash::decoy() },
            Hash { memory_kib: 0, ..Hash::decoy() },
            Hash { lanes: 0, ..Hash::decoy() },
        ] {
            assert!(bad.is_of("x").is_err());
        }
    }
}
