//! Signing keys of this service for the days to come: from the control nodes, kept in the node's own sealed store, so
//! that callers are known with every control node down, also after a restart.

use anyhow::{Context, Result};
use breakwater_aws::{DerivedKey, DerivedKeys, Principal, SigningKey};
use breakwater_meta::records;
use breakwater_storage::{Batch, Engine};
use breakwater_transport::{Kind, Transport};
use breakwater_types::{AccountId, NodeName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// No group has the number 0: its prefix is the node's own.
const KEY: &[u8] = b"\0\0\0\0\0\0\0\0keys";
const EVERY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(2);

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

fn install(keys: &DerivedKeys, stored: &[u8]) -> Result<()> {
    let rows: Vec<Derived> = records::from_stored(stored).map_err(anyhow::Error::msg)?;
    let rows = rows
        .into_iter()
        .map(|row| {
            let bytes: [u8; 32] = row.key.as_slice().try_into().ok().context("a signing key's length")?;
            Ok(DerivedKey {
                principal: Arc::new(Principal {
                    access_key_id: row.access_key_id,
                    account: row.account,
                    arn: row.arn,
                    administrator: row.administrator,
                }),
                date: row.date,
                region: row.region,
                service: row.service,
                key: Arc::new(SigningKey::from_bytes(bytes)),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    keys.replace(rows);
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

/// Asks for new ones, for ever.
pub async fn follow(transport: Arc<Transport>, control: Vec<NodeName>, store: Arc<dyn Engine>, keys: Arc<DerivedKeys>) {
    loop {
        let mut answered = false;
        for node in &control {
            let asked = transport.call(node, Kind::Keys, 0, Bytes::new(), Instant::now() + PATIENCE).await;
            match asked {
                Ok(answer) => match install(&keys, &answer) {
                    Ok(()) => {
                        let mut batch = Batch::new();
                        batch.put(KEY, answer);
                        let store = store.clone();
                        let kept = tokio::task::spawn_blocking(move || store.write(&batch).and_then(|()| store.sync()));
                        if let Ok(Err(e)) = kept.await {
                            tracing::warn!(error = %e, "signing keys could not be kept");
                        }
                        answered = true;
                        break;
                    }
                    Err(e) => tracing::warn!(error = %e, %node, "signing keys can't be read"),
                },
                Err(e) => tracing::debug!(error = %e, %node, "no signing keys"),
            }
        }
        tokio::time::sleep(if answered { EVERY } else { PAUSE }).await;
    }
}
