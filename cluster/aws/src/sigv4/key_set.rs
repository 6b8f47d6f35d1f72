//! What control nodes tell data nodes: signing keys of one service for the days to come, and what opens session tokens.
//! Data nodes keep it as it is, so it may grow at its end only.

use super::credentials::{Credentials, DerivedKey, DerivedKeys, SecretKey};
use super::key::{SigningKey, derive_signing_key};
use super::key_parts::{KEY_PARTS, SESSIONS_PART, part_of};
use crate::call::{Identity, Principal};
use breakwater_types::AccountId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

#[derive(Serialize, Deserialize)]
struct Row {
    access_key_id: String,
    account: AccountId,
    arn: String,
    /// One for each of the days.
    keys: Vec<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
pub struct KeySet {
    region: String,
    service: String,
    /// As `YYYYMMDD`.
    days: Vec<String>,
    rows: Vec<Row>,
    session_keys: Vec<(u32, Vec<u8>)>,
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySet({} keys)", self.rows.len())
    }
}

impl Drop for KeySet {
    fn drop(&mut self) {
        self.rows.iter_mut().for_each(|row| row.keys.zeroize());
        self.session_keys.iter_mut().for_each(|(_, key)| key.zeroize());
    }
}

impl KeySet {
    pub fn derive(
        keys: &[SecretKey],
        region: &str,
        service: &str,
        days: Vec<String>,
        session_keys: &[(u32, Zeroizing<Vec<u8>>)],
    ) -> KeySet {
        let row = |key: &SecretKey| Row {
            access_key_id: key.principal.access_key_id.clone(),
            account: key.principal.account.clone(),
            arn: key.principal.arn.clone(),
            keys: days.iter().map(|day| *derive_signing_key(&key.secret, day, region, service).expose()).collect(),
        };
        KeySet {
            rows: keys.iter().map(row).collect(),
            region: region.to_owned(),
            service: service.to_owned(),
            days,
            session_keys: session_keys.iter().map(|(n, key)| (*n, key.to_vec())).collect(),
        }
    }

    /// In place of all that was known before.
    pub fn install(&self, into: &DerivedKeys) {
        let mut parts: Vec<Vec<DerivedKey>> = (0..KEY_PARTS).map(|_| Vec::new()).collect();
        for row in self.keys() {
            parts[part_of(row.principal.access_key_id.as_bytes())].push(row);
        }
        for (part, rows) in parts.into_iter().enumerate() {
            into.replace(part, rows, self.last_date());
        }
        self.install_sessions(into);
    }

    /// In place of what was known before of this part.
    pub fn install_part(&self, part: usize, into: &DerivedKeys) -> Result<(), String> {
        if part == SESSIONS_PART {
            self.install_sessions(into);
            return Ok(());
        }
        if part > SESSIONS_PART || self.rows.iter().any(|row| part_of(row.access_key_id.as_bytes()) != part) {
            return Err(format!("an access key stands in another part than {part}"));
        }
        into.replace(part, self.keys(), self.last_date());
        Ok(())
    }

    fn install_sessions(&self, into: &DerivedKeys) {
        into.sessions().replace(self.session_keys.iter().map(|(n, key)| (*n, Zeroizing::new(key.clone()))));
    }

    fn last_date(&self) -> Option<String> {
        self.days.iter().max().cloned()
    }

    /// A key that belongs to nobody is left out.
    fn keys(&self) -> Vec<DerivedKey> {
        let mut keys = Vec::with_capacity(self.rows.len() * self.days.len());
        for row in &self.rows {
            let Some(identity) = Identity::of_arn(&row.arn) else {
                tracing::error!(arn = row.arn, "an access key that belongs to nobody");
                continue;
            };
            let principal = Arc::new(Principal {
                access_key_id: row.access_key_id.clone(),
                account: row.account.clone(),
                arn: row.arn.clone(),
                identity,
                session: None,
            });
            keys.extend(row.keys.iter().zip(&self.days).map(|(key, day)| DerivedKey {
                principal: principal.clone(),
                date: day.clone(),
                region: self.region.clone(),
                service: self.service.clone(),
                key: Arc::new(SigningKey::from_bytes(*key)),
            }));
        }
        keys
    }
}
