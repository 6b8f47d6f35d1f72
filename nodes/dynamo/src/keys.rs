//! Signing keys of this service for the days to come: from the control nodes, kept in the node's own sealed store, so
//! that callers are known with every control node down, also after a restart.

use breakwater_aws::{DerivedKeys, KeySet};
use breakwater_meta::records;
use breakwater_storage::{Batch, Engine};
use breakwater_transport::{Kind, Transport};
use breakwater_types::NodeName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// No group has the number 0: its prefix is the node's own.
const KEY: &[u8] = b"\0\0\0\0\0\0\0\0key set";
const PAUSE: Duration = Duration::from_millis(100);
/// How long the first answer may take, and one that comes when something has changed.
const PATIENCE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(20);

fn install(keys: &DerivedKeys, stored: &[u8]) -> Result<(), String> {
    records::from_stored::<KeySet>(stored).map(|set| set.install(keys))
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

/// What a control node has said of a set: its digest, and the store's revision as of which it was seen.
#[derive(Clone, Copy, Default)]
struct Known {
    digest: u64,
    revision: u64,
}

/// Asks for new ones, for ever: whoever answered is asked again at once, and answers when there is another set.
pub async fn follow(transport: Arc<Transport>, control: Vec<NodeName>, store: Arc<dyn Engine>, keys: Arc<DerivedKeys>) {
    let mut known = Known::default();
    for node in control.iter().cycle() {
        let e = loop {
            if let Err(e) = ask(&transport, node, &mut known, &store, &keys).await {
                break e;
            }
        };
        tracing::debug!(error = e, %node, "no signing keys: on to the next");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(
    transport: &Transport,
    node: &NodeName,
    known: &mut Known,
    store: &Arc<dyn Engine>,
    keys: &DerivedKeys,
) -> Result<(), String> {
    let end = Instant::now() + if known.revision > 0 { WATCH } else { PATIENCE };
    let question = [known.digest.to_be_bytes(), known.revision.to_be_bytes()].concat();
    let answer = transport.call(node, Kind::Keys, 0, question.into(), end).await.map_err(|e| e.to_string())?;
    let (head, set) = answer.split_first_chunk::<16>().ok_or("it is too short")?;
    let head = u128::from_be_bytes(*head);
    let told = Known { digest: (head >> 64) as u64, revision: head as u64 };
    if told.revision < known.revision {
        return Err("it is older than what is known".to_owned());
    }
    // Without a set it is the same as before.
    if !set.is_empty() {
        install(keys, set)?;
        keep(store, set.to_vec()).await;
    }
    *known = told;
    Ok(())
}

async fn keep(store: &Arc<dyn Engine>, set: Vec<u8>) {
    let mut batch = Batch::new();
    batch.put(KEY, set);
    let store = store.clone();
    let kept = tokio::task::spawn_blocking(move || store.write(&batch).and_then(|()| store.sync()));
    if let Ok(Err(e)) = kept.await {
        tracing::warn!(error = %e, "signing keys could not be kept");
    }
}
