//! Places that are few, of which nobody gets more than a share.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

pub struct Places<A> {
    all_max: usize,
    each_max: usize,
    /// Those that are taken, of each.
    taken: Arc<Mutex<HashMap<A, usize>>>,
}

/// Given back when it is dropped.
pub struct Place<A: Hash + Eq> {
    taken: Arc<Mutex<HashMap<A, usize>>>,
    whose: A,
}

impl<A: Hash + Eq + Clone> Places<A> {
    pub fn new(all_max: usize, each_max: usize) -> Places<A> {
        Places { all_max, each_max, taken: Arc::default() }
    }

    pub fn take(&self, whose: &A) -> Option<Place<A>> {
        let mut taken = self.taken.lock();
        let all: usize = taken.values().sum();
        let its = taken.get(whose).copied().unwrap_or_default();
        if all >= self.all_max || its >= self.each_max {
            return None;
        }
        taken.insert(whose.clone(), its + 1);
        Some(Place { taken: self.taken.clone(), whose: whose.clone() })
    }
}

impl<A: Hash + Eq> Drop for Place<A> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(its) = taken.get_mut(&self.whose) {
            *its -= 1;
        }
        taken.retain(|_, its| *its > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_leaves_places_to_others() {
        let places = Places::new(5, 2);
        let mut taken: Vec<_> = (0..2).filter_map(|_| places.take(&"a")).collect();
        assert!(places.take(&"a").is_none());
        taken.extend(["b", "b", "c"].iter().filter_map(|whose| places.take(whose)));
        assert_eq!(taken.len(), 5);
        assert!(places.take(&"d").is_none());
        taken.clear();
        assert!(places.take(&"a").is_some());
        assert!(places.taken.lock().is_empty());
    }
}
