//! Where a new table's replicas stand: pure.
//!
//! Each partition has one replica in each zone, on the node of that zone that holds fewest; preferred leaders are
//! spread in turn over the zones, and within a zone go where the replica is.

use super::record::{PartitionRecord, Replica};
use breakwater_types::{GroupId, NodeName, RaftNodeId, Zone};
use std::collections::BTreeMap;

/// Zones that hold a replica of each partition.
pub const REPLICAS: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub node: NodeName,
    pub zone: Zone,
    pub raft_id: RaftNodeId,
    /// Replicas that it holds already.
    pub replicas: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{zones} zones have a node for items, {REPLICAS} are needed")]
pub struct TooFewZones {
    pub zones: usize,
}

/// Splits the hash space evenly; the last range takes the remainder.
fn ranges(count: u32) -> Vec<(u128, u128)> {
    let count = u128::from(count.max(1));
    let width = u128::MAX / count;
    (0..count)
        .map(|n| {
            let start = n * width + if n > 0 { 1 } else { 0 };
            let end = if n + 1 == count { u128::MAX } else { (n + 1) * width };
            (start, end)
        })
        .collect()
}

/// Partitions with groups numbered from `first_group` on.
pub fn place(
    mut candidates: Vec<Candidate>,
    count: u32,
    first_group: u64,
) -> Result<Vec<PartitionRecord>, TooFewZones> {
    candidates.sort_by(|a, b| a.node.cmp(&b.node));
    let mut zones: BTreeMap<Zone, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        zones.entry(candidate.zone.clone()).or_default().push(candidate);
    }
    if zones.len() < REPLICAS {
        return Err(TooFewZones { zones: zones.len() });
    }
    // With more than three zones, the emptiest three serve.
    let mut zones: Vec<Vec<Candidate>> = zones.into_values().collect();
    Ok(ranges(count)
        .into_iter()
        .enumerate()
        .map(|(n, (hash_start, hash_end))| {
            zones.sort_by_key(|zone| zone.iter().map(|c| c.replicas).sum::<usize>());
            let mut replicas: Vec<Replica> = zones
                .iter_mut()
                .take(REPLICAS)
                .filter_map(|zone| zone.iter_mut().min_by_key(|c| c.replicas))
                .map(|candidate| {
                    candidate.replicas += 1;
                    Replica { node: candidate.node.clone(), zone: candidate.zone.clone(), raft_id: candidate.raft_id }
                })
                .collect();
            replicas.sort_by(|a, b| a.zone.cmp(&b.zone));
            let turn = (first_group as usize + n) % replicas.len().max(1);
            replicas.rotate_left(turn);
            PartitionRecord { group: GroupId(first_group + n as u64), hash_start, hash_end, replicas }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(per_zone: &[usize]) -> Vec<Candidate> {
        per_zone
            .iter()
            .enumerate()
            .flat_map(|(z, n)| {
                (0..*n).map(move |i| Candidate {
                    node: format!("n-{z}-{i}").parse().unwrap(),
                    zone: format!("az-{z}").parse().unwrap(),
                    raft_id: (z * 10 + i) as u64,
                    replicas: 0,
                })
            })
            .collect()
    }

    #[test]
    fn two_zones_are_too_few() {
        assert_eq!(place(candidates(&[3, 3]), 1, 1), Err(TooFewZones { zones: 2 }));
    }

    proptest! {
        #[test]
        fn ranges_cover_everything_once_and_replicas_spread(
            count in 1u32..40, nodes in prop::collection::vec(1usize..4, 3..5), first in 0u64..1000
        ) {
            let placed = place(candidates(&nodes), count, first).unwrap();
            prop_assert_eq!(placed.len(), count as usize);
            prop_assert_eq!(placed[0].hash_start, 0);
            prop_assert_eq!(placed.last().unwrap().hash_end, u128::MAX);
            for pair in placed.windows(2) {
                prop_assert_eq!(pair[0].hash_end + 1, pair[1].hash_start);
            }
            let mut leaders: BTreeMap<Zone, usize> = BTreeMap::new();
            let mut held: BTreeMap<NodeName, usize> = BTreeMap::new();
            for p in &placed {
                let zones: std::collections::BTreeSet<_> = p.replicas.iter().map(|r| &r.zone).collect();
                prop_assert_eq!(zones.len(), 3);
                *leaders.entry(p.replicas[0].zone.clone()).or_default() += 1;
                for r in &p.replicas {
                    *held.entry(r.node.clone()).or_default() += 1;
                }
            }
            if nodes.len() == 3 {
                let most = leaders.values().max().unwrap();
                let least = if leaders.len() == 3 { *leaders.values().min().unwrap() } else { 0 };
                prop_assert!(most - least <= 1, "{:?}", leaders);
            }
        }
    }
}
