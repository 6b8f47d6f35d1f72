//! A provider that is asked one question at a time, whoever waits for the answer.

use super::kept::{Fetched, Kept, Next};
use super::places::Places;
use parking_lot::Mutex;
use std::hash::Hash;
use std::sync::Arc;
use tokio::time::Instant;

pub struct Asked<K, E> {
    kept: Mutex<Kept<K, E>>,
    /// Held by the question that is out.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// How many may ask at once, and how many wait for who asks; keys that are known need neither.
pub struct Bounds<A> {
    pub asking: Places<A>,
    pub waiting: Places<A>,
}

#[derive(Debug)]
pub enum Unanswered<E> {
    Failed(E),
    TooMany,
}

impl<K, E> Default for Asked<K, E> {
    fn default() -> Self {
        Asked { kept: Mutex::default(), asking: Arc::default() }
    }
}

impl<K, E: Clone> Asked<K, E> {
    fn known(&self, than: Option<Instant>) -> Option<Result<Fetched<K>, Unanswered<E>>> {
        match self.kept.lock().next(Instant::now(), than) {
            Next::Serve(fetched) => Some(Ok(fetched)),
            Next::Refuse(failure) => Some(Err(Unanswered::Failed(failure))),
            Next::Ask => None,
        }
    }

    /// For who can't ask now: keys that will do, unless he has seen them.
    fn instead(&self, than: Option<Instant>) -> Result<Fetched<K>, Unanswered<E>> {
        let usable = || self.kept.lock().usable(Instant::now());
        than.is_none().then(usable).flatten().ok_or(Unanswered::TooMany)
    }
}

impl<K: Send + Sync + 'static, E: Clone + Send + 'static> Asked<K, E> {
    /// The provider's keys, newer ones than `than`; `question` is asked if it has to be, on behalf of `whose`. Once it
    /// is asked it goes on without its caller, so it has to end by itself.
    pub async fn keys<A: Hash + Eq + Clone + Send + 'static>(
        self: &Arc<Self>,
        than: Option<Instant>,
        bounds: &Bounds<A>,
        whose: &A,
        question: impl Future<Output = Result<K, E>> + Send + 'static,
    ) -> Result<Fetched<K>, Unanswered<E>> {
        if let Some(known) = self.known(than) {
            return known;
        }
        let asking = match self.asking.clone().try_lock_owned() {
            Ok(asking) => asking,
            Err(_) => {
                // A provider that hangs delays nobody for whom there are keys.
                if let Ok(instead) = self.instead(than) {
                    return Ok(instead);
                }
                let Some(_waiting) = bounds.waiting.take(whose) else { return Err(Unanswered::TooMany) };
                self.asking.clone().lock_owned().await
            }
        };
        // Who asked before may have been told.
        if let Some(known) = self.known(than) {
            return known;
        }
        let Some(place) = bounds.asking.take(whose) else { return self.instead(than) };
        let asked = self.clone();
        // In a task of its own: a caller who hangs up must not take the trace of his question with him, or no pause
        // would ever begin, and whoever comes next would ask again at once.
        let told = tokio::spawn(async move {
            let _until_noted = (asking, place);
            let answer = question.await;
            asked.kept.lock().note(Instant::now(), than.is_some(), answer);
            asked.known(than)
        });
        let told =
            told.await.inspect_err(|e| tracing::error!(error = %e, "a question to an identity provider broke off"));
        told.ok().flatten().unwrap_or(Err(Unanswered::TooMany))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;
    use tokio::sync::Notify;

    type Tried = Asked<&'static str, &'static str>;

    fn bounds(each: usize) -> Arc<Bounds<u8>> {
        Arc::new(Bounds { asking: Places::new(2 * each, each), waiting: Places::new(20, 10) })
    }

    #[tokio::test]
    async fn many_wait_for_one_answer() {
        let (asked, bounds) = (Arc::new(Tried::default()), bounds(1));
        let (questions, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let wait = || {
            let (asked, bounds, questions, go) = (asked.clone(), bounds.clone(), questions.clone(), go.clone());
            tokio::spawn(async move {
                let question = async move {
                    questions.fetch_add(1, Ordering::SeqCst);
                    go.notified().await;
                    Ok("keys")
                };
                asked.keys(None, &bounds, &1, question).await.map(|fetched| *fetched.keys)
            })
        };
        let waiting: Vec<_> = (0..12).map(|_| wait()).collect();
        while questions.load(Ordering::SeqCst) == 0 || waiting.iter().filter(|one| one.is_finished()).count() == 0 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        let mut told = Vec::new();
        for one in waiting {
            told.push(one.await.unwrap().is_ok());
        }
        // One asked, ten waited, and for the twelfth there was no place.
        assert_eq!(told.iter().filter(|ok| **ok).count(), 11);
        assert_eq!(questions.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn keys_that_are_known_need_no_place_and_hanging_providers_take_those_of_their_account_alone() {
        let bounds = bounds(2);
        let known = Arc::new(Tried::default());
        known.keys(None, &bounds, &1, async { Ok("keys") }).await.unwrap();
        let mut hanging: Vec<_> = Vec::new();
        for _ in 0..2 {
            let bounds = bounds.clone();
            let new = Arc::new(Tried::default());
            hanging.push(tokio::spawn(async move { new.keys(None, &bounds, &1, pending()).await.is_ok() }));
        }
        while bounds.asking.take(&1).is_some() {
            tokio::task::yield_now().await;
        }
        let new = Arc::new(Tried::default());
        let refused = new.keys(None, &bounds, &1, async { Ok("keys") }).await;
        assert!(matches!(refused, Err(Unanswered::TooMany)));
        assert!(known.keys(None, &bounds, &1, pending()).await.is_ok());
        let others = Arc::new(Tried::default());
        assert!(others.keys(None, &bounds, &2, async { Ok("keys") }).await.is_ok());
        hanging.iter().for_each(|one| one.abort());
    }

    #[tokio::test]
    async fn who_hangs_up_leaves_the_question_its_place_and_its_pause() {
        let (asked, bounds) = (Arc::new(Tried::default()), bounds(1));
        // Fetched so long ago that it may be asked for a key that isn't known.
        let old = Instant::now() - Duration::from_secs(2);
        asked.kept.lock().note(old, false, Ok("keys"));
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let hanging = {
            let (begun, go) = (begun.clone(), go.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                Err("failed")
            }
        };
        tokio::select! {
            biased;
            _ = asked.keys(Some(old), &bounds, &1, hanging) => panic!("answered by a provider that hangs"),
            () = begun.notified() => {}
        }
        // The caller is gone, the question isn't.
        assert!(bounds.asking.take(&1).is_none());
        let again = Arc::new(AtomicUsize::new(0));
        let question = {
            let again = again.clone();
            async move {
                again.fetch_add(1, Ordering::SeqCst);
                Ok("new")
            }
        };
        let (next, ()) = tokio::join!(asked.keys(Some(old), &bounds, &1, question), async { go.notify_one() });
        assert!(matches!(next, Err(Unanswered::Failed("failed"))));
        assert_eq!(again.load(Ordering::SeqCst), 0);
        assert!(bounds.asking.take(&1).is_some());
    }
}
