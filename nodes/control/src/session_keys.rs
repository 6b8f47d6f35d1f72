//! The keys that seal session tokens. A new one is made regularly, and every front door knows it for a whole period before
//! it seals anything; an old one stays for as long as a token lives that it may have sealed.

mod rotation;

use anyhow::Result;
use breakwater_aws::{Credentials as _, SecretKeys};
use breakwater_consensus::Group;
use breakwater_meta::model::Revision;
use breakwater_meta::{Compare, MetaClient, Mirror, Op, RangeRequest, Txn, records};
use breakwater_types::SharedClock;
use breakwater_types::formats::{Formats, TRAILS};
use rotation::{Rotation, Step};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

pub const PREFIX: &[u8] = b"control/session-key/";
/// The one [`Rotation`]. Every transaction that makes or drops keys changes it too, and once there it stays.
const ROTATION: &[u8] = b"control/session-key-rotation";

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the time that has passed is kept, at most: so much of it is lost when all control nodes restart at once.
const KEEP_EVERY_MS_MAX: u64 = 60_000;

type Keys = Vec<(u32, Zeroizing<Vec<u8>>)>;

fn key_at(number: u32) -> Vec<u8> {
    [PREFIX, &number.to_be_bytes()].concat()
}

fn new_key() -> Vec<u8> {
    let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    key.to_vec()
}

/// Makes the first key, at a region's first start. Never again: under its old number it would be another key, which seals
/// before others know it.
pub async fn make_first(meta: &MetaClient, deadline: Instant) -> Result<()> {
    // Where keys were exchanged by a build that recorded it otherwise, there are some under later numbers.
    if meta.range(RangeRequest::prefix(PREFIX, 1), deadline).await?.entries.is_empty() {
        meta.txn(first(), deadline).await?;
    }
    Ok(())
}

fn first() -> Txn {
    Txn {
        compares: vec![Compare::Absent(key_at(1)), Compare::Absent(ROTATION.to_vec())],
        success: vec![Op::put(key_at(1), new_key())],
        failure: vec![],
    }
}

/// All keys that the mirror shows, in order.
pub fn read(mirror: &Mirror) -> Keys {
    let number = |key: &[u8]| key.strip_prefix(PREFIX)?.try_into().ok().map(u32::from_be_bytes);
    let entries = mirror.scan_prefix(PREFIX);
    entries.iter().filter_map(|e| Some((number(&e.key)?, Zeroizing::new(e.value.to_vec())))).collect()
}

/// What keeps the keys of this node, and of the region where this node leads.
pub struct Keeper {
    pub group: Arc<Group>,
    pub meta: MetaClient,
    /// Of [`PREFIX`].
    pub mirror: Arc<Mirror>,
    /// Of [`Keeper::rotation`]'s record.
    pub rotation: Arc<Mirror>,
    pub keys: Arc<SecretKeys>,
    pub clock: SharedClock,
    pub formats: Arc<Formats>,
    pub period_s: u32,
}

/// What this node's front door was given.
#[derive(Default)]
struct Shown {
    keys: Keys,
    sealing: Option<u32>,
}

impl Shown {
    /// Whether this is something else: the same number may mean another key to a node that missed what was between.
    fn differs(&mut self, keys: &Keys, sealing: Option<u32>) -> bool {
        let differs = self.keys != *keys || self.sealing != sealing;
        if differs {
            *self = Shown { keys: keys.clone(), sealing };
        }
        differs
    }
}

/// Since when this node has seen the record as it is, in milliseconds of a clock that nobody sets. It was written before:
/// what nodes add to it one after the other is never more than what has passed.
#[derive(Default)]
struct Seen(Option<(Revision, u64)>);

impl Seen {
    /// What has passed since; nothing where there is no record.
    fn passed_ms(&mut self, revision: Revision, now_ms: u64) -> u64 {
        match self.0 {
            Some((seen, since_ms)) if seen == revision && revision != 0 => now_ms.saturating_sub(since_ms),
            _ => {
                self.0 = Some((revision, now_ms));
                0
            }
        }
    }
}

/// How things stand now.
struct Standing {
    rotation: Rotation,
    /// Of the record that this is of; 0 where there is none.
    revision: Revision,
    /// What is not in the record yet.
    passed_ms: u64,
}

/// What changes the record with the keys.
fn change(revision: Revision, rotation: &Rotation, step: &Step) -> Result<Txn, String> {
    let mut txn = Txn::default();
    // Nobody else has changed it since: time is counted once, and numbers are used once.
    txn.compares.push(match revision {
        0 => Compare::Absent(ROTATION.to_vec()),
        seen => Compare::ModRevision(ROTATION.to_vec(), seen),
    });
    txn.success.push(Op::put(ROTATION, records::to_stored(rotation)?));
    if let Some(number) = step.make {
        txn.compares.push(Compare::Absent(key_at(number)));
        txn.success.push(Op::put(key_at(number), new_key()));
    }
    txn.success.extend(step.drop.iter().map(|number| Op::Delete { key: key_at(*number) }));
    Ok(txn)
}

impl Keeper {
    /// Says how long each key has been known.
    pub fn rotation(meta: MetaClient) -> Arc<Mirror> {
        Mirror::start(meta, ROTATION.to_vec())
    }

    /// When it returns, this node seals and opens with what the mirrors show.
    pub fn start(self) {
        let (mut shown, mut seen) = (Shown::default(), Seen::default());
        self.show(&mut shown, &mut seen);
        tokio::spawn(self.run(shown, seen));
    }

    fn period_ms(&self) -> u64 {
        u64::from(self.period_s) * 1_000
    }

    /// Gives this node's front door the keys, where they are others than those shown.
    fn show(&self, shown: &mut Shown, seen: &mut Seen) -> Option<Standing> {
        let keys = read(&self.mirror);
        let numbers: Vec<u32> = keys.iter().map(|(number, _)| *number).collect();
        let entry = self.rotation.get(ROTATION);
        let revision = entry.as_ref().map_or(0, |entry| entry.mod_revision);
        let passed_ms = seen.passed_ms(revision, self.clock.boot_ns() / 1_000_000);
        let recorded = entry.map(|entry| records::from_stored::<Rotation>(&entry.value)).transpose();
        let recorded =
            recorded.inspect_err(|e| tracing::error!(error = e, "what is known of session keys can't be read"));
        let standing = recorded.ok().filter(|_| !keys.is_empty()).map(|recorded| {
            let rotation = recorded.unwrap_or_else(|| Rotation::begin(&numbers));
            Standing { rotation: rotation.after(passed_ms), revision, passed_ms }
        });
        // Where it can't be read the oldest one seals: all know that one.
        let sealing = match &standing {
            Some(standing) => standing.rotation.sealing(self.period_ms()),
            None => numbers.first().copied(),
        };
        if !keys.is_empty() && shown.differs(&keys, sealing) {
            self.keys.sessions().replace_sealing(keys, sealing.unwrap_or_default());
        }
        standing
    }

    async fn run(self, mut shown: Shown, mut seen: Seen) {
        let (mut keys, mut rotation) = (self.mirror.changed(), self.rotation.changed());
        loop {
            keys.borrow_and_update();
            rotation.borrow_and_update();
            if let Some(standing) = self.show(&mut shown, &mut seen)
                && let Err(e) = self.rotate(standing).await
            {
                tracing::warn!(error = %e, "the keys that seal sessions stay as they are for now");
            }
            // Woken by other nodes' changes, and by time.
            tokio::select! {
                _ = keys.changed() => {}
                _ = rotation.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Where this node leads the control store, and every node follows what changes.
    async fn rotate(&self, mut standing: Standing) -> Result<()> {
        if !self.group.is_leader() || self.formats.active() < TRAILS {
            return Ok(());
        }
        let step = standing.rotation.step(self.period_ms());
        let keep_every_ms = (self.period_ms() / 20).min(KEEP_EVERY_MS_MAX);
        if step.is_idle() && standing.revision != 0 && standing.passed_ms < keep_every_ms {
            return Ok(());
        }
        let txn = change(standing.revision, &standing.rotation, &step).map_err(anyhow::Error::msg)?;
        let done = self.meta.txn(txn, Instant::now() + Duration::from_secs(2)).await?;
        // So that it isn't tried again before it is seen.
        let end = Instant::now() + Duration::from_secs(2);
        self.mirror.wait_for(done.revision, end).await;
        self.rotation.wait_for(done.revision, end).await;
        anyhow::ensure!(done.succeeded, "their record, or the next number, isn't as this node has seen it");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that was dropped came back under its number, as another one, when a node started.
    #[test]
    fn the_first_key_is_made_once_in_a_regions_life() {
        let once = [Compare::Absent(key_at(1)), Compare::Absent(ROTATION.to_vec())];
        assert_eq!(first().compares, once);
        // And nothing is dropped before there is a record of it.
        let step = Step { make: Some(2), drop: vec![1] };
        let txn = change(0, &Rotation::begin(&[1]), &step).unwrap();
        let puts = |key: &[u8]| txn.success.iter().any(|op| matches!(op, Op::Put { key: put, .. } if put == key));
        assert!(puts(ROTATION) && puts(&key_at(2)) && txn.success.contains(&Op::Delete { key: key_at(1) }));
        assert_eq!(txn.compares, [Compare::Absent(ROTATION.to_vec()), Compare::Absent(key_at(2))]);
        let later = change(7, &Rotation::begin(&[1]), &Step::default()).unwrap();
        assert_eq!(later.compares, [Compare::ModRevision(ROTATION.to_vec(), 7)]);
    }

    #[test]
    fn time_is_counted_from_when_the_record_was_seen() {
        let mut seen = Seen::default();
        // Without a record it isn't counted at all.
        assert_eq!((seen.passed_ms(0, 1_000), seen.passed_ms(0, 9_000)), (0, 0));
        assert_eq!((seen.passed_ms(4, 10_000), seen.passed_ms(4, 12_500)), (0, 2_500));
        // Another node has written down what had passed until then.
        assert_eq!((seen.passed_ms(5, 13_000), seen.passed_ms(5, 13_100)), (0, 100));
    }

    /// A node compared numbers alone, and kept the old key.
    #[test]
    fn another_key_under_a_known_number_is_shown() {
        let keys = |byte| vec![(1, Zeroizing::new(vec![byte; 32]))];
        let mut shown = Shown::default();
        assert!(shown.differs(&keys(1), Some(1)) && !shown.differs(&keys(1), Some(1)));
        assert!(shown.differs(&keys(2), Some(1)) && !shown.differs(&keys(2), Some(1)));
        assert!(shown.differs(&keys(2), Some(2)));
    }
}
