//! Signing keys of this service for the days to come: from the control nodes, kept in the node's own sealed store, so
//! that callers are known with every control node down, also after a restart.

use anyhow::{Context, Result};
use breakwater_aws::{Credentials, DerivedKey, DerivedKeys, Identity, Principal, SigningKey};
use breakwater_meta::records;
use breakwater_storage::{Batch, Engine};
use breakwater_transport::{Kind, Transport};
use breakwater_types::{AccountId, NodeName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// No group has the number 0: its prefix is the node's own.
const KEY: &[u8] = b"\0\0\0\0\0\0\0\0key set";
const PAUSE: Duration = Duration::from_millis(100);
/// How long the first answer may take, and one that comes when something has changed.
const PATIENCE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(20);
/// Keys of new days are asked for at least so often.
const ANEW: Duration = Duration::from_secs(600);

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

#[derive(Serialize, Deserialize)]
struct KeySet {
    rows: Vec<Derived>,
    session_keys: Vec<(u32, Vec<u8>)>,
}

fn install(keys: &DerivedKeys, stored: &[u8]) -> Result<()> {
    let set: KeySet = records::from_stored(stored).map_err(anyhow::Error::msg)?;
    let rows = set
        .rows
        .into_iter()
        .map(|row| {
            let bytes: [u8; 32] = row.key.as_slice().try_into().ok().context("a signing key's length")?;
            Ok(DerivedKey {
                principal: Arc::new(Principal {
                    identity: Identity::of_arn(&row.arn).context("an access key that belongs to nobody")?,
                    session: None,
                    access_key_id: row.access_key_id,
                    account: row.account,
                    arn: row.arn,
                }),
                date: row.date,
                region: row.region,
                service: row.service,
                key: Arc::new(SigningKey::from_bytes(bytes)),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    keys.replace(rows);
    keys.sessions().replace(set.session_keys.into_iter().map(|(n, key)| (n, Zeroizing::new(key))));
    Ok(())
}

/// What was kept from before.
pub fn load(store: &dyn Engine, keys: &DerivedKeys) {
    match store.get(KEY) {
        Ok(Some(stored)) => {
            if let Err(e) = install(keys, &stored) {
                tracing::warn!(error = %e, "the kept signing keys can't be read");
            }
        }
        Ok(None) => {}
        Err(e) => tracing::warn!(error = %e, "the kept signing keys can't be read"),
    }
}

/// Asks for new ones, for ever: whoever answered is asked again at once, and answers when there is another set.
pub async fn follow(transport: Arc<Transport>, control: Vec<NodeName>, store: Arc<dyn Engine>, keys: Arc<DerivedKeys>) {
    // Which set this node has, and since when.
    let mut known: Option<(u64, Instant)> = None;
    loop {
        let mut answered = false;
        for node in &control {
            if known.is_some_and(|(_, since)| since.elapsed() > ANEW) {
                known = None;
            }
            let version = known.map_or(0, |(version, _)| version);
            let end = Instant::now() + if known.is_some() { WATCH } else { PATIENCE };
            let asked = transport.call(node, Kind::Keys, 0, version.to_be_bytes().to_vec().into(), end).await;
            let answer = match &asked {
                Ok(answer) => {
                    answer.split_first_chunk::<8>().map(|(version, rows)| (u64::from_be_bytes(*version), rows))
                }
                Err(e) => {
                    tracing::debug!(error = %e, %node, "no signing keys");
                    continue;
                }
            };
            match answer {
                // The same set as before.
                Some((_, [])) => answered = true,
                Some((version, rows)) => match take(&store, &keys, rows).await {
                    Ok(()) => {
                        known = Some((version, Instant::now()));
                        answered = true;
                    }
                    Err(e) => tracing::warn!(error = %e, %node, "signing keys can't be read"),
                },
                None => tracing::warn!(%node, "signing keys can't be read"),
            }
            if answered {
                break;
            }
        }
        if !answered {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Puts them into force, and keeps them.
async fn take(store: &Arc<dyn Engine>, keys: &DerivedKeys, rows: &[u8]) -> Result<()> {
    install(keys, rows)?;
    let mut batch = Batch::new();
    batch.put(KEY, rows.to_vec());
    let store = store.clone();
    let kept = tokio::task::spawn_blocking(move || store.write(&batch).and_then(|()| store.sync()));
    if let Ok(Err(e)) = kept.await {
        tracing::warn!(error = %e, "signing keys could not be kept");
    }
    Ok(())
}
