//! Which faults a seed brings, and in which order. Pure: what they hit is found out when they come.

use breakwater_launcher::chaos::Action;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// What a fault is meant to hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Of the table under test.
    PartitionLeader(u32),
    MetaLeader,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Leader {
        role: Role,
        action: Action,
    },
    /// The leader is killed, and its successor as soon as it leads.
    LeaderTwice {
        role: Role,
    },
    /// A zone with a leader in it, this one if it has one.
    Zone {
        zone: char,
        action: Action,
    },
    /// The edge leads nothing: it comes beside those that hit leaders.
    Edge {
        action: Action,
    },
    /// A fault point of a replica's process, in the leader or in a follower of a partition, or in a control node.
    Point {
        role: Role,
        leader: bool,
        plan: String,
        point: &'static str,
        ends: Ends,
    },
}

/// What a fault point does to its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The process dies at that point; its agent starts it again.
    Crash,
    /// The step fails: the replica stops, and says so, until its process is started again.
    Error,
    /// The step takes long; nothing ends.
    Slow,
}

impl Fault {
    pub fn hits_a_leader(&self) -> bool {
        !matches!(self, Fault::Edge { .. } | Fault::Point { .. })
    }
}

/// What may be done to a leader alone.
pub const MEANS: [Action; 7] =
    [Action::Kill, Action::Cut, Action::Isolate, Action::Pause, Action::KillNode, Action::KillAgent, Action::Restart];
const ZONES: [char; 3] = ['a', 'b', 'c'];

/// So many faults that hit leaders, and the edge among them. In five, both kinds of leader are hit twice in a row.
/// Means and zones follow from the seed's number, so that a few seeds in a row have them all. With `only`, every fault
/// is that action on a partition's leader.
pub fn leaders(seed: u64, faults: usize, partitions: u32, only: Option<Action>) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let nth = seed as usize;
    let mut partition = || Role::PartitionLeader(rng.random_range(0..partitions.max(1)));
    if let Some(action) = only {
        return (0..faults).map(|_| Fault::Leader { role: partition(), action }).collect();
    }
    let zone_means = [Action::Kill, Action::Cut, Action::Pause];
    let mut plan = Vec::new();
    for n in 0..faults {
        let turn = nth + n / 5;
        plan.push(match (nth + n) % 5 {
            0 => Fault::LeaderTwice { role: partition() },
            1 => Fault::Leader { role: partition(), action: MEANS[turn % MEANS.len()] },
            2 => Fault::Zone { zone: ZONES[turn % 3], action: zone_means[(turn / 3) % 3] },
            3 => Fault::LeaderTwice { role: Role::MetaLeader },
            _ => Fault::Leader { role: Role::MetaLeader, action: MEANS[(turn + 3) % MEANS.len()] },
        });
    }
    plan.push(Fault::Edge { action: [Action::Kill, Action::KillNode, Action::KillAgent][nth % 3] });
    plan.shuffle(&mut rng);
    plan
}

/// Fault points: mostly of the data nodes, where they are passed all the time.
pub fn points(seed: u64, faults: usize, partitions: u32) -> Vec<Fault> {
    use breakwater_types::faults::{POINTS, POINTS_OF_A_WRITE};
    let mut rng = StdRng::seed_from_u64(seed ^ 0x9e37_79b9);
    (0..faults)
        .map(|n| {
            let turn = (seed as usize).wrapping_mul(faults) + n;
            let role = match rng.random_range(0..6) {
                0 => Role::MetaLeader,
                _ => Role::PartitionLeader(rng.random_range(0..partitions.max(1))),
            };
            let ends = [Ends::Crash, Ends::Crash, Ends::Error, Ends::Crash, Ends::Slow][turn % 5];
            // The control store's state machine passes fewer, and more seldom.
            let known = if role == Role::MetaLeader { &POINTS_OF_A_WRITE[..5] } else { POINTS_OF_A_WRITE };
            debug_assert!(known.iter().all(|p| POINTS.contains(p)));
            let point = known[turn % known.len()];
            let pass = if role == Role::MetaLeader { rng.random_range(1..4) } else { rng.random_range(1..120) };
            let plan = match ends {
                Ends::Crash => format!("{point}=crash#{pass}"),
                Ends::Error => format!("{point}=error#{pass}"),
                Ends::Slow => format!("seed={seed};{point}=delay:{}@0.1", rng.random_range(5..60)),
            };
            Fault::Point { role, leader: rng.random_range(0..3) > 0, plan, point, ends }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_faults_hit_each_kind_of_leader_twice_in_a_row() {
        for seed in 0..50 {
            let plan = leaders(seed, 5, 3, None);
            assert_eq!(plan.iter().filter(|f| f.hits_a_leader()).count(), 5);
            assert_eq!(plan, leaders(seed, 5, 3, None), "the same for the same seed");
            let twice = |meta: bool| {
                plan.iter().any(|f| matches!(f, Fault::LeaderTwice { role } if (*role == Role::MetaLeader) == meta))
            };
            assert!(twice(true) && twice(false), "{plan:?}");
            assert!(plan.iter().any(|f| matches!(f, Fault::Zone { .. })));
            assert!(plan.iter().any(|f| matches!(f, Fault::Edge { .. })));
        }
    }

    #[test]
    fn nine_seeds_have_every_means_on_both_kinds_of_leader_and_every_zone() {
        let all: Vec<Fault> = (1..=9).flat_map(|seed| leaders(seed, 5, 3, None)).collect();
        for action in MEANS {
            for meta in [true, false] {
                let has = |f: &Fault| matches!(f, Fault::Leader { role, action: a } if *a == action && (*role == Role::MetaLeader) == meta);
                assert!(all.iter().any(has), "{action:?} meta={meta}");
            }
        }
        for zone in ZONES {
            for action in [Action::Kill, Action::Cut, Action::Pause] {
                assert!(all.contains(&Fault::Zone { zone, action }), "{zone} {action:?}");
            }
        }
        for partition in 0..3 {
            let role = Role::PartitionLeader(partition);
            assert!(all.iter().any(|f| matches!(f, Fault::LeaderTwice { role: r } if *r == role)));
        }
    }

    #[test]
    fn points_come_in_all_kinds_and_every_plan_can_be_armed() {
        let all: Vec<Fault> = (1..=6).flat_map(|seed| points(seed, 5, 3)).collect();
        let mut named = std::collections::BTreeSet::new();
        for fault in &all {
            let Fault::Point { plan, point, .. } = fault else { panic!("{fault:?}") };
            breakwater_types::faults::arm(plan).unwrap();
            named.insert(*point);
        }
        breakwater_types::faults::arm("").unwrap();
        assert_eq!(named.len(), breakwater_types::faults::POINTS_OF_A_WRITE.len());
        for ends in [Ends::Crash, Ends::Error, Ends::Slow] {
            assert!(all.iter().any(|f| matches!(f, Fault::Point { ends: e, .. } if *e == ends)));
        }
    }
}
