//! What is kept compiled: of callers, and the policies of records that many callers share. Bounded by bytes, as one
//! short request can make a lot of them: a role may have ten policies, and any number of sessions.

use breakwater_policy::Policy;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Callers kept at most; beyond it all are made anew.
const CALLERS_MAX: usize = 10_000;
/// What is kept takes at most about so much memory; beyond it all are made anew.
const BYTES_MAX: usize = 128 << 20;

/// A record's key, and the policy's name where it has several.
pub(crate) type Source = (Vec<u8>, String);

struct All<T> {
    /// With the bytes that are theirs alone.
    callers: HashMap<String, (Arc<T>, usize)>,
    /// With the revision of the record that each was read from.
    shared: HashMap<Source, (u64, Arc<Policy>)>,
    /// Of shared policies that were replaced too, until all are made anew: idle callers may hold them still.
    bytes: usize,
}

pub(crate) struct Kept<T> {
    all: RwLock<All<T>>,
    bytes_max: usize,
}

impl<T> Kept<T> {
    pub(crate) fn new() -> Kept<T> {
        Self::bounded(BYTES_MAX)
    }

    fn bounded(bytes_max: usize) -> Kept<T> {
        let all = All { callers: HashMap::new(), shared: HashMap::new(), bytes: 0 };
        Kept { all: RwLock::new(all), bytes_max }
    }

    pub(crate) fn get(&self, caller: &str) -> Option<Arc<T>> {
        self.all.read().callers.get(caller).map(|(known, _)| known.clone())
    }

    pub(crate) fn put(&self, caller: &str, made: Arc<T>, bytes: usize) {
        let bytes = bytes + caller.len();
        let mut all = self.all.write();
        if all.callers.len() >= CALLERS_MAX {
            all.clear();
        }
        all.make_room(bytes, self.bytes_max);
        all.bytes += bytes;
        if let Some((_, was)) = all.callers.insert(caller.to_owned(), (made, bytes)) {
            all.bytes = all.bytes.saturating_sub(was);
        }
    }

    /// The policy in this revision of a record; made only if nobody has yet.
    pub(crate) fn shared(&self, source: Source, revision: u64, make: impl FnOnce() -> Arc<Policy>) -> Arc<Policy> {
        if let Some((of, policy)) = self.all.read().shared.get(&source)
            && *of == revision
        {
            return policy.clone();
        }
        let made = make();
        let bytes = made.bytes() + source.0.len() + source.1.len();
        let mut all = self.all.write();
        all.make_room(bytes, self.bytes_max);
        all.bytes += bytes;
        all.shared.insert(source, (revision, made.clone()));
        made
    }
}

impl<T> All<T> {
    fn make_room(&mut self, bytes: usize, most: usize) {
        if self.bytes + bytes > most {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.callers.clear();
        self.shared.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_policy::Use;

    fn policy() -> Arc<Policy> {
        let resources: Vec<String> = (0..100).map(|n| format!("\"arn:aws:s3:::bucket-{n}/*\"")).collect();
        let statement = format!(r#"{{"Effect":"Allow","Action":"s3:Get*","Resource":[{}]}}"#, resources.join(","));
        let document = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        Arc::new(Policy::parse(&document, Use::Identity).unwrap())
    }

    #[test]
    fn sessions_share_the_policies_of_their_role() {
        let kept: Kept<Arc<Policy>> = Kept::new();
        let source = |name: &str| (b"iam/aws/1/policy/p".to_vec(), name.to_owned());
        let first = kept.shared(source(""), 5, policy);
        for session in 0..300 {
            let again = kept.shared(source(""), 5, || unreachable!("it is kept"));
            assert!(Arc::ptr_eq(&first, &again));
            kept.put(&format!("ASIA{session}"), Arc::new(again), 100);
        }
        assert!(kept.all.read().bytes < first.bytes() + 300 * 200);
        // A record that changed is another policy, and so is another policy in it.
        assert!(!Arc::ptr_eq(&first, &kept.shared(source(""), 6, policy)));
        assert!(!Arc::ptr_eq(&first, &kept.shared(source("inline"), 6, policy)));
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes() {
        let one = policy().bytes();
        // A tree of a hundred resources is never as small as its text.
        assert!(one > 10_000, "{one}");
        let kept: Kept<()> = Kept::bounded(one * 10);
        for revision in 0..1_000 {
            kept.shared((b"k".to_vec(), String::new()), revision, policy);
            kept.put(&revision.to_string(), Arc::new(()), one);
            let all = kept.all.read();
            let held = all.callers.values().map(|(_, bytes)| bytes).sum::<usize>() + all.shared.len() * one;
            assert!(held <= all.bytes && all.bytes <= one * 10, "{held} {}", all.bytes);
        }
        assert!(kept.get("999").is_some() && kept.get("0").is_none());
        // Who is made anew takes the place that it had.
        let before = kept.all.read().bytes;
        kept.put("999", Arc::new(()), one);
        assert_eq!(kept.all.read().bytes, before);
    }
}
