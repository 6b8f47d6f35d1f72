//! Latches: one writer at a time evaluates a key.
//!
//! # Contract
//! A leader evaluates a write against the item as it stands, and replicates effects. Between reading the item and
//! the effects being applied nobody else may evaluate the same key, or one of two updates would be lost. So:
//!
//! 1. A write takes the latch of its key before it reads anything.
//! 2. The latch is held until its command is applied here, or certainly never will be: until `Group::propose` has
//!    returned. [`Guard`]s therefore travel with the command into the task that awaits the proposal, and that task is
//!    never cancelled; a client's deadline ends the client's waiting, not the task's. This is what makes an internal
//!    retry that arrives in the meantime safe: it waits here, then finds the remembered request.
//! 3. What is evaluated is proposed under the `Lead` under which it was evaluated: appended by that leadership or
//!    not at all. If leadership is lost with a command in flight, its guards are dropped, and whatever is evaluated
//!    next is either evaluated by another node, which has applied all that can still be committed before it calls
//!    itself leader, or by this one under a later lead, for which the same holds. Latches need no recovery: they
//!    live and die with the process, and a follower's are empty.
//!
//! The other way, evaluating on top of effects that are proposed but not applied, would let one key be written more
//! often than once per commit. It is not taken: a command that fails would have to fail every command that was
//! evaluated on top of it, on all of these paths at once, to spare the waiting of writers of one key, which AWS
//! itself limits to a thousand a second. Writers of different keys never wait for each other, and share log entries.
//!
//! Waiters are served in order of arrival. Several keys are taken in ascending order, so no two calls can wait for
//! each other.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::oneshot;

const SHARDS: usize = 16;

type Waiters = VecDeque<oneshot::Sender<KeyGuard>>;

/// The latches of a partition. Cheap to clone.
#[derive(Clone, Default)]
pub struct Latches {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    hasher: RandomState,
    /// Present: taken. A short lock, never held across an await.
    shards: [Mutex<HashMap<Bytes, Waiters>>; SHARDS],
}

impl Inner {
    fn shard(&self, key: &Bytes) -> &Mutex<HashMap<Bytes, Waiters>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

/// One key, taken. A guard that is sent to a waiter who has gone away is dropped, and so passed on.
struct KeyGuard {
    inner: Arc<Inner>,
    key: Bytes,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        loop {
            let mut shard = self.inner.shard(&self.key).lock();
            let next = match shard.get_mut(&self.key) {
                Some(waiters) => waiters.pop_front(),
                None => return,
            };
            let Some(next) = next else {
                shard.remove(&self.key);
                return;
            };
            drop(shard);
            let handed = KeyGuard { inner: self.inner.clone(), key: self.key.clone() };
            match next.send(handed) {
                Ok(()) => return,
                // Still ours: offer it to the next one, without the recursion that dropping it would be.
                Err(back) => back.forget(),
            }
        }
    }
}

impl KeyGuard {
    /// Ends this guard without releasing the latch.
    fn forget(mut self) {
        // An empty key is never latched: dropping finds nothing to release.
        self.key = Bytes::new();
    }
}

/// Keys, taken until this is dropped.
#[must_use = "the latches are free again when this is dropped"]
pub struct Guard {
    keys: Vec<KeyGuard>,
}

impl Guard {
    pub fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.iter().map(|guard| &guard.key)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Guard({} keys)", self.keys.len())
    }
}

/// Ascending and each once; the empty key is nobody's.
fn ordered(keys: &[Bytes]) -> Vec<Bytes> {
    let mut keys: Vec<Bytes> = keys.iter().filter(|key| !key.is_empty()).cloned().collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl Latches {
    pub fn new() -> Self {
        Self::default()
    }

    /// All of them, or none.
    pub fn try_lock(&self, keys: &[Bytes]) -> Option<Guard> {
        let mut guard = Guard { keys: Vec::with_capacity(keys.len()) };
        for key in ordered(keys) {
            let mut shard = self.inner.shard(&key).lock();
            if shard.contains_key(&key) {
                // Unlocked first: dropping what was taken so far may come by this shard.
                drop(shard);
                return None;
            }
            shard.insert(key.clone(), VecDeque::new());
            drop(shard);
            guard.keys.push(KeyGuard { inner: self.inner.clone(), key });
        }
        Some(guard)
    }

    /// Waits for its turn at each of them. Dropping the future gives back what was taken.
    pub async fn lock(&self, keys: &[Bytes]) -> Guard {
        let mut guard = Guard { keys: Vec::with_capacity(keys.len()) };
        for key in ordered(keys) {
            let turn = {
                let mut shard = self.inner.shard(&key).lock();
                match shard.get_mut(&key) {
                    None => {
                        shard.insert(key.clone(), VecDeque::new());
                        None
                    }
                    Some(waiters) => {
                        let (tx, rx) = oneshot::channel();
                        waiters.push_back(tx);
                        Some(rx)
                    }
                }
            };
            let one = match turn {
                None => KeyGuard { inner: self.inner.clone(), key },
                // A sender is only ever dropped after it sent: the shard keeps it until then, and we keep the shard.
                Some(turn) => turn.await.unwrap_or_else(|_| unreachable!("a waiter is dropped unserved")),
            };
            guard.keys.push(one);
        }
        guard
    }

    /// Keys taken now.
    pub fn taken(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    /// Who waits for a latch now, over all keys.
    pub fn waiting(&self) -> usize {
        self.inner.shards.iter().map(|shard| shard.lock().values().map(VecDeque::len).sum::<usize>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn keys(names: &[&str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect()
    }

    #[test]
    fn all_or_none() {
        let latches = Latches::new();
        let first = latches.try_lock(&keys(&["b", "a", "b"])).unwrap();
        assert_eq!(latches.taken(), 2);
        assert!(latches.try_lock(&keys(&["c", "a"])).is_none());
        assert_eq!(latches.taken(), 2, "c was given back");
        drop(first);
        assert_eq!(latches.taken(), 0);
        assert!(latches.try_lock(&keys(&["c", "a"])).is_some());
    }

    #[test]
    fn waiters_are_served_in_order_and_those_who_left_are_passed_over() {
        let latches = Latches::new();
        let held = latches.try_lock(&keys(&["k"])).unwrap();
        let k = keys(&["k"]);
        let mut first = Box::pin(latches.lock(&k));
        let mut second = Box::pin(latches.lock(&k));
        let mut third = Box::pin(latches.lock(&k));
        for waiter in [&mut first, &mut second, &mut third] {
            assert!(waiter.now_or_never().is_none());
        }
        assert_eq!(latches.waiting(), 3);
        drop(first);
        drop(held);
        let guard = second.as_mut().now_or_never().expect("second is next");
        assert!(third.as_mut().now_or_never().is_none());
        drop(guard);
        // Served, but gone before it noticed.
        drop(third);
        assert_eq!(latches.taken(), 0);
        assert!(latches.try_lock(&k).is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_tasks_never_overlap_on_a_key() {
        let latches = Latches::new();
        let inside: Arc<Vec<AtomicUsize>> = Arc::new((0..4).map(|_| AtomicUsize::new(0)).collect());
        let mut tasks = Vec::new();
        for i in 0..200usize {
            let (latches, inside) = (latches.clone(), inside.clone());
            tasks.push(tokio::spawn(async move {
                let (a, b) = (i % 4, (i / 4) % 4);
                let guard = latches.lock(&[Bytes::from(vec![b'k', a as u8]), Bytes::from(vec![b'k', b as u8])]).await;
                for slot in [Some(a), (b != a).then_some(b)].into_iter().flatten() {
                    assert_eq!(inside[slot].fetch_add(1, Ordering::SeqCst), 0);
                }
                tokio::task::yield_now().await;
                for slot in [Some(a), (b != a).then_some(b)].into_iter().flatten() {
                    inside[slot].fetch_sub(1, Ordering::SeqCst);
                }
                drop(guard);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(latches.taken(), 0);
    }
}
