//! Signing keys of this service for the days to come: from the control nodes, kept in the node's own sealed store, so
//! that callers are known with every control node down, also after a restart.

use breakwater_aws::{DerivedKeys, KeySet, KeysAsked, KeysTold, SESSIONS_PART};
use breakwater_meta::records;
use breakwater_storage::{Batch, Engine};
use breakwater_transport::{CallError, Kind, Refusal, Transport};
use breakwater_types::NodeName;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// No group has the number 0: its prefix is the node's own. Here is what control nodes of before there were parts tell.
const WHOLE: &[u8] = b"\0\0\0\0\0\0\0\0key set";
const PAUSE: Duration = Duration::from_millis(100);
/// How long the first answer may take, and one that comes when something has changed.
const PATIENCE: Duration = Duration::from_secs(2);
const WATCH: Duration = Duration::from_secs(20);

fn part_key(part: usize) -> Vec<u8> {
    [WHOLE, format!("/{part:03}").as_bytes()].concat()
}

/// What was kept from before.
pub fn load(store: &dyn Engine, keys: &DerivedKeys) {
    let install = |key: &[u8], install: &dyn Fn(KeySet) -> Result<(), String>| {
        let stored = store.get(key).map_err(|e| e.to_string());
        let installed = stored.and_then(|kept| kept.map_or(Ok(()), |kept| install(records::from_stored(&kept)?)));
        if let Err(e) = installed {
            tracing::warn!(error = e, "kept signing keys can't be read");
        }
    };
    install(WHOLE, &|set| {
        set.install(keys);
        Ok(())
    });
    for part in 0..=SESSIONS_PART {
        install(&part_key(part), &|set| set.install_part(part, keys));
    }
}

/// Asks for new ones, for ever: whoever answered is asked again at once, and answers when there are other ones.
pub async fn follow(transport: Arc<Transport>, control: Vec<NodeName>, store: Arc<dyn Engine>, keys: Arc<DerivedKeys>) {
    let mut follower = Follower { transport, store, keys, known: KeysAsked::default(), whole: 0 };
    for node in control.iter().cycle() {
        let e = loop {
            if let Err(e) = follower.ask(node).await {
                break e;
            }
        };
        tracing::debug!(error = e, %node, "no signing keys: on to the next");
        tokio::time::sleep(PAUSE).await;
    }
}

struct Follower {
    transport: Arc<Transport>,
    store: Arc<dyn Engine>,
    keys: Arc<DerivedKeys>,
    known: KeysAsked,
    /// The digest of the whole set, from a control node that knows no parts.
    whole: u64,
}

impl Follower {
    fn deadline(&self) -> Instant {
        Instant::now() + if self.known.revision > 0 { WATCH } else { PATIENCE }
    }

    async fn ask(&mut self, node: &NodeName) -> Result<(), String> {
        let question = records::to_stored(&self.known)?;
        let answer = match self.transport.call(node, Kind::Keys, 0, question.into(), self.deadline()).await {
            Ok(answer) => answer,
            Err(CallError::Refused(Refusal::Malformed, e)) => {
                tracing::debug!(%node, error = %e, "signing keys in parts were not understood; asking for the whole set");
                return self.ask_whole(node).await;
            }
            Err(e) => return Err(e.to_string()),
        };
        let told: KeysTold = records::from_stored(&answer)?;
        if told.revision < self.known.revision {
            return Err("it is older than what is known".to_owned());
        }
        let mut batch = Batch::new();
        for part in &told.parts {
            let number = usize::from(part.number);
            part.set.install_part(number, &self.keys)?;
            batch.put(part_key(number), records::to_stored(&part.set)?);
        }
        self.known.learn(&told);
        if !told.parts.is_empty() {
            if !told.more {
                batch.delete(WHOLE);
            }
            self.whole = 0;
            self.keep(batch).await;
        }
        Ok(())
    }

    /// As before there were parts: a control node of an older build, during an upgrade.
    async fn ask_whole(&mut self, node: &NodeName) -> Result<(), String> {
        let question = [self.whole.to_be_bytes(), self.known.revision.to_be_bytes()].concat();
        let answer = self.transport.call(node, Kind::Keys, 0, question.into(), self.deadline()).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let (head, set) = answer.split_first_chunk::<16>().ok_or("it is too short")?;
        let head = u128::from_be_bytes(*head);
        let (digest, revision) = ((head >> 64) as u64, head as u64);
        if revision < self.known.revision {
            return Err("it is older than what is known".to_owned());
        }
        // Without a set it is the same as before.
        if !set.is_empty() {
            records::from_stored::<KeySet>(set)?.install(&self.keys);
            let mut batch = Batch::new();
            batch.put(WHOLE, set.to_vec());
            (0..=SESSIONS_PART).for_each(|part| batch.delete(part_key(part)));
            self.keep(batch).await;
        }
        self.known = KeysAsked { revision, digests: Vec::new() };
        self.whole = digest;
        Ok(())
    }

    async fn keep(&self, batch: Batch) {
        let store = self.store.clone();
        let kept = tokio::task::spawn_blocking(move || store.write(&batch).and_then(|()| store.sync()));
        if let Ok(Err(e)) = kept.await {
            tracing::warn!(error = %e, "signing keys could not be kept");
        }
    }
}
