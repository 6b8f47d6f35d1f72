//! Access keys: in the control store, under keys that only control nodes may read. Data nodes get signing keys derived
//! from them, for their service and for the days to come.

use anyhow::{Context, Result};
use breakwater_aws::Principal;
use breakwater_aws::sigv4::{SecretKey, SecretKeys};
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
    arn: String,
    administrator: bool,
}

/// As the launcher wrote it.
#[derive(Deserialize)]
struct First {
    access_key_id: String,
    secret_access_key: String,
    account_id: AccountId,
}

/// Puts the administrator's key into the store, unless an account has one there already.
pub async fn load_first(dir: &Path, meta: &MetaClient, deadline: Instant) -> Result<()> {
    let path = dir.join("admin-credentials.json");
    let text = match std::fs::read(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    let first: First = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    let stored = StoredKey {
        arn: format!("arn:aws:iam::{}:user/administrator", first.account_id),
        access_key_id: first.access_key_id,
        secret: first.secret_access_key,
        account: first.account_id,
        administrator: true,
    };
    let key = [PREFIX, stored.access_key_id.as_bytes()].concat();
    let value = records::to_stored(&stored).map_err(anyhow::Error::msg)?;
    let txn = Txn { compares: vec![Compare::Absent(key.clone())], success: vec![Op::put(key, value)], failure: vec![] };
    meta.txn(txn, deadline).await?;
    Ok(())
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
        match records::from_stored::<StoredKey>(&entry.value) {
            Ok(stored) => Some(SecretKey {
                secret: Zeroizing::new(stored.secret),
                principal: Arc::new(Principal {
                    access_key_id: stored.access_key_id,
                    account: stored.account,
                    arn: stored.arn,
                    administrator: stored.administrator,
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
    administrator: bool,
    date: String,
    region: String,
    service: String,
    key: Vec<u8>,
}

/// Yesterday (requests signed just before midnight) and the days to come, for which a data node can go on alone.
const DAYS: std::ops::RangeInclusive<i64> = -1..=7;

/// Answers data nodes that ask for signing keys.
pub struct KeysHandler {
    pub keys: Arc<SecretKeys>,
    pub region: Region,
    pub clock: SharedClock,
}

impl Handler for KeysHandler {
    fn handle(self: Arc<Self>, _call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let failed = |e: String| (Refusal::Failed, e);
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
                    administrator: d.principal.administrator,
                    date: d.date,
                    region: d.region,
                    service: d.service,
                    key: d.key.expose().to_vec(),
                })
                .collect();
            if derived.is_empty() {
                return Err((Refusal::Overloaded, "no access keys are known here yet".to_owned()));
            }
            Ok(records::to_stored(&derived).map_err(failed)?.into())
        })
    }
}
