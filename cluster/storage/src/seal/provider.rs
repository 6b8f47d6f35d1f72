//! Who keeps the root key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The wrapped key is damaged, or was wrapped under another root key or for another store.
    #[error("the key can't be unwrapped by {0}")]
    NotOurs(String),
    #[error("the key provider {provider} can't be used: {reason}")]
    Unavailable { provider: String, reason: String },
}

/// A data key as it may lie on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Which provider, and which of its keys, unwraps it.
    pub provider: String,
    pub key_id: String,
    pub bytes: Vec<u8>,
}

/// Wraps data keys under a root key. `context` is authenticated: a key wrapped for one store opens no other.
pub trait KeyProvider: Send + Sync {
    fn wrap(&self, plaintext_key: &[u8], context: &[u8]) -> Result<WrappedKey, KeyError>;
    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// For development, and until a KMS is there: the root key lies in a file that only its owner can read.
pub struct DevKeyFile {
    path: PathBuf,
    key: LessSafeKey,
    id: String,
}

impl std::fmt::Debug for DevKeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevKeyFile").field("path", &self.path).finish_non_exhaustive()
    }
}

const PROVIDER: &str = "dev-key-file";

fn unavailable(reason: String) -> KeyError {
    KeyError::Unavailable { provider: PROVIDER.to_owned(), reason }
}

impl DevKeyFile {
    /// Opens the key file, or makes one with a random key. 32 bytes, mode 0600; a file that others can read is
    /// refused.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let path = path.into();
        match Self::open(&path) {
            Err(e) if !path.exists() => {
                tracing::debug!(error = %e, "making a development key file");
                create(&path).map_err(|e| unavailable(format!("{}: {e}", path.display())))?;
                Self::open(&path)
            }
            other => other,
        }
    }

    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let path = path.into();
        let key = read(&path).map_err(|e| unavailable(format!("{}: {e}", path.display())))?;
        let id = hex::encode(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &key[..]).as_ref()[..8]);
        let key = UnboundKey::new(&AES_256_GCM, &key[..]).map_err(|_| unavailable("not a key".to_owned()))?;
        Ok(DevKeyFile { path, key: LessSafeKey::new(key), id })
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other("others can read it: its mode must be 0600"));
    }
    if metadata.len() != KEY_BYTES as u64 {
        return Err(io::Error::other(format!("it has {} bytes, not {KEY_BYTES}", metadata.len())));
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    file.read_exact(&mut key[..])?;
    Ok(key)
}

fn create(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(&mut key[..]).map_err(|_| io::Error::other("no random bytes"))?;
    // Linked into place when it is whole: two processes that start at once agree on one key.
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&key[..])?;
    file.sync_all()?;
    let linked = fs::hard_link(&temporary, path);
    fs::remove_file(&temporary)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    fs::File::open(parent)?.sync_all()
}

impl KeyProvider for DevKeyFile {
    fn wrap(&self, plaintext_key: &[u8], context: &[u8]) -> Result<WrappedKey, KeyError> {
        // One wrap a store: random nonces are far from their bound.
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| unavailable("no random bytes".to_owned()))?;
        let mut sealed = Zeroizing::new(plaintext_key.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed)
            .map_err(|_| unavailable("sealing failed".to_owned()))?;
        let bytes = [&nonce[..], &sealed[..], tag.as_ref()].concat();
        Ok(WrappedKey { provider: PROVIDER.to_owned(), key_id: self.id.clone(), bytes })
    }

    fn unwrap(&self, wrapped: &WrappedKey, context: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let not_ours = || KeyError::NotOurs(format!("{PROVIDER} {}", self.path.display()));
        if wrapped.provider != PROVIDER || wrapped.key_id != self.id {
            return Err(not_ours());
        }
        let (nonce, sealed) = wrapped.bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(not_ours)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut opened)
            .map_err(|_| not_ours())?
            .len();
        opened.truncate(length);
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_opens_only_for_its_context_and_root() {
        let dir = crate::testing::TempDir::new();
        let a = DevKeyFile::open_or_create(dir.path().join("a")).unwrap();
        let b = DevKeyFile::open_or_create(dir.path().join("b")).unwrap();
        let wrapped = a.wrap(&[7; 32], b"store 1").unwrap();
        assert_eq!(&a.unwrap(&wrapped, b"store 1").unwrap()[..], [7; 32]);
        assert!(a.unwrap(&wrapped, b"store 2").is_err());
        assert!(b.unwrap(&wrapped, b"store 1").is_err());
        let again = DevKeyFile::open_or_create(dir.path().join("a")).unwrap();
        assert!(again.unwrap(&wrapped, b"store 1").is_ok());
        for at in 0..wrapped.bytes.len() {
            let mut bad = wrapped.clone();
            bad.bytes[at] ^= 1;
            assert!(a.unwrap(&bad, b"store 1").is_err());
        }
    }

    #[test]
    fn a_readable_or_short_key_file_is_refused() {
        let dir = crate::testing::TempDir::new();
        let path = dir.path().join("k");
        DevKeyFile::open_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(DevKeyFile::open_or_create(&path).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(31).unwrap();
        assert!(DevKeyFile::open_or_create(&path).is_err());
    }
}
