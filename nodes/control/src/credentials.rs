//! Access keys: in the control store, under keys that only control nodes may read. Data nodes get signing keys derived
//! from them, for their service and for the days to come.

use anyhow::{Context, Result};
use breakwater_aws::sigv4::{SecretKey, SecretKeys};
use breakwater_aws::{Identity, Principal};
use breakwater_iam::records as iam;
use breakwater_meta::{Compare, Entry, MetaClient, Mirror, Op, RangeRequest, Txn, prefix_end, records};
use breakwater_transport::{Handler, Inbound, Refusal};
use breakwater_types::{AccountId, Region, SharedClock};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
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
    /// Of before there were policies; not looked at.
    administrator: bool,
}

/// As the launcher wrote it.
#[derive(Deserialize)]
struct First {
    access_key_id: String,
    secret_access_key: String,
    account_id: AccountId,
}

/// An access key as it is stored.
pub fn stored(id: &str, secret: &str, account: &AccountId, arn: &str) -> Result<Vec<u8>, String> {
    records::to_stored(&StoredKey {
        access_key_id: id.to_owned(),
        secret: secret.to_owned(),
        account: account.clone(),
        arn: arn.to_owned(),
        administrator: false,
    })
}

/// Puts the administrator and her key into the store at the first start; later it is the account's own affair what
/// becomes of them.
pub async fn load_first(dir: &Path, meta: &MetaClient, clock: &SharedClock, deadline: Instant) -> Result<()> {
    let path = dir.join("admin-credentials.json");
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let first: First = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let (id, account) = (first.access_key_id, first.account_id);
    let arn = iam::arn(&account, iam::Kind::User, "/", ADMINISTRATOR);
    let key = [PREFIX, id.as_bytes()].concat();
    let value = stored(&id, &first.secret_access_key, &account, &arn).map_err(anyhow::Error::msg)?;
    let user = administrator(id, clock.unix_s());
    let user_key = iam::key(&account, iam::Kind::User, ADMINISTRATOR);
    let user_value = iam::write(&user).map_err(anyhow::Error::msg)?;
    // Once in an account's life: who deleted the administrator, or her key, doesn't get them back by a restart.
    let made = [MADE, account.as_str().as_bytes()].concat();
    let txn = Txn {
        compares: vec![Compare::Absent(made.clone())],
        success: vec![Op::put(key, value), Op::put(user_key, user_value), Op::put(made, Vec::new())],
        failure: vec![],
    };
    meta.txn(txn, deadline).await?;
    Ok(())
}

const ADMINISTRATOR: &str = "administrator";
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

const SESSION_KEYS: &[u8] = b"control/session-key/";

/// The keys that seal session tokens; the first one is made at the first start.
pub async fn session_keys(meta: &MetaClient, deadline: Instant) -> Result<Vec<(u32, Zeroizing<Vec<u8>>)>> {
    let first = [SESSION_KEYS, &1u32.to_be_bytes()].concat();
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let txn = Txn {
        compares: vec![Compare::Absent(first.clone())],
        success: vec![Op::put(first, key.to_vec())],
        failure: vec![],
    };
    meta.txn(txn, deadline).await?;
    let all = RangeRequest { start: SESSION_KEYS.to_vec(), end: prefix_end(SESSION_KEYS), limit: 100 };
    let all = meta.range(all, deadline).await?;
    let number = |key: &[u8]| key.strip_prefix(SESSION_KEYS)?.try_into().ok().map(u32::from_be_bytes);
    let keys = all.entries.iter().filter_map(|e| Some((number(&e.key)?, Zeroizing::new(e.value.to_vec()))));
    Ok(keys.collect())
}

/// Keeps the front door's keys as the store has them.
pub async fn follow(mirror: Arc<Mirror>, keys: Arc<SecretKeys>) {
    let mut changed = mirror.changed();
    loop {
        load(&mirror, &keys);
        if changed.changed().await.is_err() {
            return;
        }
    }
}

/// Waits until the mirror shows every key that the store has now.
pub async fn caught_up(mirror: &Mirror, meta: &MetaClient, deadline: Instant) -> Result<()> {
    let all = RangeRequest { start: PREFIX.to_vec(), end: prefix_end(PREFIX), limit: 10_000 };
    let now = meta.range(all, deadline).await?;
    let mut changed = mirror.changed();
    let shown = |key: &Entry| mirror.get(&key.key).is_some_and(|shown| shown.mod_revision >= key.mod_revision);
    // One that was removed since isn't shown, but then the mirror is newer.
    while mirror.revision() < now.revision && !now.entries.iter().all(shown) {
        changed.changed().await?;
    }
    Ok(())
}

/// Takes over all keys that the mirror shows now.
pub fn load(mirror: &Mirror, keys: &SecretKeys) {
    let all = mirror.scan_prefix(PREFIX).into_iter().filter_map(|entry| {
        let read = records::from_stored::<StoredKey>(&entry.value).and_then(|stored| {
            let identity = Identity::of_arn(&stored.arn).ok_or("it belongs to nobody")?;
            Ok((stored, identity))
        });
        match read {
            Ok((stored, identity)) => Some(SecretKey {
                secret: Zeroizing::new(stored.secret),
                principal: Arc::new(Principal {
                    access_key_id: stored.access_key_id,
                    account: stored.account,
                    arn: stored.arn,
                    identity,
                    session: None,
                }),
            }),
            Err(e) => {
                tracing::error!(error = e, "an access key can't be read");
                None
            }
        }
    });
    keys.replace(all);
}

/// A signing key as data nodes get and keep it.
#[derive(Serialize, Deserialize)]
struct Derived {
    access_key_id: String,
    account: AccountId,
    arn: String,
    /// Of before there were policies; not looked at.
    administrator: bool,
    date: String,
    region: String,
    service: String,
    key: Vec<u8>,
}

/// What is left of a caller's time for the answer to reach it.
const KEYS_MARGIN: std::time::Duration = std::time::Duration::from_millis(500);

/// What a data node gets: signing keys, and what opens session tokens.
#[derive(Serialize, Deserialize)]
struct KeySet {
    rows: Vec<Derived>,
    session_keys: Vec<(u32, Vec<u8>)>,
}

/// Yesterday (requests signed just before midnight) and the days to come, for which a data node can go on alone.
const DAYS: std::ops::RangeInclusive<i64> = -1..=7;

/// Names a set of access keys: equal on all control nodes that know the same ones.
fn version(mirror: &Mirror) -> u64 {
    let entries = mirror.scan_prefix(PREFIX);
    let each = entries.iter().map(|e| hash(&[&e.key[..], &e.mod_revision.to_be_bytes()].concat()));
    // Never 0, which is what one says who knows none.
    each.fold(1, |sum: u64, one| sum.wrapping_add(one)) | 1
}

/// FNV-1a: the same in every build, unlike the standard library's.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// Answers data nodes that ask for signing keys: at once, or, where they say which set they know, as soon as there is
/// another one, or when the day has changed.
pub struct KeysHandler {
    pub keys: Arc<SecretKeys>,
    pub mirror: Arc<Mirror>,
    pub session_keys: Vec<(u32, Zeroizing<Vec<u8>>)>,
    pub region: Region,
    pub clock: SharedClock,
}

impl Handler for KeysHandler {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let failed = |e: String| (Refusal::Failed, e);
            // Asked for by nodes of before sets had versions: nothing is said, and the answer carries none.
            let known = <[u8; 8]>::try_from(&call.payload[..]).ok().map(u64::from_be_bytes);
            let mut changed = self.mirror.changed();
            let mut now = version(&self.mirror);
            while known == Some(now) {
                let end = call.deadline - KEYS_MARGIN;
                if tokio::time::timeout_at(end, changed.changed()).await.is_err() {
                    return Ok(now.to_be_bytes().to_vec().into());
                }
                now = version(&self.mirror);
            }
            load(&self.mirror, &self.keys);
            let today = time::OffsetDateTime::from_unix_timestamp(self.clock.unix_s())
                .map_err(|e| failed(e.to_string()))?
                .date();
            let dates: Vec<String> = DAYS
                .map(|n| today.saturating_add(time::Duration::days(n)))
                .map(|d| format!("{:04}{:02}{:02}", d.year(), u8::from(d.month()), d.day()))
                .collect();
            let dates: Vec<&str> = dates.iter().map(String::as_str).collect();
            let derived: Vec<Derived> = self
                .keys
                .derive_all(&dates, self.region.as_str(), &["dynamodb"])
                .into_iter()
                .map(|d| Derived {
                    access_key_id: d.principal.access_key_id.clone(),
                    account: d.principal.account.clone(),
                    arn: d.principal.arn.clone(),
                    administrator: d.principal.arn.ends_with(":user/administrator"),
                    date: d.date,
                    region: d.region,
                    service: d.service,
                    key: d.key.expose().to_vec(),
                })
                .collect();
            // Who knows about versions is told that there is no key left, too.
            if derived.is_empty() && known.is_none() {
                return Err((Refusal::Overloaded, "no access keys are known here yet".to_owned()));
            }
            Ok(match known {
                Some(_) => {
                    let session_keys = self.session_keys.iter().map(|(n, key)| (*n, key.to_vec())).collect();
                    let set = records::to_stored(&KeySet { rows: derived, session_keys }).map_err(failed)?;
                    [&now.to_be_bytes()[..], &set].concat().into()
                }
                None => records::to_stored(&derived).map_err(failed)?.into(),
            })
        })
    }
}
