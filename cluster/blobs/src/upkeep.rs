//! What is to be done with a node's chunks, from what the catalogue names and what the node holds: pure.

use crate::catalogue::View;
use crate::model::{ChunkId, ChunkRef};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;
use tokio::time::Instant;

/// What has been so since when, as seen look by look.
#[derive(Debug, Default)]
pub(crate) struct Since(HashMap<ChunkId, Instant>);

impl Since {
    /// Those of `now` that have been among them at every look for so long.
    pub(crate) fn seen_for(&mut self, long: Duration, at: Instant, now: &BTreeSet<ChunkId>) -> Vec<ChunkId> {
        self.0.retain(|id, _| now.contains(id));
        let mut due = Vec::new();
        for id in now {
            let since = *self.0.entry(*id).or_insert(at);
            if at.saturating_duration_since(since) >= long {
                due.push(*id);
            }
        }
        due
    }
}

/// Which chunks a node should have and hasn't, and which it has that are damaged.
pub(crate) fn wanted(
    view: &View,
    held: &BTreeSet<ChunkId>,
    damaged: &BTreeSet<ChunkId>,
    is_mine: impl Fn(ChunkId) -> bool,
) -> (BTreeSet<ChunkId>, Vec<ChunkRef>) {
    let mut missing = BTreeSet::new();
    let mut bad = Vec::new();
    for (id, chunk) in &view.chunks {
        if damaged.contains(id) {
            bad.push(*chunk);
        } else if !held.contains(id) && is_mine(*id) {
            missing.insert(*id);
        }
    }
    (missing, bad)
}

/// Which chunks no blob names. None of them is certain where an entry can't be read.
pub(crate) fn unnamed(view: &View, held: &BTreeSet<ChunkId>) -> BTreeSet<ChunkId> {
    if view.unreadable > 0 {
        return BTreeSet::new();
    }
    held.iter().filter(|id| !view.chunks.contains_key(id)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(all: &BTreeSet<u8>) -> BTreeSet<ChunkId> {
        all.iter().map(|n| ChunkId(u128::from(*n))).collect()
    }

    fn view(named: &BTreeSet<u8>, unreadable: usize) -> View {
        let chunk = |n: &u8| ChunkRef { id: ChunkId(u128::from(*n)), bytes: 1, sha256: [*n; 32] };
        let chunks = named.iter().map(chunk).map(|chunk| (chunk.id, chunk)).collect();
        View { chunks, blobs: named.len(), unreadable }
    }

    proptest! {
        #[test]
        fn nothing_named_is_ever_removed_and_all_that_is_wanted_is_fetched(
            named: BTreeSet<u8>, held: BTreeSet<u8>, damaged: BTreeSet<u8>, mine: BTreeSet<u8>, unreadable in 0_usize..2,
        ) {
            let view = view(&named, unreadable);
            let damaged: BTreeSet<u8> = damaged.intersection(&held).copied().collect();
            let garbage = unnamed(&view, &ids(&held));
            prop_assert!(garbage.is_disjoint(&ids(&named)));
            prop_assert!(unreadable == 0 || garbage.is_empty());
            let (missing, bad) = wanted(&view, &ids(&held), &ids(&damaged), |id| mine.contains(&(id.0 as u8)));
            // After all of it is done, every chunk that is named and wanted here is here, whole.
            let bad: BTreeSet<ChunkId> = bad.iter().map(|chunk| chunk.id).collect();
            for n in named.intersection(&mine) {
                let id = ChunkId(u128::from(*n));
                let whole = held.contains(n) && !damaged.contains(n);
                prop_assert_eq!(missing.contains(&id) || bad.contains(&id), !whole);
            }
            prop_assert!(missing.union(&bad).all(|id| view.chunks.contains_key(id)));
        }
    }

    #[test]
    fn what_is_seen_again_after_a_break_starts_anew() {
        let (start, s) = (Instant::now(), Duration::from_secs);
        let one = ids(&BTreeSet::from([1]));
        let mut since = Since::default();
        assert!(since.seen_for(s(10), start, &one).is_empty());
        assert!(since.seen_for(s(10), start + s(9), &one).is_empty());
        assert_eq!(since.seen_for(s(10), start + s(10), &one), [ChunkId(1)]);
        assert!(since.seen_for(s(10), start + s(11), &BTreeSet::new()).is_empty());
        assert!(since.seen_for(s(10), start + s(12), &one).is_empty());
        assert_eq!(since.seen_for(s(0), start + s(12), &one), [ChunkId(1)]);
    }
}
