//! Which of the keys that seal session tokens seals now, which one is to be made, and which ones are over.
//!
//! Counted is the time for which nodes have seen a key stand in the store, on clocks that nobody sets: a wall clock that is
//! wrong for a while neither ends the time of a key whose tokens still live, nor keeps the next one from being made.

use serde::{Deserialize, Serialize};

/// No token lives longer.
const TOKEN_LIFE_MS: u64 = 129_600_000;
/// By which wall clocks may differ, and news be late.
const MARGIN_MS: u64 = 3_600_000;
/// No more are kept, however short the period.
const KEYS_MAX: usize = 64;
/// For how long the first key has been known.
const ALWAYS: u64 = u64::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    number: u32,
    /// For how long at least.
    known_ms: u64,
}

/// As it is stored: the region's keys in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    keys: Vec<Known>,
    /// The number of the next key: none is used twice.
    next: u32,
}

/// What is to be done about the keys.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub make: Option<u32>,
    pub drop: Vec<u32>,
}

impl Step {
    pub fn is_idle(&self) -> bool {
        *self == Step::default()
    }
}

impl Rotation {
    /// Of keys of which nothing is recorded, as in a region of before keys were exchanged. The oldest one seals.
    pub fn begin(numbers: &[u32]) -> Rotation {
        let known_ms = |at| if at == 0 { ALWAYS } else { 0 };
        let keys = numbers.iter().enumerate().map(|(at, number)| Known { number: *number, known_ms: known_ms(at) });
        Rotation { keys: keys.collect(), next: numbers.last().map_or(1, |last| last.saturating_add(1)) }
    }

    /// When so much time has passed.
    pub fn after(mut self, passed_ms: u64) -> Rotation {
        for key in &mut self.keys {
            key.known_ms = key.known_ms.saturating_add(passed_ms);
        }
        self
    }

    /// The newest one that has been known for a period.
    pub fn sealing(&self, period_ms: u64) -> Option<u32> {
        let sealing = self.keys.iter().rev().find(|key| key.known_ms >= period_ms).or(self.keys.first());
        sealing.map(|key| key.number)
    }

    /// Makes the next key when the newest one has begun to seal, and drops those that nothing living can be sealed with.
    pub fn step(&mut self, period_ms: u64) -> Step {
        let over_ms = period_ms.saturating_add(TOKEN_LIFE_MS + MARGIN_MS);
        let over = self.keys.windows(2).filter(|pair| pair[1].known_ms >= over_ms).count();
        let mut step = Step { make: None, drop: self.keys.drain(..over).map(|key| key.number).collect() };
        let due = self.keys.last().is_none_or(|newest| newest.known_ms >= period_ms) && self.keys.len() < KEYS_MAX;
        if let (true, Some(after)) = (due, self.next.checked_add(1)) {
            step.make = Some(self.next);
            self.keys.push(Known { number: self.next, known_ms: 0 });
            self.next = after;
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;

    fn makes(number: u32) -> Step {
        Step { make: Some(number), drop: vec![] }
    }

    #[test]
    fn a_key_is_known_for_a_period_before_it_seals() {
        let mut rotation = Rotation::begin(&[1]);
        assert_eq!((rotation.sealing(DAY), rotation.step(DAY)), (Some(1), makes(2)));
        let mut early = rotation.clone().after(DAY - 1);
        assert_eq!((early.sealing(DAY), early.step(DAY)), (Some(1), Step::default()));
        let mut rotation = rotation.after(DAY);
        assert_eq!((rotation.sealing(DAY), rotation.step(DAY)), (Some(2), makes(3)));
    }

    #[test]
    fn a_key_goes_when_its_successor_has_sealed_for_a_tokens_life() {
        let mut rotation = Rotation::begin(&[1]);
        rotation.step(DAY);
        let gone = DAY + TOKEN_LIFE_MS + MARGIN_MS;
        assert!(rotation.clone().after(gone - 1).step(DAY).drop.is_empty());
        assert_eq!(rotation.after(gone).step(DAY).drop, [1]);
    }

    #[test]
    fn keys_of_which_nothing_is_recorded_stay_until_others_have_been_seen_sealing() {
        let mut rotation = Rotation::begin(&[3, 4, 7]);
        assert_eq!((rotation.sealing(DAY), rotation.step(DAY)), (Some(3), Step::default()));
        let mut rotation = rotation.after(DAY);
        assert_eq!((rotation.sealing(DAY), rotation.step(DAY)), (Some(7), makes(8)));
    }

    #[test]
    fn no_number_comes_twice() {
        // Even where somebody has taken all keys away.
        let mut rotation = Rotation { keys: vec![], next: 9 };
        assert_eq!((rotation.step(DAY), rotation.step(DAY)), (makes(9), Step::default()));
        let mut last = Rotation::begin(&[u32::MAX]);
        assert_eq!(last.step(DAY), Step::default());
        let (mut rotation, mut before) = (Rotation::begin(&[1]), 1);
        for _ in 0..1_000 {
            if let Some(number) = rotation.step(DAY).make {
                assert_eq!(number, before + 1);
                before = number;
            }
            rotation = rotation.after(6 * HOUR);
        }
        assert!(before > 200);
    }

    /// Looked at every hour of a year, and never out of order.
    #[test]
    fn there_are_a_handful_of_them_at_any_time() {
        let (mut rotation, mut most) = (Rotation::begin(&[1]), 0);
        for _ in 0..365 * 24 {
            let sealing = rotation.sealing(DAY).unwrap();
            assert!(!rotation.step(DAY).drop.contains(&sealing));
            assert_eq!(rotation.sealing(DAY), Some(sealing));
            most = most.max(rotation.keys.len());
            rotation = rotation.after(HOUR);
        }
        assert!((3..=6).contains(&most), "{most}");
        // However short the period is.
        let mut rotation = Rotation::begin(&[1]);
        for _ in 0..4_000 {
            rotation.step(1_000);
            rotation = rotation.after(1_000);
        }
        assert_eq!(rotation.keys.len(), KEYS_MAX);
    }
}
