//! What control nodes tell data nodes: signing keys of one service for the days to come, and what opens session tokens.
//! Data nodes keep it as it is, so it may grow at its end only.

use super::credentials::{Credentials, DerivedKey, DerivedKeys, SecretKey};
use super::key::{SigningKey, derive_signing_key};
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

    /// In place of what was known before. A key that belongs to nobody is left out.
    pub fn install(&self, into: &DerivedKeys) {
        let mut rows = Vec::with_capacity(self.rows.len() * self.days.len());
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
            rows.extend(row.keys.iter().zip(&self.days).map(|(key, day)| DerivedKey {
                principal: principal.clone(),
                date: day.clone(),
                region: self.region.clone(),
                service: self.service.clone(),
                key: Arc::new(SigningKey::from_bytes(*key)),
            }));
        }
        into.replace(rows, self.days.iter().max().cloned());
        into.sessions().replace(self.session_keys.iter().map(|(n, key)| (*n, Zeroizing::new(key.clone()))));
    }
}
