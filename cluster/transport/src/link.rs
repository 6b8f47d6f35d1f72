//! The caller's side of one peer: at most one connection, made when needed, given up when silent.

use crate::batch::{Batches, FRAME_BYTES_MAX};
use crate::transport::Settings;
use crate::{CallError, Kind, Refusal};
use breakwater_identity::Credentials;
use breakwater_proto::transport::{Message, peer_client::PeerClient};
use breakwater_types::NodeName;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tonic::transport::Channel;

type Answer = oneshot::Sender<Message>;

/// An open stream.
pub(crate) struct Connection {
    queue: mpsc::Sender<Message>,
    pending: Mutex<Pending>,
    heard: Mutex<Instant>,
    closed: watch::Sender<bool>,
    pub(crate) channel: Channel,
}

#[derive(Default)]
struct Pending {
    calls: HashMap<u64, Answer>,
    closed: bool,
}

impl Connection {
    fn close(&self) {
        let calls = {
            let mut pending = self.pending.lock();
            pending.closed = true;
            std::mem::take(&mut pending.calls)
        };
        // Dropping the senders ends the calls as unknown.
        drop(calls);
        self.closed.send_replace(true);
    }
    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

enum State {
    /// Nobody called yet, or the last connection ended well.
    Idle,
    /// Being made; `suspect` if the one before it failed, so that callers needn't wait for it.
    Connecting {
        suspect: bool,
        done: watch::Receiver<bool>,
    },
    Up(Arc<Connection>),
    /// The last attempt failed.
    Down {
        retry_at: Instant,
        why: String,
    },
}

pub(crate) struct Link {
    peer: NodeName,
    credentials: Arc<Credentials>,
    settings: Settings,
    address: Mutex<Option<SocketAddr>>,
    state: Mutex<State>,
    next_id: AtomicU64,
    /// When the peer was last heard, for those who watch it.
    heard: watch::Sender<Option<Instant>>,
}

impl Link {
    pub(crate) fn new(peer: NodeName, credentials: Arc<Credentials>, settings: Settings) -> Arc<Self> {
        Arc::new(Link {
            peer,
            credentials,
            settings,
            address: Mutex::new(None),
            state: Mutex::new(State::Idle),
            next_id: AtomicU64::new(1),
            heard: watch::Sender::new(None),
        })
    }

    pub(crate) fn set_address(&self, address: SocketAddr) {
        let moved = self.address.lock().replace(address).is_some_and(|old| old != address);
        if moved {
            let old = std::mem::replace(&mut *self.state.lock(), State::Idle);
            if let State::Up(connection) = old {
                connection.close();
            }
        }
    }

    pub(crate) fn heard(&self) -> watch::Receiver<Option<Instant>> {
        self.heard.subscribe()
    }

    pub(crate) async fn call(
        self: &Arc<Self>,
        kind: Kind,
        group: u64,
        payload: Bytes,
        traceparent: String,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let connection = self.connection(deadline).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CallError::NotSent("the deadline has passed".to_owned()));
        }
        if payload.len() > FRAME_BYTES_MAX {
            return Err(CallError::NotSent(format!("a call of {} bytes", payload.len())));
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        {
            let mut pending = connection.pending.lock();
            if pending.closed {
                return Err(CallError::NotSent(format!("the connection to {} has ended", self.peer)));
            }
            if pending.calls.is_empty() {
                // Silence counts from the first call that waits.
                *connection.heard.lock() = Instant::now();
            }
            pending.calls.insert(id, answer);
        }
        let message = Message {
            id,
            kind: kind as u32,
            group,
            status: 0,
            payload,
            traceparent,
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
        };
        let forget = Forget { connection: &connection, id };
        if let Err(e) = connection.queue.try_send(message) {
            drop(forget);
            return Err(CallError::NotSent(match e {
                mpsc::error::TrySendError::Full(_) => format!("the queue to {} is full", self.peer),
                mpsc::error::TrySendError::Closed(_) => format!("the connection to {} has ended", self.peer),
            }));
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(message)) if message.status == 0 => Ok(message.payload),
            Ok(Ok(message)) => Err(CallError::Refused(
                Refusal::from_wire(message.status),
                String::from_utf8_lossy(&message.payload).into_owned(),
            )),
            Ok(Err(_)) => Err(CallError::Unknown(format!("the connection to {} ended", self.peer))),
            Err(_) => Err(CallError::Unknown(format!("{} did not answer in time", self.peer))),
        }
    }

    /// The open connection, or a new one. Waits for one that is being made for the first time; where the peer
    /// was lost, it doesn't wait.
    pub(crate) async fn connection(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Connection>, CallError> {
        loop {
            let mut done = {
                let mut state = self.state.lock();
                match &*state {
                    State::Up(connection) if !connection.is_closed() => return Ok(connection.clone()),
                    State::Connecting { suspect: true, .. } => {
                        return Err(CallError::NotSent(format!("{} is not reachable", self.peer)));
                    }
                    State::Connecting { suspect: false, done } => done.clone(),
                    State::Down { retry_at, why } if Instant::now() < *retry_at => {
                        return Err(CallError::NotSent(format!("{} is not reachable: {why}", self.peer)));
                    }
                    previous @ (State::Idle | State::Up(_) | State::Down { .. }) => {
                        let suspect = !matches!(previous, State::Idle);
                        let (tx, rx) = watch::channel(false);
                        *state = State::Connecting { suspect, done: rx.clone() };
                        let link = self.clone();
                        tokio::spawn(async move { link.connect(tx).await });
                        // The one that starts it waits for it, suspect or not.
                        rx
                    }
                }
            };
            match tokio::time::timeout_at(deadline, done.wait_for(|d| *d)).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Err(CallError::NotSent("shutting down".to_owned())),
                Err(_) => return Err(CallError::NotSent(format!("no connection to {} in time", self.peer))),
            }
            if let State::Down { why, .. } = &*self.state.lock() {
                return Err(CallError::NotSent(format!("{} is not reachable: {why}", self.peer)));
            }
        }
    }

    async fn connect(self: Arc<Self>, done: watch::Sender<bool>) {
        let address = *self.address.lock();
        let outcome = match address {
            None => Err("its address is not known".to_owned()),
            Some(address) => {
                let made = self.open(address);
                match tokio::time::timeout(Duration::from_millis(self.settings.connect_ms_max), made).await {
                    Ok(made) => made,
                    Err(_) => Err("connecting took too long".to_owned()),
                }
            }
        };
        {
            let mut state = self.state.lock();
            *state = match outcome {
                Ok(connection) => {
                    self.heard.send_replace(Some(Instant::now()));
                    State::Up(connection)
                }
                Err(why) => {
                    tracing::debug!(peer = %self.peer, why, "no connection");
                    State::Down { retry_at: Instant::now() + Duration::from_millis(self.settings.reconnect_ms), why }
                }
            };
        }
        done.send_replace(true);
    }

    async fn open(self: &Arc<Self>, address: SocketAddr) -> Result<Arc<Connection>, String> {
        let channel =
            breakwater_identity::channel(&self.credentials, address, &self.peer).await.map_err(|e| format!("{e:#}"))?;
        let mut client = PeerClient::new(channel.clone())
            .max_decoding_message_size(2 * FRAME_BYTES_MAX)
            .max_encoding_message_size(2 * FRAME_BYTES_MAX);
        let (queue, outbound) = mpsc::channel(self.settings.queue_max);
        let connection = Arc::new(Connection {
            queue,
            pending: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            closed: watch::Sender::new(false),
            channel,
        });
        let mut inbound =
            client.exchange(Batches::new(outbound)).await.map_err(|status| status.to_string())?.into_inner();
        let weak = Arc::downgrade(&connection);
        let link = self.clone();
        let mut closed = connection.closed.subscribe();
        tokio::spawn(async move {
            let why = loop {
                let frame = tokio::select! {
                    frame = inbound.message() => frame,
                    _ = closed.wait_for(|c| *c) => break "closed here".to_owned(),
                };
                let Some(connection) = weak.upgrade() else { break "dropped".to_owned() };
                match frame {
                    Ok(Some(frame)) => {
                        let now = Instant::now();
                        *connection.heard.lock() = now;
                        link.heard.send_replace(Some(now));
                        let mut pending = connection.pending.lock();
                        for message in frame.messages {
                            if let Some(answer) = pending.calls.remove(&message.id) {
                                // The caller may have stopped waiting.
                                let _ = answer.send(message);
                            }
                        }
                    }
                    Ok(None) => break "closed by the peer".to_owned(),
                    Err(status) => break status.to_string(),
                }
            };
            if let Some(connection) = weak.upgrade() {
                tracing::debug!(peer = %link.peer, why, "connection ended");
                connection.close();
            }
        });
        tokio::spawn(watch_silence(connection.clone(), self.peer.clone(), self.settings.silence_ms_max));
        Ok(connection)
    }
}

/// Closes a connection whose peer is asked and says nothing: it is paused, cut off or gone without a word.
async fn watch_silence(connection: Arc<Connection>, peer: NodeName, silence_ms_max: u64) {
    let limit = Duration::from_millis(silence_ms_max);
    let mut closed = connection.closed.subscribe();
    loop {
        tokio::select! {
            _ = closed.wait_for(|c| *c) => return,
            _ = tokio::time::sleep(limit / 3) => {}
        }
        let waiting = !connection.pending.lock().calls.is_empty();
        let silent = connection.heard.lock().elapsed();
        if waiting && silent > limit / 3 {
            // A call may rightly take long (a watch does): its peer still answers this.
            let ping = Message { id: 0, kind: Kind::Ping as u32, deadline_ms: 1_000, ..Message::default() };
            // A full queue is being sent, which is heard too.
            let _ = connection.queue.try_send(ping);
        }
        if waiting && silent > limit {
            tracing::info!(%peer, silent_ms = silent.as_millis() as u64, "peer is silent, connection given up");
            connection.close();
            return;
        }
    }
}

/// Takes a call out of the pending ones when its caller stops waiting.
struct Forget<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.connection.pending.lock().calls.remove(&self.id);
    }
}
