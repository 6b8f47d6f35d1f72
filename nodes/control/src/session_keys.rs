//! The keys that seal session tokens. A new one is made regularly, and every front door knows it for a whole period before
//! it seals anything; an old one stays for as long as a token lives that it may have sealed.

use anyhow::Result;
use breakwater_aws::{Credentials as _, SecretKeys};
use breakwater_consensus::Group;
use breakwater_meta::{Compare, MetaClient, Mirror, Op, Txn};
use breakwater_types::SharedClock;
use breakwater_types::formats::{Formats, TRAILS};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

pub const PREFIX: &[u8] = b"control/session-key/";
/// When a key was made: seconds since 1970. The first one has no such record: it always was.
const MADE: &[u8] = b"control/session-key-made/";

/// No token lives longer.
const TOKEN_LIFE_S: i64 = 129_600;
/// By which clocks may differ, and news be late.
const MARGIN_S: i64 = 3_600;
/// No more are kept, however short the period.
const KEYS_MAX: usize = 64;
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    number: u32,
    made_unix_s: i64,
}

/// What is to be done about the keys.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    sealing: Option<u32>,
    make: Option<u32>,
    drop: Vec<u32>,
}

/// `keys` in the order of their numbers.
fn plan(keys: &[Known], now_unix_s: i64, period_s: i64) -> Plan {
    let seals_from = |key: &Known| if key.made_unix_s == 0 { 0 } else { key.made_unix_s + period_s };
    let sealing = keys.iter().rev().find(|key| seals_from(key) <= now_unix_s).or(keys.first());
    // One that has begun to seal needs its successor.
    let newest = keys.last().filter(|newest| seals_from(newest) <= now_unix_s && keys.len() < KEYS_MAX);
    let over = |next: &Known| seals_from(next) + TOKEN_LIFE_S + MARGIN_S <= now_unix_s;
    let drop = keys.windows(2).filter(|pair| over(&pair[1])).map(|pair| pair[0].number).collect();
    Plan { sealing: sealing.map(|key| key.number), make: newest.and_then(|key| key.number.checked_add(1)), drop }
}

/// All keys that the mirror shows, in order.
pub fn read(mirror: &Mirror) -> Vec<(u32, Zeroizing<Vec<u8>>)> {
    let number = |key: &[u8]| key.strip_prefix(PREFIX)?.try_into().ok().map(u32::from_be_bytes);
    let entries = mirror.scan_prefix(PREFIX);
    entries.iter().filter_map(|e| Some((number(&e.key)?, Zeroizing::new(e.value.to_vec())))).collect()
}

fn known(keys: &[(u32, Zeroizing<Vec<u8>>)], made: &Mirror) -> Vec<Known> {
    let made_unix_s = |number: u32| {
        let entry = made.get(&[MADE, &number.to_be_bytes()].concat());
        let bytes: Option<[u8; 8]> = entry.and_then(|entry| entry.value[..].try_into().ok());
        bytes.map_or(0, i64::from_be_bytes)
    };
    keys.iter().map(|(number, _)| Known { number: *number, made_unix_s: made_unix_s(*number) }).collect()
}

/// What keeps the keys of this node, and of the region where this node leads.
pub struct Keeper {
    pub group: Arc<Group>,
    pub meta: MetaClient,
    /// Of [`PREFIX`].
    pub mirror: Arc<Mirror>,
    /// Of [`Keeper::made`]'s prefix.
    pub made: Arc<Mirror>,
    pub keys: Arc<SecretKeys>,
    pub clock: SharedClock,
    pub formats: Arc<Formats>,
    pub period_s: i64,
}

impl Keeper {
    /// Says when each key was made.
    pub fn made(meta: MetaClient) -> Arc<Mirror> {
        Mirror::start(meta, MADE.to_vec())
    }

    /// When it returns, this node seals and opens with what the mirrors show.
    pub fn start(self) {
        let mut shown = None;
        self.show(&mut shown);
        tokio::spawn(self.run(shown));
    }

    /// Gives this node's front door the keys, where they are others than those shown.
    fn show(&self, shown: &mut Option<(Vec<u32>, Option<u32>)>) -> Plan {
        let keys = read(&self.mirror);
        let plan = plan(&known(&keys, &self.made), self.clock.unix_s(), self.period_s);
        let now = Some((keys.iter().map(|(number, _)| *number).collect(), plan.sealing));
        if !keys.is_empty() && *shown != now {
            self.keys.sessions().replace_sealing(keys, plan.sealing.unwrap_or_default());
            *shown = now;
        }
        plan
    }

    async fn run(self, mut shown: Option<(Vec<u32>, Option<u32>)>) {
        let mut changed = self.mirror.changed();
        loop {
            changed.borrow_and_update();
            let plan = self.show(&mut shown);
            if let Err(e) = self.rotate(&plan).await {
                tracing::warn!(error = %e, "the keys that seal sessions stay as they are for now");
            }
            // Woken by other nodes' changes, and by time.
            let _ = tokio::time::timeout(LOOK_EVERY, changed.changed()).await;
        }
    }

    /// Where this node leads the control store, and every node follows what changes.
    async fn rotate(&self, plan: &Plan) -> Result<()> {
        let idle = plan.make.is_none() && plan.drop.is_empty();
        if idle || !self.group.is_leader() || self.formats.active() < TRAILS {
            return Ok(());
        }
        let mut txn = Txn::default();
        if let Some(number) = plan.make {
            let key: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
            let at = [PREFIX, &number.to_be_bytes()].concat();
            txn.compares.push(Compare::Absent(at.clone()));
            txn.success.push(Op::put(at, key.to_vec()));
            let made = self.clock.unix_s().to_be_bytes().to_vec();
            txn.success.push(Op::put([MADE, &number.to_be_bytes()].concat(), made));
        }
        for number in &plan.drop {
            for prefix in [PREFIX, MADE] {
                txn.success.push(Op::Delete { key: [prefix, &number.to_be_bytes()].concat() });
            }
        }
        let done = self.meta.txn(txn, Instant::now() + Duration::from_secs(2)).await?;
        // So that it isn't tried again before it is seen.
        let end = Instant::now() + Duration::from_secs(2);
        self.mirror.wait_for(done.revision, end).await;
        self.made.wait_for(done.revision, end).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn keys(made: &[(u32, i64)]) -> Vec<Known> {
        made.iter().map(|(number, made_unix_s)| Known { number: *number, made_unix_s: *made_unix_s }).collect()
    }

    #[test]
    fn a_key_is_known_for_a_period_before_it_seals() {
        assert_eq!(plan(&[], 100, DAY), Plan { sealing: None, make: None, drop: vec![] });
        assert_eq!(plan(&keys(&[(1, 0)]), 100, DAY), Plan { sealing: Some(1), make: Some(2), drop: vec![] });
        let two = keys(&[(1, 0), (2, 100)]);
        assert_eq!(plan(&two, 99 + DAY, DAY), Plan { sealing: Some(1), make: None, drop: vec![] });
        assert_eq!(plan(&two, 100 + DAY, DAY), Plan { sealing: Some(2), make: Some(3), drop: vec![] });
        // A clock that went back.
        assert_eq!(plan(&keys(&[(7, 100), (8, 200)]), 0, DAY).sealing, Some(7));
    }

    #[test]
    fn a_key_goes_when_no_token_of_it_lives() {
        let two = keys(&[(1, 0), (2, 100)]);
        let gone = 100 + DAY + TOKEN_LIFE_S + MARGIN_S;
        assert!(plan(&two, gone - 1, DAY).drop.is_empty());
        assert_eq!(plan(&two, gone, DAY).drop, [1]);
    }

    /// Looked at every hour of a year, and never out of order.
    #[test]
    fn there_are_a_handful_of_them_at_any_time() {
        let (mut all, mut most) = (keys(&[(1, 0)]), 0);
        for hour in 0..365 * 24 {
            let now = 1_000_000 + hour * 3_600;
            let plan = plan(&all, now, DAY);
            let sealing = plan.sealing.unwrap();
            assert!(!plan.drop.contains(&sealing));
            all.retain(|key| !plan.drop.contains(&key.number));
            if let Some(number) = plan.make {
                all.push(Known { number, made_unix_s: now });
            }
            most = most.max(all.len());
        }
        assert!((3..=6).contains(&most), "{most}");
        // However short the period is.
        let mut all = keys(&[(1, 0)]);
        for now in 1_000..5_000 {
            if let Some(number) = plan(&all, now, 1).make {
                all.push(Known { number, made_unix_s: now });
            }
        }
        assert_eq!(all.len(), KEYS_MAX);
    }
}
