//! A queue of messages seen as a stream of frames.

use breakwater_proto::transport::{Frame, Message};
use futures::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bounds a frame so that one slow receiver needn't hold much; with 1 KB messages about 256 KB.
const MESSAGES_MAX: usize = 256;
/// A frame is closed early once it holds this much, so that it stays below gRPC's message limit.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;

pub(crate) struct Batches {
    queue: mpsc::Receiver<Message>,
    held: Vec<Message>,
}

impl Batches {
    pub(crate) fn new(queue: mpsc::Receiver<Message>) -> Self {
        Batches { queue, held: Vec::new() }
    }

    /// Takes from what is held as many messages as a frame may carry.
    fn frame(&mut self) -> Frame {
        let mut bytes = 0;
        let mut n = 0;
        for m in &self.held {
            bytes += m.payload.len();
            if n > 0 && bytes > FRAME_BYTES_MAX / 2 {
                break;
            }
            n += 1;
        }
        let rest = self.held.split_off(n);
        Frame { messages: std::mem::replace(&mut self.held, rest) }
    }
}

impl Stream for Batches {
    type Item = Frame;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        let this = self.get_mut();
        if this.held.is_empty() {
            let mut held = std::mem::take(&mut this.held);
            let polled = this.queue.poll_recv_many(cx, &mut held, MESSAGES_MAX);
            this.held = held;
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(0) => return Poll::Ready(None),
                Poll::Ready(_) => {}
            }
        }
        Poll::Ready(Some(this.frame()))
    }
}
