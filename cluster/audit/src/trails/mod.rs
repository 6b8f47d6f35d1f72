//! Trails: which events of an account go into files, and how far they have got. Stored types, in the control store.

mod selectors;

pub use selectors::{AdvancedSelector, DataResource, EventSelector, Facts, FieldSelector, ReadWrite, Selectors};

use breakwater_types::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What trails want: every node may read these, and only control nodes write them.
pub const PREFIX: &[u8] = b"trail/";
/// How far each has got: changed with every file.
const DELIVERIES: &str = "trail-delivery";
/// Which trail an account has made last: changed with each, so that of two made at once one plans anew.
const LATEST: &str = "trail-latest";
/// Files that no digest names yet.
const FILES: &str = "trail-file";

/// Spells of logging that a trail remembers: events of the oldest ones have long been delivered.
const SPELLS_MAX: usize = 16;

/// From a StartLogging to the StopLogging after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    pub from_ms: i64,
    pub to_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Of this trail, and of no other that had its name.
    pub id: u128,
    pub account: AccountId,
    pub name: String,
    pub bucket: String,
    pub prefix: Option<String>,
    pub includes_global: bool,
    pub multi_region: bool,
    /// Whether there are digests.
    pub validated: bool,
    pub created_unix_ms: i64,
    /// Oldest first.
    pub logging: Vec<Spell>,
    pub selectors: Selectors,
    pub tags: BTreeMap<String, String>,
}

impl Trail {
    pub fn is_logging(&self) -> bool {
        self.logging.last().is_some_and(|spell| spell.to_ms.is_none())
    }

    pub fn start(&mut self, now_ms: i64) {
        if !self.is_logging() {
            self.logging.push(Spell { from_ms: now_ms, to_ms: None });
            let extra = self.logging.len().saturating_sub(SPELLS_MAX);
            self.logging.drain(..extra);
        }
    }

    pub fn stop(&mut self, now_ms: i64) {
        if let Some(spell) = self.logging.last_mut() {
            spell.to_ms.get_or_insert(now_ms);
        }
    }

    /// Whether it logged at that time.
    pub fn covers(&self, unix_ms: i64) -> bool {
        self.logging.iter().any(|s| s.from_ms <= unix_ms && s.to_ms.is_none_or(|to| unix_ms < to))
    }
}

/// The last digest of a trail, which the next one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDigest {
    pub bucket: String,
    pub object: String,
    /// SHA-256 of its contents before they were compressed, in hex.
    pub hash: String,
    /// In hex.
    pub signature: String,
}

/// How far a trail has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The arrival number of the last event that was looked at.
    pub cursor: u64,
    /// Files that it has delivered, which numbers them.
    pub files: u64,
    pub delivered_unix_ms: Option<i64>,
    pub error: Option<String>,
    /// When the last digest ended, or the first one begins.
    pub digest_from_s: Option<i64>,
    pub last_digest: Option<LastDigest>,
    pub digest_delivered_unix_ms: Option<i64>,
    pub digest_error: Option<String>,
}

/// A delivered file that the next digest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    pub bucket: String,
    pub object: String,
    /// SHA-256 of its contents before they were compressed, in hex.
    pub hash: String,
    pub oldest_unix_ms: i64,
    pub newest_unix_ms: i64,
}

fn of(kind: &str, account: &AccountId, name: &str) -> Vec<u8> {
    format!("{kind}/aws/{account}/{name}").into_bytes()
}

/// `trail/aws/111122223333/`: all trails of an account.
pub fn prefix(account: &AccountId) -> Vec<u8> {
    of("trail", account, "")
}

pub fn key(account: &AccountId, name: &str) -> Vec<u8> {
    of("trail", account, name)
}

/// Holds the [`Trail::id`] of the one that was made last.
pub fn latest_key(account: &AccountId) -> Vec<u8> {
    of(LATEST, account, "")
}

pub fn delivery_key(account: &AccountId, name: &str) -> Vec<u8> {
    of(DELIVERIES, account, name)
}

pub fn file_prefix(account: &AccountId, name: &str) -> Vec<u8> {
    [&of(FILES, account, name)[..], b"/"].concat()
}

pub fn file_key(account: &AccountId, name: &str, number: u64) -> Vec<u8> {
    [&file_prefix(account, name)[..], format!("{number:016x}").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_covers_the_times_when_it_logged() {
        let mut trail = Trail {
            id: 1,
            account: AccountId::new("111122223333").unwrap(),
            name: "t".to_owned(),
            bucket: "b".to_owned(),
            prefix: None,
            includes_global: true,
            multi_region: false,
            validated: true,
            created_unix_ms: 0,
            logging: vec![],
            selectors: Selectors::default(),
            tags: BTreeMap::new(),
        };
        assert!(!trail.covers(5));
        trail.start(5);
        trail.start(7);
        assert!(trail.is_logging() && trail.covers(5) && trail.covers(i64::MAX) && !trail.covers(4));
        trail.stop(9);
        trail.stop(11);
        assert!(!trail.is_logging() && trail.covers(8) && !trail.covers(9));
        trail.start(20);
        assert!(trail.covers(8) && !trail.covers(15) && trail.covers(20));
        for n in 0..100 {
            trail.stop(100 + 2 * n);
            trail.start(101 + 2 * n);
        }
        assert_eq!(trail.logging.len(), SPELLS_MAX);
        assert!(trail.is_logging());
    }
}
