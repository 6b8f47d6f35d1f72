//! Access keys: in the control store, under keys that only control nodes may read.

use anyhow::{Context, Result};
use breakwater_aws::{Identity, Principal, SecretKey, SecretKeys};
use breakwater_iam::records as iam;
use breakwater_meta::{Compare, Entry, MetaClient, MetaError, Mirror, Op, RangeRequest, Txn, records};
use breakwater_types::{AccountId, SharedClock};
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

/// Makes an account with an administrator who is not its root, and with what puts its root's password there. False where
/// there was one already: it stays as it is.
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
    mirror.scan_prefix(PREFIX).iter().filter_map(|entry| secret_key(entry)).collect()
}

pub fn secret_key(entry: &Entry) -> Option<SecretKey> {
    let stored = records::from_stored::<StoredKey>(&entry.value).and_then(|stored| {
        let identity = Identity::of_arn(&stored.arn).ok_or("it belongs to nobody")?;
        Ok((stored, identity))
    });
    let (stored, identity) = stored.inspect_err(|e| tracing::error!(error = e, "an access key can't be read")).ok()?;
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
}
