//! IAM's part of the control store: its operations read, check, and write if nothing has changed meanwhile.

use super::errors::{self, conflict};
use crate::store::Store;
pub use crate::store::{Change, Found, put};
use crate::sts::issuers::Issuers;
use breakwater_aws::{AwsError, Call, SecretKeys};
use breakwater_iam::records::{self, Kind};
use breakwater_meta::{MetaClient, Mirror};
use breakwater_types::formats::Formats;
use breakwater_types::{AccountId, SharedClock};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct Context {
    pub meta: MetaClient,
    /// Of [`records::PREFIX`], as this node's guard sees it.
    pub mirror: Arc<Mirror>,
    pub clock: SharedClock,
    /// Seal session tokens.
    pub keys: Arc<SecretKeys>,
    /// What may be stored.
    pub formats: Arc<Formats>,
    /// Keys of identity providers.
    pub issuers: Arc<Issuers>,
}

/// How long a change waits to be seen by this node's own guard.
const SEEN: Duration = Duration::from_millis(500);

impl Context {
    pub fn now(&self) -> i64 {
        self.clock.unix_s()
    }

    /// Refuses what nodes of an older format, which a region has during an upgrade, wouldn't understand.
    pub fn needs_format(&self, format: u32) -> Result<(), AwsError> {
        match self.formats.active() >= format {
            true => Ok(()),
            false => Err(errors::unavailable("the region still has nodes of an older build")),
        }
    }

    fn store(&self) -> Store<'_> {
        Store { meta: &self.meta, conflict }
    }

    /// Linearizable.
    pub async fn find<T: DeserializeOwned>(&self, call: &Call, key: Vec<u8>) -> Result<Option<Found<T>>, AwsError> {
        self.store().find(call, key).await
    }

    pub async fn named<T: DeserializeOwned>(&self, call: &Call, kind: Kind, name: &str) -> Result<Found<T>, AwsError> {
        let key = records::key(&call.principal.account, kind, name);
        self.find(call, key).await?.ok_or_else(|| errors::no_such(kind, name))
    }

    /// All records under a prefix, in the order of their keys; linearizable page by page.
    pub async fn all<T: DeserializeOwned>(&self, call: &Call, prefix: &[u8]) -> Result<Vec<T>, AwsError> {
        self.store().all(call, prefix).await
    }

    /// The same, each with what its key says after the prefix.
    pub async fn all_with_names<T: DeserializeOwned>(
        &self,
        call: &Call,
        prefix: &[u8],
    ) -> Result<Vec<(String, T)>, AwsError> {
        self.store().all_with_names(call, prefix).await
    }

    /// Does what `plan` says, planning anew where somebody else was faster. Ends when this node's own guard has seen it.
    pub async fn change<F>(&self, call: &Call, plan: impl FnMut() -> F) -> Result<Value, AwsError>
    where
        F: Future<Output = Result<Change<Value>, AwsError>>,
    {
        let (answer, revision) = self.commit(call, plan).await?;
        // So that the same client, asking this node, finds it in force. Others hear of it as fast as they can.
        self.mirror.wait_for(revision, call.deadline.min(Instant::now() + SEEN)).await;
        Ok(answer)
    }

    /// The same for what no guard looks at. The call's event is committed with it.
    pub async fn commit<F>(&self, call: &Call, plan: impl FnMut() -> F) -> Result<(Value, u64), AwsError>
    where
        F: Future<Output = Result<Change<Value>, AwsError>>,
    {
        self.store().commit(call, plan).await
    }

    /// A change that isn't what the call asks for: a code that counts once.
    pub async fn note<R, F>(&self, call: &Call, plan: impl FnMut() -> F) -> Result<(R, u64), AwsError>
    where
        F: Future<Output = Result<Change<R>, AwsError>>,
    {
        self.store().note(call, plan).await
    }
}

/// A page of a list, as IAM cuts it.
pub struct Page<T> {
    pub items: Vec<T>,
    pub marker: Option<String>,
}

/// What comes after `marker`, at most `max` of it. The marker is the last name shown: each must be another.
pub fn page<T>(all: Vec<T>, name: impl Fn(&T) -> String, marker: Option<&str>, max: Option<usize>) -> Page<T> {
    let max = max.unwrap_or(100);
    let order = |name: String| (name.to_lowercase(), name);
    let mut all = all;
    all.sort_by_cached_key(|item| order(name(item)));
    let after = marker.map(|marker| order(marker.to_owned()));
    let mut rest = all.into_iter().filter(|item| after.as_ref().is_none_or(|after| order(name(item)) > *after));
    let items: Vec<T> = rest.by_ref().take(max).collect();
    let marker = if rest.next().is_some() { items.last().map(&name) } else { None };
    Page { items, marker }
}

impl<T> Page<T> {
    /// As the answer's members, under `name`.
    pub fn into_json(self, name: &str, shape: impl Fn(T) -> serde_json::Value) -> serde_json::Value {
        let mut answer = serde_json::Map::new();
        answer.insert("IsTruncated".to_owned(), self.marker.is_some().into());
        if let Some(marker) = self.marker {
            answer.insert("Marker".to_owned(), marker.into());
        }
        answer.insert(name.to_owned(), self.items.into_iter().map(shape).collect());
        answer.into()
    }
}

/// Of the account that the caller belongs to.
pub fn prefix(call: &Call, kind: Kind) -> Vec<u8> {
    records::prefix(&call.principal.account, kind)
}

/// Members of a group: `iam/aws/111122223333/member/GROUP/USER`.
pub fn member_prefix(account: &AccountId, group: &str) -> Vec<u8> {
    format!("iam/aws/{account}/member/{}/", group.to_lowercase()).into_bytes()
}

pub fn member_key(account: &AccountId, group: &str, user: &str) -> Vec<u8> {
    [&member_prefix(account, group)[..], user.to_lowercase().as_bytes()].concat()
}

/// A user's MFA devices: `iam/aws/111122223333/user-mfa/USER/DEVICE`.
pub fn user_mfa_prefix(account: &AccountId, user: &str) -> Vec<u8> {
    format!("iam/aws/{account}/user-mfa/{}/", user.to_lowercase()).into_bytes()
}

pub fn user_mfa_key(account: &AccountId, user: &str, device: &str) -> Vec<u8> {
    [&user_mfa_prefix(account, user)[..], device.to_lowercase().as_bytes()].concat()
}

/// The instance profiles that have a role: `iam/aws/111122223333/role-profile/ROLE/PROFILE`.
pub fn role_profile_prefix(account: &AccountId, role: &str) -> Vec<u8> {
    format!("iam/aws/{account}/role-profile/{}/", role.to_lowercase()).into_bytes()
}

pub fn role_profile_key(account: &AccountId, role: &str, profile: &str) -> Vec<u8> {
    [&role_profile_prefix(account, role)[..], profile.to_lowercase().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_they_ended() {
        let names = || ["b", "A", "c", "D"].map(str::to_owned).to_vec();
        let first = page(names(), String::clone, None, Some(3));
        assert_eq!(first.items, ["A", "b", "c"]);
        let second = page(names(), String::clone, first.marker.as_deref(), Some(3));
        assert_eq!((second.items, second.marker), (vec!["D".to_owned()], None));
        assert_eq!(page(names(), String::clone, Some("zz"), None).items.len(), 0);
        // Names of policies within a user differ by case alone.
        let cases = || ["a", "A"].map(str::to_owned).to_vec();
        let first = page(cases(), String::clone, None, Some(1));
        let second = page(cases(), String::clone, first.marker.as_deref(), Some(1));
        assert_eq!((first.items, second.items, second.marker), (vec!["A".to_owned()], vec!["a".to_owned()], None));
    }
}
