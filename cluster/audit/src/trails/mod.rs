//! Trails: which events of an account go into files, and how far they have got. Stored types, in the control store.

mod selectors;

pub use selectors::{AdvancedSelector, DataResource, EventSelector, Facts, FieldSelector, ReadWrite, Selectors};

use breakwater_types::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What trails want: every node may read these, and only control nodes write them.
pub const PREFIX: &[u8] = b"trail/";
/// Those that were deleted, until what happened before is delivered. By their ids: others may have their names.
const DELETED: &str = "trail-deleted";
/// How far each has got: changed with every file.
const DELIVERIES: &str = "trail-delivery";
/// Which trail an account has made last: changed with each, so that of two made at once one plans anew.
const LATEST: &str = "trail-latest";
/// Files that no digest names yet.
const FILES: &str = "trail-file";

/// Spells that a trail has at most which aren't settled yet.
pub const SPELLS_MAX: usize = 64;

/// Which events a trail wants of those that happen while it logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wants {
    pub includes_global: bool,
    pub selectors: Selectors,
}

impl Default for Wants {
    fn default() -> Self {
        Wants { includes_global: true, selectors: Selectors::default() }
    }
}

/// A time when a trail logged and wanted the same: from a StartLogging, or a change of what is wanted, to the next of
/// them or StopLogging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// Counts a trail's spells, from 1.
    pub number: u64,
    pub from_ms: i64,
    pub to_ms: Option<i64>,
    /// What was wanted: a number of [`Trail::wanted`].
    pub wanted: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Of this trail, and of no other that had its name.
    pub id: u128,
    pub account: AccountId,
    pub name: String,
    pub bucket: String,
    pub prefix: Option<String>,
    pub multi_region: bool,
    /// Whether there are digests.
    pub validated: bool,
    pub created_unix_ms: i64,
    pub started_unix_ms: Option<i64>,
    pub stopped_unix_ms: Option<i64>,
    /// The last one, and those before it that aren't settled, oldest first.
    pub spells: Vec<Spell>,
    /// What it wants now.
    pub wants: Wants,
    /// Counts what it has wanted.
    pub wanted: u64,
    /// What it wanted in spells of before, where that was something else.
    pub earlier: BTreeMap<u64, Wants>,
    pub tags: BTreeMap<String, String>,
}

impl Trail {
    /// One that doesn't log yet.
    pub fn new(id: u128, account: AccountId, name: &str, now_ms: i64) -> Self {
        Trail {
            id,
            account,
            name: name.to_owned(),
            bucket: String::new(),
            prefix: None,
            multi_region: false,
            validated: false,
            created_unix_ms: now_ms,
            started_unix_ms: None,
            stopped_unix_ms: None,
            spells: vec![],
            wants: Wants::default(),
            wanted: 0,
            earlier: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    pub fn is_logging(&self) -> bool {
        self.spells.last().is_some_and(|spell| spell.to_ms.is_none())
    }

    fn begin(&mut self, from_ms: i64) {
        let number = self.spells.last().map_or(1, |last| last.number + 1);
        self.spells.push(Spell { number, from_ms, to_ms: None, wanted: self.wanted });
    }

    /// The same time, or the last spell's end or beginning where that is later: each call brings the time of its own
    /// front door, whose clock may be behind the one that took the call before.
    fn not_before_the_last(&self, unix_ms: i64) -> i64 {
        self.spells.last().map_or(unix_ms, |last| unix_ms.max(last.from_ms).max(last.to_ms.unwrap_or(i64::MIN)))
    }

    pub fn start(&mut self, now_ms: i64) {
        if !self.is_logging() {
            let from_ms = self.not_before_the_last(now_ms);
            self.started_unix_ms = Some(from_ms);
            self.begin(from_ms);
        }
    }

    /// What happens from then on isn't delivered.
    pub fn stop(&mut self, to_ms: i64) {
        let to_ms = self.not_before_the_last(to_ms);
        if self.is_logging()
            && let Some(spell) = self.spells.last_mut()
        {
            spell.to_ms = Some(to_ms);
            self.stopped_unix_ms = Some(to_ms);
        }
    }

    /// From then on it wants this. What happened before is delivered as it was wanted.
    pub fn want(&mut self, wants: Wants, from_ms: i64) {
        if wants == self.wants {
            return;
        }
        let before = std::mem::replace(&mut self.wants, wants);
        if self.spells.iter().any(|spell| spell.wanted == self.wanted) {
            self.earlier.insert(self.wanted, before);
        }
        self.wanted += 1;
        let from_ms = self.not_before_the_last(from_ms);
        if let Some(spell) = self.spells.last_mut().filter(|spell| spell.to_ms.is_none()) {
            spell.to_ms = Some(from_ms);
            self.begin(from_ms);
        }
    }

    /// What it wants of that time: of more than one spell, where clocks went back under a build that wrote that down.
    pub fn wants_of(&self, unix_ms: i64) -> impl Iterator<Item = &Wants> {
        let covers = move |s: &&Spell| s.from_ms <= unix_ms && s.to_ms.is_none_or(|to| unix_ms < to);
        self.spells.iter().filter(covers).filter_map(|spell| match spell.wanted == self.wanted {
            true => Some(&self.wants),
            false => self.earlier.get(&spell.wanted),
        })
    }

    /// Spells of which something may not be delivered yet.
    pub fn unsettled(&self, settled: u64) -> impl Iterator<Item = &Spell> {
        self.spells.iter().filter(move |spell| spell.to_ms.is_none() || spell.number > settled)
    }

    /// Forgets spells that are settled, but for the last one, which numbers the next. Where one was followed at once by
    /// another, as when only what is wanted has changed, that one covers its time from now on: of what comes very late the
    /// oldest wants that are known decide.
    pub fn forget(&mut self, settled: u64) {
        let last = self.spells.last().map_or(0, |spell| spell.number);
        let mut gone: Option<Spell> = None;
        self.spells.retain_mut(|spell| {
            if let Some(gone) = gone.take()
                && gone.to_ms.is_some_and(|to| to >= spell.from_ms)
            {
                // Not later than it was: see `wants_of`.
                spell.from_ms = spell.from_ms.min(gone.from_ms);
            }
            let stays = spell.number > settled || spell.number == last;
            if !stays {
                gone = Some(*spell);
            }
            stays
        });
        self.earlier.retain(|wanted, _| self.spells.iter().any(|spell| spell.wanted == *wanted));
    }

    /// The last spell of those that, with all before them, ended so long ago that nothing more of them comes.
    pub fn over(&self, ended_by_ms: i64) -> u64 {
        let over = self.spells.iter().take_while(|spell| spell.to_ms.is_some_and(|to| to <= ended_by_ms));
        over.last().map_or(0, |spell| spell.number)
    }
}

/// The last digest of a trail, which the next one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastDigest {
    pub bucket: String,
    pub object: String,
    /// SHA-256 of its contents before they were compressed, in hex.
    pub hash: String,
    /// In hex.
    pub signature: String,
}

/// How far a trail has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The arrival number of the last event that was looked at.
    pub cursor: u64,
    /// The newest spell for which the cursor has a place.
    pub followed: u64,
    /// All of this spell and of those before it is delivered.
    pub settled: u64,
    /// Whether events were no longer kept when their turn came, since it began to log.
    pub lost: bool,
    /// Files that it has delivered, which numbers them.
    pub files: u64,
    pub delivered_unix_ms: Option<i64>,
    pub error: Option<String>,
    /// When the last digest ended, or the first one begins.
    pub digest_from_s: Option<i64>,
    pub last_digest: Option<LastDigest>,
    pub digest_delivered_unix_ms: Option<i64>,
    pub digest_error: Option<String>,
}

/// A delivered file that the next digest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    pub bucket: String,
    pub object: String,
    /// SHA-256 of its contents before they were compressed, in hex.
    pub hash: String,
    pub oldest_unix_ms: i64,
    pub newest_unix_ms: i64,
}

fn of(kind: &str, account: &AccountId, name: &str) -> Vec<u8> {
    format!("{kind}/aws/{account}/{name}").into_bytes()
}

/// `trail/aws/111122223333/`: all trails of an account.
pub fn prefix(account: &AccountId) -> Vec<u8> {
    of("trail", account, "")
}

pub fn key(account: &AccountId, name: &str) -> Vec<u8> {
    of("trail", account, name)
}

/// Holds the [`Trail::id`] of the one that was made last.
pub fn latest_key(account: &AccountId) -> Vec<u8> {
    of(LATEST, account, "")
}

fn of_id(kind: &str, trail: &Trail) -> Vec<u8> {
    of(kind, &trail.account, &format!("{:032x}", trail.id))
}

/// `trail-deleted/`: of all accounts.
pub fn all_deleted() -> Vec<u8> {
    format!("{DELETED}/").into_bytes()
}

pub fn deleted_prefix(account: &AccountId) -> Vec<u8> {
    of(DELETED, account, "")
}

pub fn deleted_key(trail: &Trail) -> Vec<u8> {
    of_id(DELETED, trail)
}

/// `trail-delivery/`: of all trails.
pub fn all_deliveries() -> Vec<u8> {
    format!("{DELIVERIES}/").into_bytes()
}

pub fn delivery_key(trail: &Trail) -> Vec<u8> {
    of_id(DELIVERIES, trail)
}

pub fn file_prefix(trail: &Trail) -> Vec<u8> {
    [&of_id(FILES, trail)[..], b"/"].concat()
}

pub fn file_key(trail: &Trail, number: u64) -> Vec<u8> {
    [&file_prefix(trail)[..], format!("{number:016x}").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail() -> Trail {
        Trail::new(1, AccountId::new("111122223333").unwrap(), "music", 0)
    }

    fn covers(trail: &Trail, unix_ms: i64) -> bool {
        trail.wants_of(unix_ms).next().is_some()
    }

    #[test]
    fn a_trail_covers_the_times_when_it_logged() {
        let mut trail = trail();
        assert!(!covers(&trail, 5));
        trail.start(5);
        trail.start(7);
        assert!(trail.is_logging() && covers(&trail, 5) && covers(&trail, i64::MAX) && !covers(&trail, 4));
        trail.stop(9);
        trail.stop(11);
        assert!(!trail.is_logging() && covers(&trail, 8) && !covers(&trail, 9));
        trail.start(20);
        assert!(covers(&trail, 8) && !covers(&trail, 15) && covers(&trail, 20));
        assert_eq!((trail.started_unix_ms, trail.stopped_unix_ms), (Some(20), Some(9)));
    }

    #[test]
    fn only_what_is_settled_is_forgotten() {
        let mut trail = trail();
        trail.start(5);
        for n in 0..100 {
            trail.stop(100 + 2 * n);
            trail.start(101 + 2 * n);
        }
        trail.forget(0);
        assert!(covers(&trail, 5) && trail.spells.len() == 101);
        trail.forget(40);
        assert!(!covers(&trail, 5) && trail.spells.len() == 61 && trail.is_logging());
        // The last one stays, and the next has another number.
        trail.stop(400);
        trail.forget(101);
        trail.start(500);
        assert_eq!(trail.spells.iter().map(|s| s.number).collect::<Vec<_>>(), [101, 102]);
        assert_eq!(trail.unsettled(101).map(|s| s.number).collect::<Vec<_>>(), [102]);
    }

    /// What a node that was cut off tells an hour later was covered by nothing, though the trail had logged all the time.
    #[test]
    fn a_trail_that_never_stopped_covers_what_comes_late() {
        let wants = |includes_global| Wants { includes_global, ..Wants::default() };
        let mut trail = trail();
        trail.start(5);
        for n in 0..4 {
            trail.want(wants(n % 2 == 0), 10 + n);
        }
        let numbers = |trail: &Trail| trail.spells.iter().map(|s| s.number).collect::<Vec<_>>();
        let before = numbers(&trail);
        trail.forget(before[before.len() - 3]);
        assert_eq!(numbers(&trail), before[before.len() - 2..]);
        assert!(covers(&trail, 5) && !covers(&trail, 4));
        assert_eq!(trail.wants_of(5).count(), 1);
        // A time when it didn't log stays one.
        trail.stop(20);
        trail.start(30);
        trail.want(wants(false), 40);
        trail.want(wants(true), 50);
        trail.forget(trail.spells.last().unwrap().number);
        assert_eq!(trail.spells.len(), 1);
        assert!(covers(&trail, 30) && !covers(&trail, 29) && !covers(&trail, 19));
    }

    #[test]
    fn spells_never_go_back_with_a_clock_that_is_behind() {
        let wants = |includes_global| Wants { includes_global, ..Wants::default() };
        let mut trail = trail();
        trail.start(100);
        trail.want(wants(false), 90);
        trail.stop(80);
        assert_eq!((trail.stopped_unix_ms, covers(&trail, 100)), (Some(100), false));
        trail.start(70);
        assert_eq!(trail.started_unix_ms, Some(100));
        trail.stop(200);
        trail.start(150);
        trail.want(wants(true), 120);
        let told: Vec<_> = trail.spells.iter().map(|s| (s.from_ms, s.to_ms)).collect();
        let empty = (100, Some(100));
        assert_eq!(told, [empty, empty, (100, Some(200)), (200, Some(200)), (200, None)]);
        assert_eq!(trail.wants_of(199).collect::<Vec<_>>(), [&wants(false)]);
        assert_eq!(trail.wants_of(200).collect::<Vec<_>>(), [&wants(true)]);
    }

    #[test]
    fn forgetting_takes_nothing_from_spells_that_an_older_build_let_go_back() {
        let mut trail = trail();
        trail.start(100);
        trail.want(Wants { includes_global: false, ..Wants::default() }, 110);
        (trail.spells[0].to_ms, trail.spells[1].from_ms) = (Some(90), 90);
        trail.forget(1);
        assert_eq!(trail.spells.len(), 1);
        assert!(covers(&trail, 90) && !covers(&trail, 89));
    }

    /// A spell that begins earlier now isn't one that delivery hasn't followed yet.
    #[test]
    fn forgetting_changes_no_numbers_ends_or_what_is_not_settled() {
        let mut trail = trail();
        trail.start(5);
        trail.want(Wants { includes_global: false, ..Wants::default() }, 10);
        trail.want(Wants::default(), 20);
        let told = |trail: &Trail| trail.unsettled(1).map(|s| (s.number, s.to_ms)).collect::<Vec<_>>();
        let (before, over) = (told(&trail), trail.over(30));
        trail.forget(1);
        assert_eq!((told(&trail), trail.over(30)), (before, over));
        assert_eq!(trail.spells.iter().map(|s| s.from_ms).collect::<Vec<_>>(), [5, 20]);
    }

    #[test]
    fn a_spell_is_over_with_all_before_it() {
        let mut trail = trail();
        trail.start(5);
        trail.stop(10);
        trail.start(20);
        trail.stop(30);
        trail.start(40);
        assert_eq!((trail.over(9), trail.over(10), trail.over(30), trail.over(i64::MAX)), (0, 1, 2, 2));
    }

    #[test]
    fn selectors_say_nothing_of_what_happened_before_them() {
        let regional = Wants { includes_global: false, ..Wants::default() };
        let mut trail = trail();
        trail.want(regional.clone(), 3);
        assert!(trail.earlier.is_empty() && trail.spells.is_empty());
        trail.start(5);
        trail.want(Wants::default(), 10);
        trail.want(Wants::default(), 11);
        assert_eq!(trail.spells.len(), 2);
        trail.stop(20);
        trail.start(30);
        trail.stop(40);
        trail.want(regional.clone(), 50);
        trail.start(60);
        let of = |unix_ms| trail.wants_of(unix_ms).cloned().collect::<Vec<_>>();
        assert_eq!((of(9), of(60)), (vec![regional.clone()], vec![regional]));
        assert_eq!((of(10), of(39), of(50)), (vec![Wants::default()], vec![Wants::default()], vec![]));
        let mut trail = trail.clone();
        trail.forget(3);
        assert!(trail.earlier.is_empty() && trail.spells.len() == 1);
    }
}
