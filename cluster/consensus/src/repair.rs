//! What is to be done so that a group has the members that it should have: one safe step at a time, pure.
//!
//! A member that lost its disk is another member (see [`crate::member`]): it learns first, and takes the place of its
//! former self in one joint change. Until then the group counts on its old members only, so the change is refused
//! while another of them is down: the quorum would hang on a single one.

use breakwater_types::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// A group as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub me: u64,
    /// Voters; two sets while a change is half done.
    pub configs: Vec<BTreeSet<u64>>,
    /// All members, learners too.
    pub names: BTreeMap<u64, NodeName>,
    /// Whether a quorum has the newest membership.
    pub committed: bool,
    /// Members that answered lately.
    pub up: BTreeSet<u64>,
    /// Members that have nearly all of the log.
    pub caught_up: BTreeSet<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Settled,
    /// Not now.
    Wait(String),
    /// A learner catches up.
    Learning(u64),
    AddLearner(u64, NodeName),
    /// Takes a learner out that isn't wanted any more.
    RemoveLearner(u64),
    /// Makes these the voters.
    SetVoters(BTreeSet<u64>),
}

impl Seen {
    fn learners(&self) -> impl Iterator<Item = u64> {
        let voters: BTreeSet<u64> = self.configs.iter().flatten().copied().collect();
        self.names.keys().copied().filter(move |id| !voters.contains(id))
    }

    fn down(&self, voters: &BTreeSet<u64>) -> Option<u64> {
        voters.iter().copied().find(|id| *id != self.me && !self.up.contains(id))
    }

    fn name(&self, id: u64) -> String {
        self.names.get(&id).map_or_else(|| format!("member {id}"), ToString::to_string)
    }
}

/// The next step from what is seen to the wanted voters.
pub fn plan(seen: &Seen, wanted: &BTreeMap<u64, NodeName>) -> Step {
    if !seen.committed {
        return Step::Wait("a change of members is under way".to_owned());
    }
    let voters = match &seen.configs[..] {
        [voters] => voters,
        // Left half way by a leader that died: only forward is safe, the other half may have been acknowledged.
        [.., goal] => return Step::SetVoters(goal.clone()),
        [] => return Step::Wait("the group has no members yet".to_owned()),
    };
    if !wanted.contains_key(&seen.me) {
        return Step::Wait("this leader isn't wanted: another has to do it".to_owned());
    }
    if let Some(stale) = seen.learners().find(|id| !wanted.contains_key(id)) {
        return Step::RemoveLearner(stale);
    }
    let missing = wanted.iter().find(|(id, _)| !voters.contains(id));
    let gone = match missing {
        // Its own former self rather than anybody else's.
        Some((_, name)) => voters
            .iter()
            .filter(|id| !wanted.contains_key(id))
            .min_by_key(|id| seen.names.get(id) != Some(name))
            .copied(),
        None => voters.iter().find(|id| !wanted.contains_key(id)).copied(),
    };
    let rest: BTreeSet<u64> = voters.iter().copied().filter(|id| Some(*id) != gone).collect();
    let next = match (missing, gone) {
        (None, None) => return Step::Settled,
        (None, Some(_)) => rest.clone(),
        (Some((new, name)), _) => {
            if !seen.names.contains_key(new) {
                return Step::AddLearner(*new, name.clone());
            }
            if !seen.up.contains(new) {
                return Step::Wait(format!("{name} doesn't answer"));
            }
            if !seen.caught_up.contains(new) {
                return Step::Learning(*new);
            }
            rest.iter().copied().chain([*new]).collect()
        }
    };
    match seen.down(&rest) {
        Some(down) => Step::Wait(format!("{} is down too", seen.name(down))),
        None => Step::SetVoters(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ids: &[u64]) -> BTreeMap<u64, NodeName> {
        ids.iter().map(|id| (*id, format!("node-{}", id % 10).parse().unwrap())).collect()
    }

    fn seen(voters: &[u64], members: &[u64]) -> Seen {
        Seen {
            me: voters[0],
            configs: vec![voters.iter().copied().collect()],
            names: named(members),
            committed: true,
            up: members.iter().copied().collect(),
            caught_up: members.iter().copied().collect(),
        }
    }

    fn set(ids: &[u64]) -> BTreeSet<u64> {
        ids.iter().copied().collect()
    }

    #[test]
    fn a_new_self_learns_and_then_takes_the_place_of_the_old() {
        let wanted = named(&[1, 2, 13]);
        let mut now = seen(&[1, 2, 3], &[1, 2, 3]);
        now.up.remove(&3);
        assert_eq!(plan(&now, &wanted), Step::AddLearner(13, "node-3".parse().unwrap()));
        now.names = named(&[1, 2, 3, 13]);
        assert!(matches!(plan(&now, &wanted), Step::Wait(_)), "it doesn't answer yet");
        now.up.insert(13);
        assert_eq!(plan(&now, &wanted), Step::Learning(13));
        now.caught_up.insert(13);
        assert_eq!(plan(&now, &wanted), Step::SetVoters(set(&[1, 2, 13])));
        now.up.remove(&2);
        assert!(matches!(plan(&now, &wanted), Step::Wait(_)), "another member is down");
        now.committed = false;
        assert!(matches!(plan(&now, &wanted), Step::Wait(_)));
    }

    #[test]
    fn a_change_left_half_way_is_finished() {
        let mut now = seen(&[1, 2, 3], &[1, 2, 3, 13]);
        now.configs.push(set(&[1, 2, 13]));
        now.up = set(&[1, 2]);
        assert_eq!(plan(&now, &named(&[1, 2, 13])), Step::SetVoters(set(&[1, 2, 13])));
        // Also where the newcomer was wiped once more meanwhile.
        assert_eq!(plan(&now, &named(&[1, 2, 23])), Step::SetVoters(set(&[1, 2, 13])));
    }

    #[test]
    fn learners_that_nobody_wants_go() {
        let now = seen(&[1, 2, 3], &[1, 2, 3, 13]);
        assert_eq!(plan(&now, &named(&[1, 2, 3])), Step::RemoveLearner(13));
        assert_eq!(plan(&now, &named(&[1, 2, 23])), Step::RemoveLearner(13));
    }

    #[test]
    fn a_leader_that_is_not_wanted_changes_nothing() {
        let now = seen(&[1, 2, 3], &[1, 2, 3]);
        assert!(matches!(plan(&now, &named(&[11, 2, 3])), Step::Wait(_)));
    }

    /// Every step from every start ends at the wanted members; each set of voters differs from the one before by one
    /// member that goes and one that comes, and has a quorum of members that are up.
    #[test]
    fn all_ways_lead_to_the_wanted_members_one_at_a_time() {
        for wanted_ids in [[1, 2, 13], [1, 12, 13], [1, 4, 5], [1, 12, 4]] {
            let wanted = named(&wanted_ids);
            let mut now = seen(&[1, 2, 3], &[1, 2, 3]);
            let mut steps = 0;
            loop {
                steps += 1;
                assert!(steps < 40, "{wanted_ids:?} is never reached: {now:?}");
                let voters = now.configs[0].clone();
                match plan(&now, &wanted) {
                    Step::Settled => break,
                    Step::Wait(why) => panic!("{why}: {now:?}"),
                    Step::Learning(id) => assert!(now.caught_up.insert(id)),
                    Step::AddLearner(id, name) => {
                        assert!(now.names.insert(id, name).is_none());
                        now.up.insert(id);
                        now.caught_up.remove(&id);
                    }
                    Step::RemoveLearner(id) => {
                        assert!(!voters.contains(&id) && now.names.remove(&id).is_some());
                    }
                    Step::SetVoters(next) => {
                        assert!(next.difference(&voters).count() <= 1 && voters.difference(&next).count() <= 1);
                        assert!(next.iter().all(|id| now.up.contains(id) && now.caught_up.contains(id)));
                        now.names.retain(|id, _| next.contains(id) || !voters.contains(id));
                        now.configs = vec![next];
                    }
                }
            }
            assert_eq!(now.configs, [wanted.keys().copied().collect::<BTreeSet<_>>()]);
        }
    }
}
