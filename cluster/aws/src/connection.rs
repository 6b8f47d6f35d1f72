//! What one connection is waiting for, so that one that waits too long can be cut.
//!
//! A timer per request and phase would cost more than the signature: instead each connection notes its phase and
//! since when, and the server looks over all of them a few times per timeout.

use crate::audit::TlsCell;
use crate::limits::Limits;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

/// Where a connection is in its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Between requests.
    Idle = 0,
    /// The request line or headers have begun.
    Head = 1,
    /// The body is being read.
    Body = 2,
    /// Ours to work on; the request's deadline bounds it.
    Busy = 3,
    /// The answer is being written.
    Answering = 4,
    /// An answer without an end, as server-sent events.
    Streaming = 5,
}

impl Phase {
    fn of(code: u8) -> Self {
        match code {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Busy,
            4 => Phase::Answering,
            _ => Phase::Streaming,
        }
    }
}

#[derive(Debug)]
pub struct Connection {
    started: Instant,
    phase: AtomicU8,
    /// Milliseconds after `started` at which the phase began.
    since_ms: AtomicU64,
    /// Milliseconds after `started`, plus one, since when the client has taken nothing; zero when it takes.
    blocked_ms: AtomicU64,
    pub abort: OnceLock<AbortHandle>,
    /// Where it speaks TLS.
    pub tls: TlsCell,
}

impl Connection {
    pub fn new() -> Arc<Self> {
        Arc::new(Connection {
            started: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since_ms: AtomicU64::new(0),
            blocked_ms: AtomicU64::new(0),
            abort: OnceLock::new(),
            tls: TlsCell::new(),
        })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    pub fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Relaxed))
    }

    pub fn enter(&self, phase: Phase) {
        self.since_ms.store(self.now_ms(), Relaxed);
        self.phase.store(phase as u8, Relaxed);
    }

    /// How long it has been between requests, if it is.
    pub fn idle_for(&self) -> Option<Duration> {
        let idle = self.phase() == Phase::Idle;
        idle.then(|| Duration::from_millis(self.now_ms().saturating_sub(self.since_ms.load(Relaxed))))
    }

    /// Why this connection should be cut, if it should.
    pub fn overdue(&self, limits: &Limits) -> Option<&'static str> {
        let now = self.now_ms();
        let blocked = self.blocked_ms.load(Relaxed);
        if blocked > 0 && Duration::from_millis((now + 1).saturating_sub(blocked)) > limits.write_timeout {
            return Some("write");
        }
        let (bound, why) = match self.phase() {
            Phase::Idle => (limits.idle_timeout, "idle"),
            Phase::Head => (limits.head_timeout, "head"),
            Phase::Body => (limits.body_timeout, "body"),
            Phase::Busy | Phase::Answering | Phase::Streaming => return None,
        };
        (Duration::from_millis(now.saturating_sub(self.since_ms.load(Relaxed))) > bound).then_some(why)
    }

    pub fn cut(&self) {
        if let Some(abort) = self.abort.get() {
            abort.abort();
        }
    }
}

/// A stream that notes its connection's phases.
pub struct Noting<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S> Noting<S> {
    pub fn new(stream: S, connection: Arc<Connection>) -> Self {
        Noting { stream, connection }
    }

    fn wrote(&self, done: bool) {
        if done {
            self.connection.blocked_ms.store(0, Relaxed);
        } else if self.connection.blocked_ms.load(Relaxed) == 0 {
            self.connection.blocked_ms.store(self.connection.now_ms() + 1, Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before && self.connection.phase() == Phase::Idle {
            self.connection.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(poll.is_ready());
        poll
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(poll.is_ready());
        poll
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.wrote(poll.is_ready());
        // hyper flushes once its own buffer is empty: the answer is out.
        if poll.is_ready() && self.connection.phase() == Phase::Answering {
            self.connection.enter(Phase::Idle);
        }
        poll
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a route's answer; it may have no end.
pub type RouteBody = BoxBody<Bytes, BoxError>;

/// An answer's body: whole, as every operation's, or a route's.
pub enum AnswerBody {
    Whole(Option<Bytes>),
    Route { body: RouteBody, connection: Arc<Connection> },
}

impl AnswerBody {
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        AnswerBody::Whole(Some(bytes.into()).filter(|b: &Bytes| !b.is_empty()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            AnswerBody::Route { body, .. } => Pin::new(body).poll_frame(cx),
        }
    }
    fn is_end_stream(&self) -> bool {
        match self {
            AnswerBody::Whole(bytes) => bytes.is_none(),
            AnswerBody::Route { body, .. } => body.is_end_stream(),
        }
    }
    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            AnswerBody::Route { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let AnswerBody::Route { connection, .. } = self
            && connection.phase() == Phase::Streaming
        {
            connection.enter(Phase::Idle);
        }
    }
}
