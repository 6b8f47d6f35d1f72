//! Temporary credentials: everything about a session is sealed in its token, so that any front door that has the region's
//! sealing key knows it without asking anybody.
//!
//! Front doors are control nodes and data nodes: whoever takes over one of those can make tokens. What bounds that: the key
//! is theirs alone, it is sent over mTLS and stored sealed, another one seals every day, and sessions end within hours.

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
use std::sync::atomic::{AtomicU32, Ordering};
use zeroize::Zeroizing;

/// What a token holds. It may grow in [`More`], at its end only, behind a new format.
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
    /// Only tokens of the newer format have any of it.
    #[serde(skip)]
    pub more: More,
}

/// What sessions hold since there is federation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct More {
    /// Tags that go on to the sessions which this one makes.
    pub transitive_tag_keys: Vec<String>,
    /// Of a federated user: the ARN and the unique id of whose rights it has at most.
    pub issuer: Option<(String, String)>,
    /// The ARN of the identity provider that vouched for it.
    pub provider: Option<String>,
    /// Condition keys, and what that provider says of them.
    pub keys: Vec<(String, String)>,
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
/// With [`More`]. Tokens that need none of it are of the format that every build opens.
const FORMAT_MORE: u8 = 2;
const NONCE_BYTES: usize = 12;
const ABOUT: &[u8] = b"breakwater session";
/// Another one, so that no token passes for one of the other format.
const ABOUT_MORE: &[u8] = b"breakwater session 2";
const ABOUT_MESSAGE: &[u8] = b"breakwater authorization message";
/// Longer tokens aren't read at all.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
const OPENED_MAX: usize = 10_000;

/// The region's sealing keys by number, the newest last.
#[derive(Default)]
pub struct SessionKeys {
    keys: ArcSwap<Vec<(u32, Aes256Gcm)>>,
    /// The newest one that seals; newer ones only open, until every node knows them.
    sealing: AtomicU32,
    /// Tokens that were opened, by their digest.
    opened: RwLock<HashMap<[u8; 32], Arc<Opened>>>,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionKeys({} keys)", self.keys.load().len())
    }
}

impl SessionKeys {
    /// In place of those known before, the newest one seals; keys that aren't of 32 bytes are left out.
    pub fn replace(&self, keys: impl IntoIterator<Item = (u32, Zeroizing<Vec<u8>>)>) {
        self.replace_sealing(keys, u32::MAX);
    }

    /// The same, with the number of the newest key that seals already.
    pub fn replace_sealing(&self, keys: impl IntoIterator<Item = (u32, Zeroizing<Vec<u8>>)>, sealing: u32) {
        self.sealing.store(sealing, Ordering::Relaxed);
        let keys = keys.into_iter().filter_map(|(n, key)| Some((n, Aes256Gcm::new_from_slice(&key).ok()?)));
        self.keys.store(Arc::new(keys.collect()));
        self.opened.write().clear();
    }

    /// None where there is no key yet.
    pub fn seal(&self, session: &Session) -> Option<String> {
        match session.more == More::default() {
            true => self.seal_bytes(FORMAT, ABOUT, &Zeroizing::new(postcard::to_stdvec(session).ok()?)),
            false => {
                let plain = Zeroizing::new(postcard::to_stdvec(&(session, &session.more)).ok()?);
                self.seal_bytes(FORMAT_MORE, ABOUT_MORE, &plain)
            }
        }
    }

    /// What only this region can read again: why a call was refused.
    pub fn seal_message(&self, text: &str) -> Option<String> {
        self.seal_bytes(FORMAT, ABOUT_MESSAGE, text.as_bytes())
    }

    pub fn open_message(&self, message: &str) -> Option<String> {
        let (format, plain) = self.unseal_bytes(message, |_| ABOUT_MESSAGE)?;
        (format == FORMAT).then(|| String::from_utf8(plain.to_vec()).ok()).flatten()
    }

    fn seal_bytes(&self, format: u8, about: &[u8], plain: &[u8]) -> Option<String> {
        let keys = self.keys.load();
        let (number, key) = keys.iter().rev().find(|(number, _)| *number <= self.sealing.load(Ordering::Relaxed))?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let sealed = key.encrypt(&Nonce::from(nonce), Payload { msg: plain, aad: about }).ok()?;
        let token = [&[format][..], &number.to_be_bytes(), &nonce, &sealed].concat();
        Some(base64::engine::general_purpose::STANDARD.encode(token))
    }

    fn unseal_bytes(&self, token: &str, about: impl Fn(u8) -> &'static [u8]) -> Option<(u8, Zeroizing<Vec<u8>>)> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let bytes = base64::engine::general_purpose::STANDARD.decode(token).ok()?;
        let (format, rest) = bytes.split_first()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
        let keys = self.keys.load();
        let (_, key) = keys.iter().find(|(n, _)| *n == u32::from_be_bytes(*number))?;
        let payload = Payload { msg: sealed, aad: about(*format) };
        Some((*format, Zeroizing::new(key.decrypt(&Nonce::from(*nonce), payload).ok()?)))
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
        let about = |format| if format == FORMAT_MORE { ABOUT_MORE } else { ABOUT };
        let (format, plain) = self.unseal_bytes(token, about)?;
        let (mut session, rest) = postcard::take_from_bytes::<Session>(&plain).ok()?;
        match format {
            FORMAT => {}
            FORMAT_MORE => session.more = postcard::from_bytes(rest).ok()?,
            _ => return None,
        }
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
            more: More::default(),
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

    fn number(token: &str) -> u32 {
        let bytes = base64::engine::general_purpose::STANDARD.decode(token).unwrap();
        u32::from_be_bytes(*bytes[1..].first_chunk().unwrap())
    }

    #[test]
    fn a_key_opens_before_it_seals() {
        let both = || [(1, Zeroizing::new(vec![1; 32])), (2, Zeroizing::new(vec![2; 32]))];
        let (ahead, behind) = (SessionKeys::default(), SessionKeys::default());
        ahead.replace_sealing(both(), 2);
        behind.replace_sealing(both(), 1);
        let (new, old) = (ahead.seal(&session()).unwrap(), behind.seal(&session()).unwrap());
        assert_eq!((number(&new), number(&old)), (2, 1));
        assert!(behind.open(&new).is_some() && ahead.open(&old).is_some());
    }

    #[test]
    fn what_came_later_is_kept_and_no_format_passes_for_the_other() {
        let keys = keys(1);
        let mut federated = session();
        federated.more.provider = Some("arn:aws:iam::111122223333:oidc-provider/idp.example".to_owned());
        federated.more.keys.push(("idp.example:sub".to_owned(), "ann".to_owned()));
        let token = keys.seal(&federated).unwrap();
        assert_eq!(*keys.open(&token).unwrap().session, federated);
        let mut bytes = base64::engine::general_purpose::STANDARD.decode(&token).unwrap();
        bytes[0] = FORMAT;
        assert!(keys.open(&base64::engine::general_purpose::STANDARD.encode(&bytes)).is_none());
        let message = keys.seal_message("why").unwrap();
        assert_eq!(keys.open_message(&message).as_deref(), Some("why"));
        assert!(keys.open(&message).is_none() && keys.open_message(&token).is_none());
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
