//! Access keys: in the control store, under keys that only control nodes may read. Data nodes get signing keys derived
//! from them, for their service and for the days to come.

use crate::session_keys;
use anyhow::{Context, Result};
use breakwater_aws::{Identity, KeySet, Principal, SecretKey, SecretKeys};
use breakwater_consensus::Group;
use breakwater_iam::records as iam;
use breakwater_meta::{Compare, Entry, MetaClient, MetaError, Mirror, Op, RangeRequest, Txn, records};
use breakwater_transport::{Handler, Inbound, Refusal};
use breakwater_types::{AccountId, Region, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

pub const PREFIX: &[u8] = b"control/access-key/";

#[derive(Serialize, Deserialize)]
struct StoredKey {
    access_key_id: String,
    secret: String,
    account: AccountId,
    /// Of the user, or of the account's root.
    arn: String,
    /// For nodes of before there were policies.
    administrator: bool,
}

/// As the launcher wrote it.
#[derive(Deserialize)]
struct First {
    access_key_id: String,
    secret_access_key: String,
    account_id: AccountId,
    /// None in files of before there were passwords.
    #[serde(default)]
    root_password: Option<String>,
}

/// An access key as it is stored.
pub fn stored(id: &str, secret: &str, account: &AccountId, arn: &str) -> Result<Vec<u8>, String> {
    to_stored(id, secret, account, arn, false)
}

/// The same key under another ARN of its user.
pub fn with_arn(stored: &[u8], arn: &str) -> Result<Vec<u8>, String> {
    let mut key: StoredKey = records::from_stored(stored)?;
    key.arn = arn.to_owned();
    let stored = records::to_stored(&key);
    zeroize::Zeroize::zeroize(&mut key.secret);
    stored
}

fn to_stored(id: &str, secret: &str, account: &AccountId, arn: &str, administrator: bool) -> Result<Vec<u8>, String> {
    records::to_stored(&StoredKey {
        access_key_id: id.to_owned(),
        secret: secret.to_owned(),
        account: account.clone(),
        arn: arn.to_owned(),
        administrator,
    })
}

/// The account that a stored access key belongs to.
pub fn account_of(stored: &[u8]) -> Result<AccountId, String> {
    records::from_stored::<StoredKey>(stored).map(|stored| stored.account)
}

/// Puts the administrator and her key into the store at the first start; later it is the account's own affair what
/// becomes of them. Gives the root user's password, which is put there when all nodes know of passwords.
pub async fn load_first(
    dir: &Path,
    meta: &MetaClient,
    clock: &SharedClock,
    deadline: Instant,
) -> Result<Option<(AccountId, Zeroizing<String>)>> {
    let path = dir.join("admin-credentials.json");
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let first: First = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let (account, key) = (first.account_id, first.access_key_id);
    make_account(meta, clock, &account, &key, &first.secret_access_key, None, deadline).await?;
    Ok(first.root_password.map(|password| (account, Zeroizing::new(password))))
}

/// Makes an account with an administrator who is not its root, and with what puts its root's password there. False where there was one already: it stays as it is.
pub async fn make_account(
    meta: &MetaClient,
    clock: &SharedClock,
    account: &AccountId,
    access_key_id: &str,
    secret: &str,
    root: Option<Op>,
    deadline: Instant,
) -> Result<bool> {
    let arn = iam::arn(account, iam::Kind::User, "/", ADMINISTRATOR);
    let key = [PREFIX, access_key_id.as_bytes()].concat();
    let value = to_stored(access_key_id, secret, account, &arn, true).map_err(anyhow::Error::msg)?;
    let user = administrator(access_key_id.to_owned(), clock.unix_s());
    let user_key = iam::key(account, iam::Kind::User, ADMINISTRATOR);
    let user_value = iam::write(&user).map_err(anyhow::Error::msg)?;
    // Once in an account's life: who deleted the administrator, or her key, doesn't get them back by a restart.
    let made = [MADE, account.as_str().as_bytes()].concat();
    let mut success = vec![Op::put(key, value), Op::put(user_key, user_value), Op::put(made.clone(), Vec::new())];
    success.extend(root);
    let txn = Txn { compares: vec![Compare::Absent(made)], success, failure: vec![] };
    Ok(meta.txn(txn, deadline).await?.succeeded)
}

/// All accounts, in order.
pub async fn accounts(meta: &MetaClient, deadline: Instant) -> Result<Vec<String>> {
    let mut range = RangeRequest::prefix(MADE, 500);
    let mut all = Vec::new();
    loop {
        let page = meta.range(range.clone(), deadline).await?;
        let names = page.entries.iter().filter_map(|e| String::from_utf8(e.key[MADE.len()..].to_vec()).ok());
        all.extend(names);
        let (true, Some(last)) = (page.more, page.entries.last()) else { return Ok(all) };
        range.start = [&last.key[..], &[0]].concat();
    }
}

const ADMINISTRATOR: &str = "administrator";
/// Whether there is such an account.
pub async fn is_account(meta: &MetaClient, account: &AccountId, deadline: Instant) -> Result<bool, MetaError> {
    let made = [MADE, account.as_str().as_bytes()].concat();
    Ok(meta.get(&made, deadline).await?.is_some())
}

/// Accounts that have got their administrator.
const MADE: &[u8] = b"control/account-made/";

fn administrator(access_key_id: String, now_unix_s: i64) -> iam::User {
    iam::User {
        name: ADMINISTRATOR.to_owned(),
        id: crate::iam::unique_id("AIDA"),
        path: "/".to_owned(),
        created_unix_s: now_unix_s,
        groups: Default::default(),
        policies: iam::Policies {
            inline: Default::default(),
            attached: ["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()].into(),
        },
        boundary: None,
        tags: Default::default(),
        access_keys: vec![iam::AccessKey { id: access_key_id, active: true, created_unix_s: now_unix_s }],
    }
}

/// Makes the first of the keys that seal session tokens, at the first start.
pub async fn first_session_key(meta: &MetaClient, deadline: Instant) -> Result<()> {
    let first = [session_keys::PREFIX, &1u32.to_be_bytes()].concat();
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let txn = Txn {
        compares: vec![Compare::Absent(first.clone())],
        success: vec![Op::put(first, key.to_vec())],
        failure: vec![],
    };
    meta.txn(txn, deadline).await?;
    Ok(())
}

/// Keeps the front door's keys as the store has them.
pub async fn follow(mirror: Arc<Mirror>, keys: Arc<SecretKeys>) {
    let mut changed = mirror.changed();
    loop {
        keys.replace(read(&mirror));
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// All keys that the mirror shows now.
pub fn read(mirror: &Mirror) -> Vec<SecretKey> {
    let read = |entry: Arc<Entry>| {
        let stored = records::from_stored::<StoredKey>(&entry.value).and_then(|stored| {
            let identity = Identity::of_arn(&stored.arn).ok_or("it belongs to nobody")?;
            Ok((stored, identity))
        });
        let (stored, identity) =
            stored.inspect_err(|e| tracing::error!(error = e, "an access key can't be read")).ok()?;
        Some(SecretKey {
            secret: Zeroizing::new(stored.secret),
            principal: Arc::new(Principal {
                access_key_id: stored.access_key_id,
                account: stored.account,
                arn: stored.arn,
                identity,
                session: None,
            }),
        })
    };
    mirror.scan_prefix(PREFIX).into_iter().filter_map(read).collect()
}

/// What is left of a caller's time for the answer to reach it.
const KEYS_MARGIN: Duration = Duration::from_millis(500);
/// How long a node that has heard less than its caller waits to catch up.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Yesterday (requests signed just before midnight) and the days to come, for which a data node can go on alone.
const DAYS: std::ops::RangeInclusive<i64> = -1..=7;

fn days(today: time::Date) -> Vec<String> {
    DAYS.map(|n| today.saturating_add(time::Duration::days(n)))
        .map(|d| format!("{:04}{:02}{:02}", d.year(), u8::from(d.month()), d.day()))
        .collect()
}

/// Names a set of access keys, of sealing keys and days: equal on all control nodes that know the same ones.
fn digest(mirror: &Mirror, session_keys: &Mirror, days: &[String]) -> u64 {
    let mut keys = mirror.scan_prefix(PREFIX);
    keys.extend(session_keys.scan_prefix(session_keys::PREFIX));
    let keys = keys.iter().map(|e| hash(&[&e.key[..], &e.mod_revision.to_be_bytes()].concat()));
    keys.fold(hash(days.concat().as_bytes()), u64::wrapping_add)
}

/// FNV-1a: the same in every build, unlike the standard library's.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Answers data nodes that ask for signing keys as soon as there is another set than the one that they say they know.
///
/// A question and an answer begin with the set's digest and the control store's revision as of which it was seen; the set
/// follows where it is another one. Nobody is told what is older than what she knows.
pub struct KeysHandler {
    pub group: Arc<Group>,
    pub mirror: Arc<Mirror>,
    /// Of [`session_keys::PREFIX`]. A key is known to all long before it seals: it may be told late.
    pub session_keys: Arc<Mirror>,
    pub region: Region,
    pub clock: SharedClock,
}

impl KeysHandler {
    fn days(&self) -> Result<Vec<String>, (Refusal, String)> {
        let now = time::OffsetDateTime::from_unix_timestamp(self.clock.unix_s());
        now.map(|now| days(now.date())).map_err(|e| (Refusal::Failed, e.to_string()))
    }
}

impl Handler for KeysHandler {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let cut_off = || (Refusal::Overloaded, "this node has lost touch with the control store".to_owned());
            let known: Option<[u8; 16]> = (*call.payload).try_into().ok();
            let known = known.map(u128::from_be_bytes).ok_or((Refusal::Malformed, "not 16 bytes".to_owned()))?;
            let (known, revision) = ((known >> 64) as u64, known as u64);
            let end = call.deadline - KEYS_MARGIN;
            if !self.mirror.wait_for(revision, end.min(Instant::now() + CATCH_UP)).await {
                return Err(cut_off());
            }
            let mut changed = self.mirror.changed();
            let mut sealing = self.session_keys.changed();
            loop {
                if !self.group.in_touch() {
                    return Err(cut_off());
                }
                // Read first: what is sent is at least as new.
                let revision = *changed.borrow_and_update();
                sealing.borrow_and_update();
                let days = self.days()?;
                let digest = digest(&self.mirror, &self.session_keys, &days);
                let head = [digest.to_be_bytes(), revision.to_be_bytes()].concat();
                if digest != known {
                    let keys = read(&self.mirror);
                    let set = KeySet::derive(
                        &keys,
                        self.region.as_str(),
                        "dynamodb",
                        days,
                        &session_keys::read(&self.session_keys),
                    );
                    let set = records::to_stored(&set).map_err(|e| (Refusal::Failed, e))?;
                    return Ok([head, set].concat().into());
                }
                tokio::select! {
                    heard = tokio::time::timeout_at(end, changed.changed()) => {
                        if heard.is_err() {
                            return Ok(head.into());
                        }
                    }
                    _ = sealing.changed() => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_from_yesterday_on() {
        let days = days(time::macros::date!(2026 - 01 - 01));
        assert_eq!((days[0].as_str(), days[8].as_str(), days.len()), ("20251231", "20260108", 9));
    }
}
