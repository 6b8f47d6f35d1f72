//! A device's seed, and what was done with it: a code counts once, and guessing ends soon.

use super::totp;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a seed: 64 signs of base32, as AWS makes them.
pub const SEED_BYTES: usize = 40;
/// Steps before and after the device's own in which its code counts.
const WINDOW: i64 = 1;
/// How far off a device's clock may be when it is enabled, and when it is synchronised again.
const ENABLE_WINDOW: i64 = 20;
const RESYNC_WINDOW: i64 = 2_880;
/// Wrong codes in a row before each further one costs a wait, which doubles.
const WRONG_MAX: u32 = 5;
const WAIT_S: i64 = 30;
const WAIT_MAX_S: i64 = 900;

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Seed {
    bytes: Vec<u8>,
    /// The newest step whose code was used.
    used: i64,
    /// By how many steps the device's clock is ahead of ours.
    ahead: i64,
    wrong: u32,
    wrong_unix_s: i64,
}

impl Seed {
    pub fn new(bytes: &[u8; SEED_BYTES]) -> Seed {
        Seed { bytes: bytes.to_vec(), used: i64::MIN, ahead: 0, wrong: 0, wrong_unix_s: 0 }
    }

    fn is_code(&self, step: i64, code: u32) -> bool {
        totp::is_code(&self.bytes, step, code)
    }

    /// Whether too many wrong codes came just now: none is looked at for a while.
    pub fn is_shut(&self, now_unix_s: i64) -> bool {
        let Some(over) = self.wrong.checked_sub(WRONG_MAX) else { return false };
        let wait_s = (WAIT_S << over.min(10)).min(WAIT_MAX_S);
        // A clock that was set back doesn't shut it for longer than that.
        (0..wait_s).contains(&(now_unix_s - self.wrong_unix_s))
    }

    /// Whether this is the device's code, now and for the first time; either is noted.
    pub fn accept(&mut self, code: u32, now_unix_s: i64) -> bool {
        if self.is_shut(now_unix_s) {
            return false;
        }
        let middle = totp::step(now_unix_s) + self.ahead;
        let found = (middle - WINDOW..=middle + WINDOW).find(|step| *step > self.used && self.is_code(*step, code));
        match found {
            Some(step) => {
                self.used = step;
                self.wrong = 0;
                true
            }
            None => {
                self.wrong = self.wrong.saturating_add(1);
                self.wrong_unix_s = now_unix_s;
                false
            }
        }
    }

    /// Takes two codes that follow each other, and sets the device's clock by them.
    fn synchronise(&mut self, codes: [u32; 2], now_unix_s: i64, window: i64) -> bool {
        let now = totp::step(now_unix_s);
        // Codes that were used count again only where our clock was set back since.
        let free = |step: i64| step > self.used || self.used > now + window;
        let is_pair = |step: &i64| free(*step) && self.is_code(*step, codes[0]) && self.is_code(step + 1, codes[1]);
        // The nearest first: pairs are equal by chance, if rarely.
        let nearest = (0..=window).flat_map(|off| [now - 1 - off, now - 1 + off]);
        let Some(step) = { nearest }.find(is_pair) else { return false };
        self.used = step + 1;
        // A step off is what the window is for.
        let ahead = step + 1 - now;
        self.ahead = if ahead.abs() <= WINDOW { 0 } else { ahead };
        self.wrong = 0;
        true
    }

    pub fn enable(&mut self, codes: [u32; 2], now_unix_s: i64) -> bool {
        self.synchronise(codes, now_unix_s, ENABLE_WINDOW)
    }

    pub fn resynchronise(&mut self, codes: [u32; 2], now_unix_s: i64) -> bool {
        !self.is_shut(now_unix_s) && self.synchronise(codes, now_unix_s, RESYNC_WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_010;

    fn seed() -> Seed {
        Seed::new(&[7; SEED_BYTES])
    }

    fn code(off: i64) -> u32 {
        let step = (totp::step(NOW) + off).unsigned_abs();
        totp::generator(&[7; SEED_BYTES]).unwrap().generate(step).to_string().parse().unwrap()
    }

    #[test]
    fn a_code_counts_once_and_none_before_it_does() {
        let mut seed = seed();
        assert!(seed.enable([code(-1), code(0)], NOW));
        assert!(!seed.accept(code(0), NOW), "it was used to enable");
        assert!(seed.accept(code(1), NOW));
        for old in [1, 0, -1] {
            assert!(!seed.accept(code(old), NOW));
        }
        assert!(seed.accept(code(2), NOW + 30));
    }

    #[test]
    fn codes_that_dont_follow_each_other_enable_nothing() {
        for pair in [[0, 0], [0, -1], [-2, 0], [-40, -39], [30, 31]] {
            assert!(!seed().enable(pair.map(code), NOW), "{pair:?}");
        }
        assert!(!seed().enable([code(0).wrapping_add(1) % 1_000_000, code(1)], NOW));
    }

    #[test]
    fn a_device_that_is_late_is_followed() {
        let mut seed = seed();
        assert!(seed.enable([code(-11), code(-10)], NOW));
        assert!(!seed.accept(code(0), NOW));
        assert!(seed.accept(code(-9), NOW));
        // An hour off: only a synchronisation finds it.
        assert!(!seed.accept(code(120), NOW));
        assert!(seed.resynchronise([code(120), code(121)], NOW));
        assert!(!seed.resynchronise([code(120), code(121)], NOW), "they were used");
        assert!(seed.accept(code(122), NOW + 30));
    }

    #[test]
    fn guessing_ends_soon_and_not_for_good() {
        let mut seed = seed();
        assert!(seed.enable([code(-1), code(0)], NOW));
        let wrong = (0..).find(|guess| ![code(-1), code(0), code(1), code(2)].contains(guess)).unwrap();
        for _ in 0..WRONG_MAX {
            assert!(!seed.is_shut(NOW));
            assert!(!seed.accept(wrong, NOW));
        }
        assert!(seed.is_shut(NOW) && !seed.accept(code(1), NOW));
        let later = NOW + WAIT_S;
        assert!(!seed.is_shut(later) && seed.accept(code(2), later));
        assert!(!seed.is_shut(NOW), "the right one ends it");
        seed.wrong = u32::MAX;
        assert!(!seed.is_shut(seed.wrong_unix_s + WAIT_MAX_S));
    }

    #[test]
    fn a_clock_that_jumped_and_came_back_needs_two_codes() {
        let mut seed = seed();
        let ahead = 90 * 24 * 3_600;
        assert!(seed.enable([code(-1), code(0)], NOW));
        assert!(seed.accept(code(1 + ahead / 30), NOW + ahead));
        assert!(!seed.accept(code(2), NOW + 30), "older than what was used");
        assert!(seed.resynchronise([code(2), code(3)], NOW + 60));
        assert!(seed.accept(code(4), NOW + 90));
    }
}
