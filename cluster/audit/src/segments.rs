//! How events lie in the group's state since format 4: in the order of their arrival, cut into segments, and within a
//! segment by category, account and time.
//!
//! A segment ends when it is full or a day old. What is too old, or too much, goes by whole segments: nobody looks at
//! its events. Every event has an arrival number, which is never used again.

use crate::Category;
use breakwater_types::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

pub(crate) const KIND_SEGMENT: u8 = 2;
const KIND_PLACED: u8 = 3;
const KIND_ARRIVAL: u8 = 4;

/// `kind | segment (8) | category | account (12) | ms (8) | id (16) | done`.
pub(crate) const PLACED_BYTES: usize = 1 + 8 + 1 + 12 + 8 + 16 + 1;
const ACCOUNT_AT: usize = 1 + 8 + 1;

/// Of its events, as they are stored.
const SEGMENT_BYTES: u64 = 64 << 20;
const SEGMENT_AGE_MS: i64 = 86_400_000;

/// A run of arrival numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// The arrival number of its first event.
    pub(crate) first: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) opened_ms: i64,
    /// Of its events' own times.
    pub(crate) min_ms: i64,
    pub(crate) max_ms: i64,
}

impl Segment {
    pub(crate) fn overlaps(&self, from_ms: i64, to_ms: i64) -> bool {
        self.events > 0 && self.min_ms <= to_ms && from_ms <= self.max_ms
    }
}

/// What is known of all events, in memory.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pub(crate) all: BTreeMap<u64, Segment>,
    /// Keys that were put since the last batch was written.
    pub(crate) unwritten: HashSet<Vec<u8>>,
    /// Whether there are events of before format 4.
    pub(crate) older: bool,
}

pub(crate) fn segment_key(number: u64) -> Vec<u8> {
    [&[KIND_SEGMENT], &number.to_be_bytes()[..]].concat()
}

/// A place among the events of an account, in one segment.
pub(crate) fn place(segment: u64, category: Category, account: &AccountId, unix_ms: i64, id: u128) -> Vec<u8> {
    let mut key = Vec::with_capacity(PLACED_BYTES);
    key.push(KIND_PLACED);
    key.extend_from_slice(&segment.to_be_bytes());
    key.push(category as u8);
    key.extend_from_slice(account.as_str().as_bytes());
    key.extend_from_slice(&unix_ms.max(0).to_be_bytes());
    key.extend_from_slice(&id.to_be_bytes());
    key
}

pub(crate) fn arrival_key(number: u64) -> Vec<u8> {
    [&[KIND_ARRIVAL], &number.to_be_bytes()[..]].concat()
}

/// All arrivals from this number on.
pub(crate) fn arrivals_end() -> Vec<u8> {
    vec![KIND_ARRIVAL + 1]
}

pub(crate) fn account_of(place: &[u8]) -> Option<&[u8]> {
    place.get(ACCOUNT_AT..ACCOUNT_AT + 12)
}

pub(crate) fn category_of(place: &[u8]) -> Option<Category> {
    place.get(ACCOUNT_AT - 1).copied().and_then(Category::of)
}

/// Time, id and whether it was done, at the end of any event's key.
pub(crate) fn end_of(key: &[u8]) -> Option<(i64, u128, bool)> {
    let (rest, done) = key.split_at_checked(key.len().checked_sub(1)?)?;
    let (rest, id) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
    let (_, ms) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    Some((i64::from_be_bytes(ms.try_into().ok()?), u128::from_be_bytes(id.try_into().ok()?), done == [1]))
}

impl Segments {
    /// The one that an event goes into that comes now. Begins a new one where the last is full or old.
    pub(crate) fn current(&mut self, now_ms: i64) -> u64 {
        let next = match self.all.last_key_value() {
            None => (0, 1),
            Some((number, last)) => {
                let full = last.bytes >= SEGMENT_BYTES || now_ms - last.opened_ms >= SEGMENT_AGE_MS;
                if !full || last.events == 0 {
                    return *number;
                }
                (number + 1, last.first + last.events)
            }
        };
        let (number, first) = next;
        let segment = Segment { first, events: 0, bytes: 0, opened_ms: now_ms, min_ms: i64::MAX, max_ms: i64::MIN };
        self.all.insert(number, segment);
        number
    }

    /// Takes an event in and numbers it.
    pub(crate) fn take(&mut self, segment: u64, unix_ms: i64, bytes: usize) -> Option<u64> {
        let segment = self.all.get_mut(&segment)?;
        let number = segment.first + segment.events;
        segment.events += 1;
        segment.bytes += bytes as u64;
        segment.min_ms = segment.min_ms.min(unix_ms.max(0));
        segment.max_ms = segment.max_ms.max(unix_ms.max(0));
        Some(number)
    }

    /// Those that may have events of these times, newest first.
    pub(crate) fn overlapping(&self, from_ms: i64, to_ms: i64) -> Vec<(u64, Segment)> {
        let mut all: Vec<_> =
            self.all.iter().filter(|(_, s)| s.overlaps(from_ms, to_ms)).map(|(n, s)| (*n, *s)).collect();
        all.sort_by_key(|(number, segment)| std::cmp::Reverse((segment.max_ms, *number)));
        all
    }

    /// The arrival number before which nothing is of this time or later.
    pub(crate) fn first_since(&self, unix_ms: i64) -> u64 {
        let fits = self.all.values().find(|segment| segment.events > 0 && segment.max_ms >= unix_ms);
        fits.map_or_else(|| self.next(), |segment| segment.first)
    }

    /// The next event's arrival number.
    pub(crate) fn next(&self) -> u64 {
        self.all.last_key_value().map_or(1, |(_, last)| last.first + last.events)
    }

    /// The number of the first event that is kept.
    pub(crate) fn first(&self) -> u64 {
        self.all.first_key_value().map_or(1, |(_, first)| first.first)
    }

    /// The number of the newest segment's first event.
    pub(crate) fn newest(&self) -> u64 {
        self.all.last_key_value().map_or(1, |(_, last)| last.first)
    }

    /// Whether events came day by day up to this time: then it isn't a clock's mistake. What one node's clock said of an
    /// event carries no segment further than it may be open.
    pub(crate) fn run_on_to(&self, unix_ms: i64) -> bool {
        let end = |s: &Segment| s.max_ms.max(s.opened_ms).min(s.opened_ms.saturating_add(SEGMENT_AGE_MS));
        let ends = self.all.values().map(end);
        let begins = self.all.values().skip(1).map(|segment| segment.opened_ms).chain([unix_ms]);
        ends.zip(begins).all(|(end, begin)| begin.saturating_sub(end) < SEGMENT_AGE_MS)
    }

    /// The first segment that stays, where those before it are too old or too much. The last one always stays. How old a
    /// segment is says when the next one was begun: times of events are what their nodes' clocks said. What is too much
    /// but isn't delivered yet stays until there is twice as much.
    pub(crate) fn first_to_stay(&self, oldest_ms: i64, bytes_max: u64, delivered: u64) -> Option<u64> {
        let mut bytes = self.bytes();
        let mut stays = None;
        for ((_, segment), (next, begun)) in self.all.iter().zip(self.all.iter().skip(1)) {
            let waits = begun.first > delivered.saturating_add(1);
            let bytes_max = if waits { bytes_max.saturating_mul(2) } else { bytes_max };
            if begun.opened_ms >= oldest_ms && bytes <= bytes_max {
                break;
            }
            bytes -= segment.bytes;
            stays = Some(*next);
        }
        stays
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.all.values().map(|segment| segment.bytes).sum()
    }
}

/// Ranges of everything that lies before the first segment that is there.
pub(crate) fn before(number: u64, segment: &Segment) -> [(Vec<u8>, Vec<u8>); 2] {
    let placed = [&[KIND_PLACED], &number.to_be_bytes()[..]].concat();
    [(vec![KIND_PLACED], placed), (vec![KIND_ARRIVAL], arrival_key(segment.first))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Segments {
        let mut all = Segments::default();
        for n in 0..10 {
            let segment = all.current(n * SEGMENT_AGE_MS);
            for ms in [n * 1_000, n * 1_000 + 1_500] {
                all.take(segment, ms, 100);
            }
        }
        all
    }

    #[test]
    fn numbers_go_on_over_segments_and_are_never_used_again() {
        let mut all = filled();
        assert_eq!((all.all.len(), all.next(), all.bytes()), (10, 21, 2_000));
        assert_eq!(all.all[&9].first, 19);
        all.all.retain(|number, _| *number == 9);
        assert_eq!(all.next(), 21);
        // An empty one isn't followed by another.
        let mut empty = Segments::default();
        assert_eq!((empty.current(0), empty.current(10 * SEGMENT_AGE_MS)), (0, 0));
    }

    #[test]
    fn what_is_too_old_or_too_much_goes_by_whole_segments() {
        let all = filled();
        let all_is_delivered = |oldest_ms, bytes_max| all.first_to_stay(oldest_ms, bytes_max, u64::MAX);
        assert_eq!(all_is_delivered(0, u64::MAX), None);
        assert_eq!(all_is_delivered(2 * SEGMENT_AGE_MS + 1, u64::MAX), Some(2));
        assert_eq!(all_is_delivered(0, 1_000), Some(5));
        assert_eq!(all_is_delivered(0, 1_001), Some(5));
        assert_eq!(all_is_delivered(0, 0), Some(9));
        assert_eq!(Segments::default().first_to_stay(i64::MAX, 0, 0), None);
    }

    #[test]
    fn what_is_not_delivered_stays_until_there_is_twice_too_much_of_it() {
        let all = filled();
        assert_eq!(all.first_to_stay(0, 1_000, 0), None);
        // Two segments have gone with the first four events.
        assert_eq!((all.first_to_stay(0, 1_000, 3), all.first_to_stay(0, 1_000, 4)), (Some(1), Some(2)));
        assert_eq!(all.first_to_stay(0, 800, 0), Some(2));
        assert_eq!(all.first_to_stay(0, 800, 6), Some(3));
        // Age asks nobody.
        assert_eq!(all.first_to_stay(2 * SEGMENT_AGE_MS + 1, u64::MAX, 0), Some(2));
        assert_eq!((all.first(), all.newest()), (1, 19));
    }

    #[test]
    fn a_clock_that_is_months_ahead_is_found_out_also_by_events_that_it_stamped() {
        let mut all = Segments::default();
        let hour = SEGMENT_AGE_MS / 24;
        for n in 0..72 {
            let segment = all.current(n * hour);
            all.take(segment, n * hour, 100);
        }
        assert!(all.run_on_to(72 * hour) && all.run_on_to(94 * hour) && !all.run_on_to(96 * hour));
        assert!(Segments::default().run_on_to(i64::MAX));
        let ahead = 90 * SEGMENT_AGE_MS;
        // Into one that another clock has opened.
        let segment = all.current(71 * hour);
        all.take(segment, ahead, 100);
        assert!(!all.run_on_to(ahead));
        let segment = all.current(ahead);
        all.take(segment, ahead, 100);
        assert!(!all.run_on_to(ahead));
    }

    #[test]
    fn times_name_segments() {
        let all = filled();
        assert_eq!(all.overlapping(2_100, 2_200).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 1]);
        assert_eq!((all.first_since(0), all.first_since(2_501), all.first_since(1 << 40)), (1, 5, 21));
    }
}
