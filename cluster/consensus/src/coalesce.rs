//! Fewer messages to followers: a commit alone is no reason for one, unless nothing else comes for a while.

use crate::types::TypeConfig;
use futures::Stream;
use openraft::raft::AppendEntriesRequest;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Followers apply so much later when nothing follows. They answer eventually consistent reads alone, and a new
/// leader finds out by itself what was committed.
const HELD: Duration = Duration::from_millis(10);

/// A leader's requests to one follower, in order. A request without entries, which only says what is committed by
/// now, is held until the next one says it too, or for [`HELD`].
pub(crate) struct Coalesced<S> {
    requests: S,
    /// The first request of a stream asks where the follower stands: never held.
    first: bool,
    held: Option<(AppendEntriesRequest<TypeConfig>, Pin<Box<Sleep>>)>,
}

impl<S> Coalesced<S> {
    pub(crate) fn new(requests: S) -> Self {
        Coalesced { requests, first: true, held: None }
    }
}

impl<S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin> Stream for Coalesced<S> {
    type Item = AppendEntriesRequest<TypeConfig>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match Pin::new(&mut this.requests).poll_next(cx) {
                Poll::Ready(Some(request)) => {
                    if this.first || !request.entries.is_empty() {
                        // Entries go on from where the held one stands, under the same vote: whoever takes them
                        // would have taken that.
                        this.held = None;
                        this.first = false;
                        return Poll::Ready(Some(request));
                    }
                    match &mut this.held {
                        Some((held, _)) => *held = request,
                        None => this.held = Some((request, Box::pin(tokio::time::sleep(HELD)))),
                    }
                }
                Poll::Ready(None) => return Poll::Ready(this.held.take().map(|(held, _)| held)),
                Poll::Pending => {
                    let Some((_, timer)) = &mut this.held else { return Poll::Pending };
                    return timer.as_mut().poll(cx).map(|()| this.held.take().map(|(held, _)| held));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Command, Entry, LeaderId, LogId, Vote};
    use bytes::Bytes;
    use futures::channel::mpsc;
    use futures::{FutureExt, StreamExt};
    use openraft::entry::EntryPayload;

    fn id(index: u64) -> LogId {
        LogId { leader_id: LeaderId { term: 1, node_id: 7 }, index }
    }

    fn request(prev: u64, entries: u64, committed: u64) -> AppendEntriesRequest<TypeConfig> {
        let entry = |n| Entry {
            log_id: id(prev + n),
            payload: EntryPayload::Normal(Command { traceparent: String::new(), data: Bytes::new() }),
        };
        AppendEntriesRequest {
            vote: Vote::new_committed(1, 7),
            prev_log_id: Some(id(prev)),
            entries: (1..=entries).map(entry).collect(),
            leader_commit: Some(id(committed)),
        }
    }

    fn seen(request: &AppendEntriesRequest<TypeConfig>) -> (u64, usize, u64) {
        let index = |id: &Option<LogId>| id.as_ref().map_or(0, |id| id.index);
        (index(&request.prev_log_id), request.entries.len(), index(&request.leader_commit))
    }

    #[tokio::test]
    async fn a_commit_goes_with_what_follows_or_alone_after_a_while() {
        let (tx, rx) = mpsc::unbounded();
        let mut requests = Coalesced::new(rx);
        tx.unbounded_send(request(4, 0, 4)).unwrap();
        assert_eq!(requests.next().await.as_ref().map(seen), Some((4, 0, 4)), "the first is never held");

        tx.unbounded_send(request(4, 0, 4)).unwrap();
        assert!(requests.next().now_or_never().is_none(), "held");
        tx.unbounded_send(request(4, 2, 5)).unwrap();
        assert_eq!(requests.next().await.as_ref().map(seen), Some((4, 2, 5)), "the entries say it too");
        assert!(tokio::time::timeout(10 * HELD, requests.next()).await.is_err(), "once");

        tx.unbounded_send(request(6, 0, 5)).unwrap();
        assert!(requests.next().now_or_never().is_none());
        tx.unbounded_send(request(6, 0, 6)).unwrap();
        assert_eq!(requests.next().await.as_ref().map(seen), Some((6, 0, 6)), "the latest, when its time has come");

        tx.unbounded_send(request(6, 0, 6)).unwrap();
        drop(tx);
        assert_eq!(requests.next().await.as_ref().map(seen), Some((6, 0, 6)), "nothing is lost at the end");
        assert!(requests.next().await.is_none());
    }
}
