//! The answering side: reads frames, runs handlers, batches answers.

use crate::batch::{Batches, FRAME_BYTES_MAX};
use crate::transport::{Registry, Transport};
use crate::{Kind, Refusal};
use breakwater_identity::PeerIdentity;
use breakwater_proto::transport::peer_server::{Peer, PeerServer};
use breakwater_proto::transport::{Chunk, Frame, Message, UploadReply};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

/// A call as a handler gets it.
#[derive(Debug)]
pub struct Inbound {
    pub from: PeerIdentity,
    pub group: u64,
    pub payload: Bytes,
    pub deadline: Instant,
}

/// Answers the calls of one kind.
pub trait Handler: Send + Sync + 'static {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>>;
}

/// An upload as a handler gets it: checked chunks, an error where it broke off.
pub struct Upload {
    pub from: PeerIdentity,
    pub group: u64,
    pub header: Bytes,
    pub data: Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>,
}

pub trait UploadHandler: Send + Sync + 'static {
    fn upload(self: Arc<Self>, upload: Upload) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>>;
}

/// Calls of one peer that run at the same time; more are refused as overloaded.
const CONCURRENT_MAX: usize = 4_096;
/// Larger calls get a task of their own at once: reading them would keep those behind waiting.
const INLINE_BYTES_MAX: usize = 64 << 10;
const ANSWERS_QUEUED_MAX: usize = 8_192;

pub(crate) struct PeerService {
    transport: Arc<Transport>,
}

pub(crate) fn service(transport: Arc<Transport>) -> PeerServer<PeerService> {
    PeerServer::new(PeerService { transport })
        .max_decoding_message_size(2 * FRAME_BYTES_MAX)
        .max_encoding_message_size(2 * FRAME_BYTES_MAX)
}

fn refused(id: u64, refusal: Refusal, text: String) -> Message {
    Message { id, status: refusal as u32, payload: text.into(), ..Message::default() }
}

/// Finds the handler and checks who asks.
pub(crate) fn route(
    registry: &Registry,
    from: &PeerIdentity,
    kind: u32,
) -> Result<Arc<dyn Handler>, (Refusal, String)> {
    let kind = Kind::from_wire(kind).ok_or_else(|| (Refusal::Unhandled, format!("kind {kind} is not known")))?;
    let (allowed, handler) =
        registry.handlers.get(&kind).ok_or_else(|| (Refusal::Unhandled, format!("{kind:?} is not handled here")))?;
    if !allowed.contains(&from.kind) {
        return Err((Refusal::Forbidden, format!("{} may not call {kind:?}", from.kind)));
    }
    Ok(handler.clone())
}

#[tonic::async_trait]
impl Peer for PeerService {
    type ExchangeStream = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

    async fn exchange(&self, request: Request<Streaming<Frame>>) -> Result<Response<Self::ExchangeStream>, Status> {
        let from = breakwater_identity::peer(&request)?.clone();
        let transport = self.transport.clone();
        let (answers, outbound) = mpsc::channel::<Message>(ANSWERS_QUEUED_MAX);
        let mut inbound = request.into_inner();
        tokio::spawn(async move {
            let running = Arc::new(Semaphore::new(CONCURRENT_MAX));
            loop {
                let frame = tokio::select! {
                    frame = inbound.message() => frame,
                    _ = answers.closed() => return,
                };
                let frame = match frame {
                    Ok(Some(frame)) => frame,
                    Ok(None) => return,
                    Err(status) => {
                        tracing::debug!(peer = %from.name, %status, "stream ended");
                        return;
                    }
                };
                let registry = transport.registry();
                for message in frame.messages {
                    let id = message.id;
                    let handler = match route(&registry, &from, message.kind) {
                        Ok(handler) => handler,
                        Err((refusal, text)) => {
                            if answers.send(refused(id, refusal, text)).await.is_err() {
                                return;
                            }
                            continue;
                        }
                    };
                    let Ok(permit) = running.clone().try_acquire_owned() else {
                        let text = "too many calls at once".to_owned();
                        if answers.send(refused(id, Refusal::Overloaded, text)).await.is_err() {
                            return;
                        }
                        continue;
                    };
                    let deadline = Instant::now() + Duration::from_millis(u64::from(message.deadline_ms));
                    let span = crate::transport::span_of(&message);
                    let call = Inbound { from: from.clone(), group: message.group, payload: message.payload, deadline };
                    let small = call.payload.len() <= INLINE_BYTES_MAX;
                    let run = async move {
                        let handled = tokio::time::timeout_at(deadline, handler.handle(call));
                        // A handler that panics ends its call, not the stream.
                        let Ok(handled) = AssertUnwindSafe(handled).catch_unwind().await else {
                            return Some(refused(id, Refusal::Failed, "the handler panicked".to_owned()));
                        };
                        let answer = match handled {
                            Ok(Ok(payload)) if payload.len() > FRAME_BYTES_MAX => {
                                // Sent, it would end the stream and all else on it.
                                refused(id, Refusal::Failed, format!("an answer of {} bytes", payload.len()))
                            }
                            Ok(Ok(payload)) => Message { id, payload, ..Message::default() },
                            Ok(Err((refusal, text))) => refused(id, refusal, text),
                            // The caller doesn't wait any more.
                            Err(_) => return None,
                        };
                        drop(permit);
                        Some(answer)
                    };
                    let mut run = Box::pin(run.instrument(span));
                    // Many calls are answered from memory: those need no task of their own.
                    let answer = if small { futures::poll!(run.as_mut()) } else { Poll::Pending };
                    match answer {
                        Poll::Ready(Some(answer)) => {
                            if answers.send(answer).await.is_err() {
                                return;
                            }
                        }
                        Poll::Ready(None) => {}
                        Poll::Pending => {
                            let answers = answers.clone();
                            tokio::spawn(async move {
                                if let Some(answer) = run.await {
                                    // Nobody listens any more where the stream has ended.
                                    let _ = answers.send(answer).await;
                                }
                            });
                        }
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(Batches::new(outbound).map(Ok))))
    }

    async fn upload(&self, request: Request<Streaming<Chunk>>) -> Result<Response<UploadReply>, Status> {
        let from = breakwater_identity::peer(&request)?.clone();
        let mut inbound = request.into_inner();
        let first = inbound.message().await?.ok_or_else(|| Status::invalid_argument("an upload with no chunk"))?;
        let registry = self.transport.registry();
        let kind = Kind::from_wire(first.kind).ok_or_else(|| Status::unimplemented("unknown kind"))?;
        let (allowed, handler) =
            registry.uploads.get(&kind).ok_or_else(|| Status::unimplemented("not handled here"))?.clone();
        if !allowed.contains(&from.kind) {
            return Err(Status::permission_denied(format!("{} may not upload {kind:?}", from.kind)));
        }
        let (group, header) = (first.group, first.header.clone());
        let data = futures::stream::unfold((Some(first), inbound, false), |(first, mut inbound, ended)| async move {
            if ended {
                return None;
            }
            let chunk = match first {
                Some(chunk) => Ok(chunk),
                None => match inbound.message().await {
                    Ok(Some(chunk)) => Ok(chunk),
                    Ok(None) => Err("the upload broke off".to_owned()),
                    Err(status) => Err(status.to_string()),
                },
            };
            let checked = chunk.and_then(|c| {
                if crc32fast::hash(&c.data) == c.crc32 { Ok(c) } else { Err("a chunk's checksum is wrong".to_owned()) }
            });
            match checked {
                Ok(chunk) => Some((Ok(chunk.data), (None, inbound, chunk.last))),
                Err(why) => Some((Err(why), (None, inbound, true))),
            }
        });
        match handler.upload(Upload { from, group, header, data: Box::pin(data) }).await {
            Ok(payload) => Ok(Response::new(UploadReply { payload })),
            Err((refusal, text)) => Err(Status::aborted(format!("{refusal:?}: {text}"))),
        }
    }
}
