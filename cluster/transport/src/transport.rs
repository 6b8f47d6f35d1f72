//! A process's calls to all its peers, and theirs to it.

use crate::link::Link;
use crate::server::{Handler, Inbound, UploadHandler, route, service};
use crate::{CallError, Kind, Refusal};
use arc_swap::ArcSwap;
use breakwater_identity::{Credentials, PeerIdentity};
use breakwater_net::Listener;
use breakwater_proto::transport::{Chunk, Message, peer_client::PeerClient};
use breakwater_types::{NodeKind, NodeName};
use bytes::Bytes;
use futures::Stream;
use futures::StreamExt;
use futures::future::BoxFuture;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub connect_ms_max: u64,
    /// Wait between attempts to reach a peer that is down.
    pub reconnect_ms: u64,
    /// A peer that is asked and says nothing for so long is given up.
    pub silence_ms_max: u64,
    /// Calls that wait to be sent to one peer.
    pub queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { connect_ms_max: 500, reconnect_ms: 100, silence_ms_max: 700, queue_max: 8_192 }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(crate) handlers: HashMap<Kind, (Vec<NodeKind>, Arc<dyn Handler>)>,
    pub(crate) uploads: HashMap<Kind, (Vec<NodeKind>, Arc<dyn UploadHandler>)>,
}

pub struct Transport {
    me: PeerIdentity,
    credentials: Arc<Credentials>,
    settings: Settings,
    links: Mutex<HashMap<NodeName, Arc<Link>>>,
    registry: ArcSwap<Registry>,
    order: Mutex<()>,
}

struct Pong;

impl Handler for Pong {
    fn handle(self: Arc<Self>, _call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
}

impl Transport {
    pub fn new(credentials: Arc<Credentials>, settings: Settings) -> Arc<Self> {
        let transport = Arc::new(Transport {
            me: credentials.identity(),
            credentials,
            settings,
            links: Mutex::default(),
            registry: ArcSwap::default(),
            order: Mutex::new(()),
        });
        transport.register(Kind::Ping, &NodeKind::ALL, Arc::new(Pong));
        transport
    }

    pub fn name(&self) -> &NodeName {
        &self.me.name
    }

    pub fn identity(&self) -> &PeerIdentity {
        &self.me
    }

    /// From now on calls of this kind from these kinds of node go to the handler.
    pub fn register(&self, kind: Kind, allowed: &[NodeKind], handler: Arc<dyn Handler>) {
        let _order = self.order.lock();
        let mut registry = Registry::clone(&self.registry.load());
        registry.handlers.insert(kind, (allowed.to_vec(), handler));
        self.registry.store(Arc::new(registry));
    }

    pub fn register_upload(&self, kind: Kind, allowed: &[NodeKind], handler: Arc<dyn UploadHandler>) {
        let _order = self.order.lock();
        let mut registry = Registry::clone(&self.registry.load());
        registry.uploads.insert(kind, (allowed.to_vec(), handler));
        self.registry.store(Arc::new(registry));
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    fn link(&self, peer: &NodeName) -> Arc<Link> {
        let mut links = self.links.lock();
        match links.get(peer) {
            Some(link) => link.clone(),
            None => {
                let link = Link::new(peer.clone(), self.credentials.clone(), self.settings);
                links.insert(peer.clone(), link.clone());
                link
            }
        }
    }

    /// Where a peer is reached. A peer that has moved is connected to anew.
    pub fn set_address(&self, peer: &NodeName, address: SocketAddr) {
        self.link(peer).set_address(address);
    }

    /// When the peer was last heard.
    pub fn heard(&self, peer: &NodeName) -> watch::Receiver<Option<Instant>> {
        self.link(peer).heard()
    }

    /// Asks a peer, or this process itself.
    pub async fn call(
        &self,
        to: &NodeName,
        kind: Kind,
        group: u64,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        if *to == self.me.name {
            let handler = route(&self.registry.load(), &self.me, kind as u32)
                .map_err(|(refusal, text)| CallError::Refused(refusal, text))?;
            let call = Inbound { from: self.me.clone(), group, payload, deadline };
            return match tokio::time::timeout_at(deadline, handler.handle(call)).await {
                Ok(answer) => answer.map_err(|(refusal, text)| CallError::Refused(refusal, text)),
                Err(_) => Err(CallError::Unknown("no answer in time".to_owned())),
            };
        }
        self.link(to).call(kind, group, payload, current_traceparent(), deadline).await
    }

    /// Sends what is too large for a call: a header and chunks of at most a few MiB. An error among them ends the upload
    /// as one that broke off.
    pub async fn upload(
        &self,
        to: &NodeName,
        kind: Kind,
        group: u64,
        header: Bytes,
        data: impl Stream<Item = Result<Bytes, ()>> + Send + 'static,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let connection = self.link(to).connection(deadline).await?;
        let mut client = PeerClient::new(connection.channel.clone());
        let first = futures::stream::iter([Chunk {
            kind: kind as u32,
            group,
            header,
            crc32: crc32fast::hash(b""),
            ..Chunk::default()
        }]);
        // The end mark goes out only after the last of whole data: an error ends the stream without it, and the
        // receiver throws all away.
        let last = futures::stream::iter([Ok(None)]);
        let rest = data.map(|data| data.map(Some)).chain(last).take_while(|data| std::future::ready(data.is_ok()));
        let rest = rest.filter_map(|data| async move {
            Some(match data.ok()? {
                Some(data) => Chunk { crc32: crc32fast::hash(&data), data, ..Chunk::default() },
                None => Chunk { crc32: crc32fast::hash(b""), last: true, ..Chunk::default() },
            })
        });
        match tokio::time::timeout_at(deadline, client.upload(first.chain(rest))).await {
            Ok(Ok(reply)) => Ok(reply.into_inner().payload),
            Ok(Err(status)) => match status.code() {
                tonic::Code::Aborted | tonic::Code::PermissionDenied | tonic::Code::Unimplemented => {
                    Err(CallError::Refused(Refusal::Failed, status.message().to_owned()))
                }
                _ => Err(CallError::Unknown(status.to_string())),
            },
            Err(_) => Err(CallError::Unknown(format!("{to} did not take the upload in time"))),
        }
    }

    /// Serves peers until `shutdown` ends.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), tonic::transport::Error> {
        let incoming = breakwater_identity::incoming(listener, self.credentials.clone());
        tonic::transport::Server::builder()
            .initial_stream_window_size(4 << 20)
            .initial_connection_window_size(16 << 20)
            .add_service(service(self.clone()))
            .serve_with_incoming_shutdown(incoming, shutdown)
            .await
    }
}

/// The W3C trace context of the current span, empty where it isn't traced.
pub fn current_traceparent() -> String {
    let span = Span::current();
    if span.is_none() {
        return String::new();
    }
    let context = span.context();
    let span = context.span();
    let traced = span.span_context();
    if !traced.is_valid() || !traced.is_sampled() {
        return String::new();
    }
    format!("00-{}-{}-01", traced.trace_id(), traced.span_id())
}

/// A span for the call that continues the caller's trace, or none where nobody traces.
pub(crate) fn span_of(message: &Message) -> Span {
    let Some(parent) = parse_traceparent(&message.traceparent) else { return Span::none() };
    let span = tracing::info_span!("peer_call", kind = message.kind, group = message.group);
    // Fails only where no OpenTelemetry layer is installed: then there is nothing to continue.
    let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    span
}

fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version != "00" || parts.next().is_some() {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// Marks in a trace, which may have begun on another node, that something was done here.
pub fn event_in(traceparent: &str, name: &'static str, group: u64) {
    if let Some(parent) = parse_traceparent(traceparent) {
        let span = tracing::info_span!("event", otel.name = name, group);
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
    }
}
