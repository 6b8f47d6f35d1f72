//! Temporary credentials: everything about a session is sealed in its token, so that any front door that has the region's
//! sealing key knows it without asking anybody.
//!
//! Front doors are control nodes and data nodes: whoever takes over one of those can make tokens. What bounds that: the key
//! is theirs alone, it is sent over mTLS and stored sealed, and sessions end within hours.

use super::key::{SigningKey, derive_signing_key};
use crate::call::{Identity, Principal};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use arc_swap::ArcSwap;
use base64::Engine as _;
use breakwater_types::AccountId;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a token holds. It may grow at its end only, behind a new [`FORMAT`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `ASIA…`.
    pub access_key_id: String,
    pub secret: String,
    pub account: AccountId,
    /// Of the user, or `arn:aws:sts::111122223333:assumed-role/role/session`.
    pub arn: String,
    /// Of a role's session: the role's name and ARN.
    pub role: Option<(String, String)>,
    /// `AROA…:session`, or the user's id.
    pub user_id: String,
    pub issued_unix_s: i64,
    pub expires_unix_s: i64,
    /// When a second factor was shown, if it was.
    pub mfa_unix_s: Option<i64>,
    /// Session policies' documents, and ARNs of managed ones; a session that was made with any has no more rights.
    pub policies: Vec<String>,
    pub policy_arns: Vec<String>,
    pub tags: Vec<(String, String)>,
    pub source_identity: Option<String>,
}

impl Session {
    /// It was begun at the console, for calls that this process makes for its user: it has no secret, so that nobody can
    /// sign with it.
    pub fn is_signed_in(&self) -> bool {
        self.secret.is_empty()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("access_key_id", &self.access_key_id)
            .field("arn", &self.arn)
            .finish_non_exhaustive()
    }
}

/// A session whose token was opened, with what is derived from it.
pub struct Opened {
    pub principal: Arc<Principal>,
    pub session: Arc<Session>,
    derived: Mutex<Vec<(String, Arc<SigningKey>)>>,
}

const DERIVED_MAX: usize = 8;

impl Opened {
    /// Of the session's secret, for this day, region and service.
    pub fn signing_key(&self, date: &str, region: &str, service: &str) -> Arc<SigningKey> {
        let name = format!("{date}/{region}/{service}");
        let mut derived = self.derived.lock();
        if let Some((_, key)) = derived.iter().find(|(known, _)| *known == name) {
            return key.clone();
        }
        let key = Arc::new(derive_signing_key(&self.session.secret, date, region, service));
        if derived.len() >= DERIVED_MAX {
            derived.remove(0);
        }
        derived.push((name, key.clone()));
        key
    }
}

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 12;
const ABOUT: &[u8] = b"breakwater session";
/// Longer tokens aren't read at all.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
const OPENED_MAX: usize = 10_000;

/// The region's sealing keys by number, the newest last.
#[derive(Default)]
pub struct SessionKeys {
    keys: ArcSwap<Vec<(u32, Aes256Gcm)>>,
    /// Tokens that were opened, by their digest.
    opened: RwLock<HashMap<[u8; 32], Arc<Opened>>>,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionKeys({} keys)", self.keys.load().len())
    }
}

impl SessionKeys {
    /// In place of those known before; keys that aren't of 32 bytes are left out.
    pub fn replace(&self, keys: impl IntoIterator<Item = (u32, Zeroizing<Vec<u8>>)>) {
        let keys = keys.into_iter().filter_map(|(n, key)| Some((n, Aes256Gcm::new_from_slice(&key).ok()?)));
        self.keys.store(Arc::new(keys.collect()));
        self.opened.write().clear();
    }

    /// None where there is no key yet.
    pub fn seal(&self, session: &Session) -> Option<String> {
        let keys = self.keys.load();
        let (number, key) = keys.last()?;
        let plain = Zeroizing::new(postcard::to_stdvec(session).ok()?);
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let sealed = key.encrypt(&Nonce::from(nonce), Payload { msg: &plain, aad: ABOUT }).ok()?;
        let token = [&[FORMAT][..], &number.to_be_bytes(), &nonce, &sealed].concat();
        Some(base64::engine::general_purpose::STANDARD.encode(token))
    }

    /// None for what no key of this region has sealed.
    pub fn open(&self, token: &str) -> Option<Arc<Opened>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if let Some(opened) = self.opened.read().get(&digest) {
            return Some(opened.clone());
        }
        let opened = Arc::new(self.unseal(token)?);
        let mut all = self.opened.write();
        if all.len() >= OPENED_MAX {
            all.clear();
        }
        all.insert(digest, opened.clone());
        Some(opened)
    }

    fn unseal(&self, token: &str) -> Option<Opened> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let keys = self.keys.load();
        let (_, key) = keys.iter().find(|(n, _)| *n == u32::from_be_bytes(*number))?;
        if *format != FORMAT {
            return None;
        }
        let plain = Zeroizing::new(key.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: ABOUT }).ok()?);
        let session: Session = postcard::from_bytes(&plain).ok()?;
        let identity = match &session.role {
            Some((name, _)) => Identity::Role(name.clone()),
            None => Identity::of_arn(&session.arn)?,
        };
        let session = Arc::new(session);
        let principal = Principal {
            access_key_id: session.access_key_id.clone(),
            account: session.account.clone(),
            arn: session.arn.clone(),
            identity,
            session: Some(session.clone()),
        };
        Some(Opened { principal: Arc::new(principal), session, derived: Mutex::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn session() -> Session {
        Session {
            access_key_id: "ASIAONE".to_owned(),
            secret: "s3cr3t".to_owned(),
            account: AccountId::new("111122223333").unwrap(),
            arn: "arn:aws:sts::111122223333:assumed-role/ops/ann".to_owned(),
            role: Some(("ops".to_owned(), "arn:aws:iam::111122223333:role/ops".to_owned())),
            user_id: "AROA:ann".to_owned(),
            issued_unix_s: 1,
            expires_unix_s: 2,
            mfa_unix_s: None,
            policies: vec![],
            policy_arns: vec![],
            tags: vec![],
            source_identity: None,
        }
    }

    fn keys(seed: u8) -> SessionKeys {
        let keys = SessionKeys::default();
        keys.replace([(1, Zeroizing::new(vec![seed; 32]))]);
        keys
    }

    #[test]
    fn a_token_is_opened_by_its_region_alone() {
        let ours = keys(1);
        let token = ours.seal(&session()).unwrap();
        let opened = ours.open(&token).unwrap();
        assert_eq!(*opened.session, session());
        assert_eq!(opened.principal.identity, Identity::Role("ops".to_owned()));
        assert!(keys(2).open(&token).is_none() && SessionKeys::default().seal(&session()).is_none());
        assert!(!format!("{:?} {:?}", opened.session, opened.principal).contains("s3cr3t"));
        // A rotated key still opens what it sealed.
        ours.replace([(1, Zeroizing::new(vec![1; 32])), (2, Zeroizing::new(vec![9; 32]))]);
        assert!(ours.open(&token).is_some());
        assert_ne!(ours.seal(&session()).unwrap(), token);
    }

    proptest! {
        #[test]
        fn changed_and_invented_tokens_are_refused(at in 0usize..400, bit in 0u8..8, text in "[A-Za-z0-9+/]{0,300}={0,2}") {
            let keys = keys(1);
            let token = keys.seal(&session()).unwrap();
            let mut bytes = base64::engine::general_purpose::STANDARD.decode(&token).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(keys.open(&base64::engine::general_purpose::STANDARD.encode(&bytes)).is_none());
            prop_assert!(keys.open(&token[..token.len() - 1 - at % 50]).is_none());
            prop_assert!(keys.open(&text).is_none());
        }
    }
}
