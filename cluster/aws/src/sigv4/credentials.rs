//! Who knows which access keys: control nodes the secrets, data nodes keys derived from them.

use super::key::{SigningKey, derive_signing_key};
use super::key_parts::{KEY_PARTS, part_of};
use super::sessions::SessionKeys;
use crate::call::Principal;
use arc_swap::ArcSwap;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key to check a signature with, and who it belongs to.
#[derive(Clone, Debug)]
pub struct Found {
    pub key: Arc<SigningKey>,
    pub principal: Arc<Principal>,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lookup {
    /// No such access key, or it is not active.
    #[error("unknown access key")]
    Unknown,
    /// The access key exists, but this node holds no signing key for that day, region and service.
    #[error("no signing key here for that day and service")]
    NotKnownHere,
}

/// Answers from memory.
pub trait Credentials: Send + Sync + 'static {
    /// What opens the tokens of temporary credentials.
    fn sessions(&self) -> &SessionKeys;
    /// `date` is `YYYYMMDD`.
    fn signing_key(&self, access_key_id: &str, date: &str, region: &str, service: &str) -> Result<Found, Lookup>;
}

/// An access key with its secret, as a control node knows it.
#[derive(Clone)]
pub struct SecretKey {
    pub secret: Zeroizing<String>,
    pub principal: Arc<Principal>,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretKey").field("principal", &self.principal).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Cached {
    date: [u8; 8],
    region: Box<str>,
    service: Box<str>,
    key: Arc<SigningKey>,
}

struct SecretEntry {
    secret: SecretKey,
    /// At most a handful: the verifier asks only for today's dates, its own region, its mounted services.
    derived: RwLock<Vec<Cached>>,
}

/// Derived keys kept for each access key; the oldest goes first.
const DERIVED_MAX: usize = 64;

/// Knows the secrets; derives signing keys and remembers them.
#[derive(Default)]
pub struct SecretKeys {
    keys: ArcSwap<HashMap<String, Arc<SecretEntry>>>,
    sessions: SessionKeys,
}

impl std::fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKeys({} keys)", self.keys.load().len())
    }
}

impl SecretKeys {
    pub fn new(keys: impl IntoIterator<Item = SecretKey>) -> Self {
        let this = SecretKeys::default();
        this.replace(keys);
        this
    }

    /// All active access keys, in place of those known before.
    pub fn replace(&self, keys: impl IntoIterator<Item = SecretKey>) {
        let map = keys
            .into_iter()
            .map(|secret| {
                let id = secret.principal.access_key_id.clone();
                (id, Arc::new(SecretEntry { secret, derived: RwLock::default() }))
            })
            .collect();
        self.keys.store(Arc::new(map));
    }
}

impl Credentials for SecretKeys {
    fn sessions(&self) -> &SessionKeys {
        &self.sessions
    }
    fn signing_key(&self, access_key_id: &str, date: &str, region: &str, service: &str) -> Result<Found, Lookup> {
        let keys = self.keys.load();
        let entry = keys.get(access_key_id).ok_or(Lookup::Unknown)?;
        let date8: [u8; 8] = date.as_bytes().try_into().map_err(|_| Lookup::NotKnownHere)?;
        let is = |c: &Cached| c.date == date8 && &*c.region == region && &*c.service == service;
        if let Some(cached) = entry.derived.read().iter().find(|c| is(c)) {
            return Ok(Found { key: cached.key.clone(), principal: entry.secret.principal.clone() });
        }
        let key = Arc::new(derive_signing_key(&entry.secret.secret, date, region, service));
        let mut derived = entry.derived.write();
        if derived.len() >= DERIVED_MAX {
            derived.remove(0);
        }
        derived.push(Cached { date: date8, region: region.into(), service: service.into(), key: key.clone() });
        Ok(Found { key, principal: entry.secret.principal.clone() })
    }
}

/// One row of a data node's table.
#[derive(Clone, Debug)]
pub(super) struct DerivedKey {
    pub principal: Arc<Principal>,
    /// `YYYYMMDD`.
    pub date: String,
    pub region: String,
    pub service: String,
    pub key: Arc<SigningKey>,
}

#[derive(Debug, Default)]
struct Derived {
    rows: HashMap<String, Vec<DerivedKey>>,
    /// None before anything was heard.
    last_date: Option<String>,
}

/// Knows signing keys only, for the days that it was given. What it last heard stays valid for those days.
#[derive(Debug)]
pub struct DerivedKeys {
    /// [`KEY_PARTS`] of them.
    parts: Vec<ArcSwap<Derived>>,
    sessions: SessionKeys,
}

impl Default for DerivedKeys {
    fn default() -> Self {
        DerivedKeys { parts: (0..KEY_PARTS).map(|_| ArcSwap::default()).collect(), sessions: SessionKeys::default() }
    }
}

impl DerivedKeys {
    /// A whole part, in place of the one before. It may be empty: then every key of it is unknown.
    pub(super) fn replace(&self, part: usize, rows: Vec<DerivedKey>, last_date: Option<String>) {
        let mut map: HashMap<String, Vec<DerivedKey>> = HashMap::new();
        for row in rows {
            map.entry(row.principal.access_key_id.clone()).or_default().push(row);
        }
        self.parts[part].store(Arc::new(Derived { rows: map, last_date }));
    }

    /// The last day for which all keys were given, `YYYYMMDD`: how long this node can do without news.
    pub fn last_date(&self) -> Option<String> {
        // None is the least.
        self.parts.iter().map(|part| part.load().last_date.clone()).min().flatten()
    }
}

impl Credentials for DerivedKeys {
    fn sessions(&self) -> &SessionKeys {
        &self.sessions
    }
    fn signing_key(&self, access_key_id: &str, date: &str, region: &str, service: &str) -> Result<Found, Lookup> {
        let derived = self.parts[part_of(access_key_id.as_bytes())].load();
        // A node that has heard nothing yet can't call any key unknown.
        if derived.last_date.is_none() {
            return Err(Lookup::NotKnownHere);
        }
        let of_key = derived.rows.get(access_key_id).ok_or(Lookup::Unknown)?;
        of_key
            .iter()
            .find(|r| r.date == date && r.region == region && r.service == service)
            .map(|r| Found { key: r.key.clone(), principal: r.principal.clone() })
            .ok_or(Lookup::NotKnownHere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::{KeySet, SESSIONS_PART};
    use breakwater_types::AccountId;

    fn secret_key(id: &str) -> SecretKey {
        SecretKey {
            secret: Zeroizing::new("s3cr3t".to_owned()),
            principal: Arc::new(Principal {
                access_key_id: id.to_owned(),
                account: AccountId::new("111122223333").unwrap(),
                arn: format!("arn:aws:iam::111122223333:user/{id}"),
                identity: crate::call::Identity::User(id.to_owned()),
                session: None,
            }),
        }
    }

    #[test]
    fn derived_tables_know_what_they_were_given_and_no_more() {
        let secrets = SecretKeys::new([secret_key("AKIAONE")]);
        let derived = DerivedKeys::default();
        assert_eq!(derived.signing_key("AKIAONE", "20261123", "r", "dynamodb").unwrap_err(), Lookup::NotKnownHere);
        let days = vec!["20261123".to_owned(), "20261124".to_owned()];
        KeySet::derive(&[secret_key("AKIAONE")], "r", "dynamodb", days.clone(), &[]).install(&derived);
        let found = derived.signing_key("AKIAONE", "20261124", "r", "dynamodb").unwrap();
        let of_secret = secrets.signing_key("AKIAONE", "20261124", "r", "dynamodb").unwrap();
        assert_eq!(found.key.expose(), of_secret.key.expose());
        assert_eq!(derived.signing_key("AKIATWO", "20261123", "r", "dynamodb").unwrap_err(), Lookup::Unknown);
        assert_eq!(derived.signing_key("AKIAONE", "20261125", "r", "dynamodb").unwrap_err(), Lookup::NotKnownHere);
        assert_eq!(derived.signing_key("AKIAONE", "20261123", "r", "iam").unwrap_err(), Lookup::NotKnownHere);
        assert_eq!(derived.last_date().as_deref(), Some("20261124"));
        KeySet::derive(&[], "r", "dynamodb", days, &[]).install(&derived);
        assert_eq!(derived.signing_key("AKIAONE", "20261124", "r", "dynamodb").unwrap_err(), Lookup::Unknown);
    }

    #[test]
    fn a_part_changes_nothing_in_the_others_and_nothing_is_unknown_before_its_part_is_heard() {
        let derived = DerivedKeys::default();
        let days = || vec!["20261123".to_owned()];
        let (one, two) = (part_of(b"AKIAONE"), part_of(b"AKIATWO"));
        assert_ne!(one, two);
        let found = |id| derived.signing_key(id, "20261123", "r", "dynamodb").map(|_| ());
        let set = KeySet::derive(&[secret_key("AKIAONE")], "r", "dynamodb", days(), &[]);
        set.install_part(one, &derived).unwrap();
        assert_eq!((found("AKIAONE"), found("AKIATWO")), (Ok(()), Err(Lookup::NotKnownHere)));
        assert_eq!(derived.last_date(), None);
        assert!(set.install_part(two, &derived).is_err() && set.install_part(SESSIONS_PART + 1, &derived).is_err());
        let none = KeySet::derive(&[], "r", "dynamodb", days(), &[]);
        for part in (0..KEY_PARTS).filter(|part| *part != one) {
            none.install_part(part, &derived).unwrap();
        }
        assert_eq!((found("AKIAONE"), found("AKIATWO")), (Ok(()), Err(Lookup::Unknown)));
        assert_eq!(derived.last_date().as_deref(), Some("20261123"));
        none.install_part(one, &derived).unwrap();
        assert_eq!(found("AKIAONE"), Err(Lookup::Unknown));
    }

    #[test]
    fn a_removed_key_is_unknown_and_the_cache_stays_bounded() {
        let secrets = SecretKeys::new([secret_key("AKIAONE")]);
        for i in 0..1_000 {
            secrets.signing_key("AKIAONE", "20261123", &format!("r{i}"), "dynamodb").unwrap();
        }
        assert!(secrets.keys.load()["AKIAONE"].derived.read().len() <= DERIVED_MAX);
        secrets.replace([]);
        assert_eq!(secrets.signing_key("AKIAONE", "20261123", "r1", "dynamodb").unwrap_err(), Lookup::Unknown);
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let key = secret_key("AKIAONE");
        let keys = SecretKeys::new([key.clone()]);
        let derived = DerivedKeys::default();
        let set = KeySet::derive(std::slice::from_ref(&key), "r", "dynamodb", vec!["20261123".to_owned()], &[]);
        set.install(&derived);
        let signing = derived.signing_key("AKIAONE", "20261123", "r", "dynamodb").unwrap();
        let text = format!("{key:?} {keys:?} {set:?} {derived:?} {signing:?}");
        assert!(!text.contains("s3cr3t"));
        assert!(!text.contains(&hex::encode(signing.key.expose())));
    }
}
