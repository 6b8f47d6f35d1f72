//! Which nodes are to hold a chunk: a function of the chunk and the nodes, so nobody has to write it down.

use crate::model::ChunkId;
use breakwater_types::{NodeName, Zone};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Zones that are to have a chunk.
const COPIES: usize = 3;
/// Zones that must have it before it counts as stored: any one of them may be lost then.
const ZONES_MIN: usize = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) name: NodeName,
    /// Nodes without one are in one zone together.
    pub(crate) zone: Option<Zone>,
}

/// The nodes that hold chunks, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    holders: Vec<Holder>,
    /// As many there are.
    count: usize,
}

/// The same on every node and in every build.
fn rank(chunk: ChunkId, name: &NodeName) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(chunk.0.to_be_bytes());
    hash.update(name.as_str());
    hash.finalize().into()
}

impl Layout {
    /// `count` is how many holders the region has, known or not.
    pub(crate) fn new(holders: Vec<Holder>, count: usize) -> Self {
        Layout { holders, count }
    }

    fn zones(&self) -> BTreeSet<Option<&Zone>> {
        self.holders.iter().map(|holder| holder.zone.as_ref()).collect()
    }

    /// In how many zones a chunk must be stored before it counts. A region that has one zone has one; one that only hasn't
    /// heard of its other nodes yet hasn't.
    pub(crate) fn zones_needed(&self) -> usize {
        if self.count <= 1 {
            1
        } else if self.holders.len() < self.count {
            ZONES_MIN
        } else {
            self.zones().len().clamp(1, ZONES_MIN)
        }
    }

    /// One node of each zone, three at most. When nodes come or go, few chunks change their place (highest random weight,
    /// Thaler and Ravishankar 1998).
    pub(crate) fn of(&self, chunk: ChunkId) -> Vec<&Holder> {
        let mut ranked: Vec<&Holder> = self.holders.iter().collect();
        ranked.sort_by_cached_key(|holder| rank(chunk, &holder.name));
        let mut zones = BTreeSet::new();
        ranked.retain(|holder| zones.insert(&holder.zone));
        ranked.truncate(COPIES);
        ranked
    }

    /// Where to look for a chunk: `me`, those that are to have it, then all others.
    pub(crate) fn search(&self, chunk: ChunkId, me: &NodeName) -> Vec<NodeName> {
        let wanted = self.of(chunk);
        let mut all: Vec<&NodeName> = self.holders.iter().map(|holder| &holder.name).collect();
        all.sort_by_key(|name| (*name != me, !wanted.iter().any(|holder| holder.name == **name)));
        all.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holder(number: usize, zone: usize) -> Holder {
        let zone = (zone > 0).then(|| Zone::new(format!("az-{zone}")).unwrap());
        Holder { name: NodeName::new(format!("node-{number}")).unwrap(), zone }
    }

    fn layout(zones: &[usize]) -> Layout {
        Layout::new(zones.iter().enumerate().map(|(n, zone)| holder(n, *zone)).collect(), zones.len())
    }

    proptest! {
        #[test]
        fn copies_are_in_different_zones_and_as_many_as_can_be(
            zones in proptest::collection::vec(0_usize..5, 0..9), chunk: u128, gone in 0_usize..9,
        ) {
            let all = layout(&zones);
            let wanted = all.of(ChunkId(chunk));
            let distinct: BTreeSet<_> = wanted.iter().map(|holder| &holder.zone).collect();
            prop_assert_eq!(distinct.len(), wanted.len());
            prop_assert_eq!(wanted.len(), all.zones().len().min(COPIES));
            // The order in which nodes are known doesn't matter, and who leaves takes only its own chunks along.
            let mut other = all.clone();
            other.holders.reverse();
            prop_assert_eq!(&other.of(ChunkId(chunk)), &wanted);
            other.holders.retain(|holder| holder.name.as_str() != format!("node-{gone}"));
            if wanted.iter().all(|holder| holder.name.as_str() != format!("node-{gone}")) {
                prop_assert_eq!(&other.of(ChunkId(chunk)), &wanted);
            }
            let me = NodeName::new("node-1").unwrap();
            let search = all.search(ChunkId(chunk), &me);
            prop_assert_eq!(search.iter().collect::<BTreeSet<_>>().len(), zones.len());
            prop_assert!(zones.len() < 2 || search[0] == me);
        }
    }

    #[test]
    fn one_zone_is_enough_only_where_there_is_one() {
        assert_eq!(layout(&[1]).zones_needed(), 1);
        assert_eq!(layout(&[0]).zones_needed(), 1);
        assert_eq!(layout(&[1, 1, 1]).zones_needed(), 1);
        assert_eq!(layout(&[1, 2]).zones_needed(), 2);
        assert_eq!(layout(&[1, 2, 3, 4]).zones_needed(), 2);
        assert_eq!(Layout::new(vec![holder(0, 1)], 3).zones_needed(), 2, "the others aren't known yet");
        assert_eq!(Layout::new(vec![], 1).zones_needed(), 1);
    }
}
