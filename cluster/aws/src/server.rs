//! HTTP/1.1 on a listener: connections within bounds, slow clients cut, a drain that ends.

use crate::audit::Tls;
use crate::body::BodyError;
use crate::connection::{Connection, Noting};
use crate::front::Front;
use breakwater_net::{Listener, Stream, proxy};
use http::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The health page says no, so that nobody new comes; who comes is served.
    Lame,
    /// No new connections, and those that are open end after the request that they are at.
    Closing,
}

struct Shared {
    front: Arc<Front>,
    proxies: Vec<IpAddr>,
    tls: Option<TlsAcceptor>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    stage: watch::Sender<Stage>,
}

/// A listening front door.
pub struct Server {
    local_addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    watching: JoinHandle<()>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

impl Server {
    /// Serves until drained. With `tls`, a client that begins with a TLS handshake gets HTTPS, any other HTTP, on the
    /// same port.
    pub fn start(listener: Listener, front: Arc<Front>, tls: Option<Arc<rustls::ServerConfig>>) -> io::Result<Server> {
        Self::start_behind(Vec::new(), listener, front, tls)
    }

    /// The same behind forwarders, which tell by the PROXY protocol whose a connection is. Who comes from another address
    /// is believed nothing.
    pub fn start_behind(
        proxies: Vec<IpAddr>,
        listener: Listener,
        front: Arc<Front>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<Server> {
        let local_addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            front,
            proxies,
            tls: tls.map(TlsAcceptor::from),
            connections: Mutex::new(HashMap::new()),
            stage: watch::Sender::new(Stage::Open),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        let watching = tokio::spawn(cut_the_slow(shared.clone()));
        Ok(Server { local_addr, shared, accepting, watching })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.lock().len()
    }

    /// Ends in an orderly way: for `lame` the health page says no, no connection is accepted, and each answer closes
    /// its connection; then idle connections end; at `bound` after that the rest is cut. Returns how many were cut.
    pub async fn drain(self, lame: Duration, bound: Duration) -> usize {
        self.shared.front.start_draining();
        self.shared.stage.send_replace(Stage::Lame);
        let _ = tokio::time::timeout(lame, self.empty()).await;
        self.shared.stage.send_replace(Stage::Closing);
        let in_time = tokio::time::timeout(bound, self.empty()).await.is_ok();
        let left: Vec<_> = self.shared.connections.lock().values().cloned().collect();
        for connection in &left {
            connection.cut();
        }
        self.watching.abort();
        self.accepting.abort();
        if in_time { 0 } else { left.len() }
    }

    async fn empty(&self) {
        while self.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let limits = shared.front.limits().clone();
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let mut stage = shared.stage.subscribe();
    let mut next_id = 0u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until(&mut stage, |s| s == Stage::Closing) => return,
        };
        let (stream, source) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                // Out of descriptors, mostly: connections must end before the next try is of use.
                tracing::warn!(error = %e, "accepting a connection failed");
                evict_longest_idle(&shared);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        if permits.available_permits() == 0 {
            evict_longest_idle(&shared);
        }
        let permit = tokio::select! {
            // The semaphore is never closed.
            permit = permits.clone().acquire_owned() => permit.ok(),
            () = until(&mut stage, |s| s == Stage::Closing) => return,
        };
        let Some(permit) = permit else { return };
        next_id += 1;
        spawn_connection(&shared, next_id, stream, source, permit);
    }
}

/// A sender that is gone counts as the stage reached.
async fn until(stage: &mut watch::Receiver<Stage>, reached: impl Fn(Stage) -> bool) {
    let _ = stage.wait_for(|s| reached(*s)).await;
}

fn evict_longest_idle(shared: &Shared) {
    let connections = shared.connections.lock();
    let longest = connections.values().filter_map(|c| Some((c.idle_for()?, c))).max_by_key(|(idle, _)| *idle);
    if let Some((_, connection)) = longest {
        shared.front.metrics().cut("evicted");
        connection.cut();
    }
}

/// Takes a connection off the books however its task ends.
struct Entry {
    shared: Arc<Shared>,
    id: u64,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.id);
        self.shared.front.metrics().connections.dec();
    }
}

fn spawn_connection(shared: &Arc<Shared>, id: u64, stream: Stream, source: SocketAddr, permit: OwnedSemaphorePermit) {
    let connection = Connection::new();
    shared.connections.lock().insert(id, connection.clone());
    shared.front.metrics().connections.inc();
    let entry = Entry { shared: shared.clone(), id, _permit: permit };
    let task = tokio::spawn({
        let connection = connection.clone();
        async move {
            let shared = &entry.shared;
            let mut stream = stream;
            let Some(origin) = origin(shared, &mut stream, source).await else { return };
            let source = origin.source;
            match &shared.tls {
                None => serve(shared, stream, origin, connection).await,
                Some(acceptor) => {
                    match first_byte(shared, &stream).await {
                        Some(HANDSHAKE_RECORD) => {}
                        Some(_) => return serve(shared, stream, origin, connection).await,
                        None => return,
                    }
                    let bound = shared.front.limits().tls_handshake_timeout;
                    match tokio::time::timeout(bound, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            // Fails only if it were set already.
                            let _ = connection.tls.set(tls_of(stream.get_ref().1));
                            serve(shared, stream, origin, connection).await;
                        }
                        Ok(Err(e)) => tracing::debug!(%source, error = %e, "TLS handshake failed"),
                        Err(_) => shared.front.metrics().cut("handshake"),
                    }
                }
            }
        }
    });
    // Fails only if it were set already.
    let _ = connection.abort.set(task.abort_handle());
}

/// In the words of audit events.
fn tls_of(session: &rustls::ServerConnection) -> Tls {
    let version = session.protocol_version().and_then(|v| v.as_str()).unwrap_or_default().replace('_', ".");
    let cipher = session.negotiated_cipher_suite().and_then(|s| s.suite().as_str()).unwrap_or_default();
    Tls { version, cipher: cipher.replacen("TLS13_", "TLS_", 1) }
}

/// For a forwarder's header, from its first byte.
const PROXY_HEADER: Duration = Duration::from_secs(2);

/// What a TLS record with a handshake begins with; no method of HTTP does.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Whose a connection is.
#[derive(Clone, Copy)]
struct Origin {
    source: SocketAddr,
    /// It is a forwarder's own, which learns from the answers that it may tell whose its others are.
    of_proxy: bool,
}

/// None where the forwarder's header can't be read, or doesn't come.
async fn origin(shared: &Shared, stream: &mut Stream, source: SocketAddr) -> Option<Origin> {
    if !shared.proxies.contains(&source.ip().to_canonical()) {
        return Some(Origin { source, of_proxy: false });
    }
    if first_byte(shared, stream).await? != proxy::FIRST_BYTE {
        return Some(Origin { source, of_proxy: true });
    }
    match tokio::time::timeout(PROXY_HEADER, proxy::read(stream)).await {
        Ok(Ok(told)) => Some(Origin { source: told.unwrap_or(source), of_proxy: told.is_none() }),
        Ok(Err(e)) => {
            tracing::warn!(%source, error = %e, "a forwarder's connection is cut");
            shared.front.metrics().cut("proxy");
            None
        }
        Err(_) => {
            shared.front.metrics().cut("proxy");
            None
        }
    }
}

/// Unread. None where no byte comes before the end. A connection that stays silent is cut as an idle one.
async fn first_byte(shared: &Shared, stream: &Stream) -> Option<u8> {
    let mut stage = shared.stage.subscribe();
    let first = tokio::select! {
        first = stream.first_byte() => first,
        () = until(&mut stage, |s| s == Stage::Closing) => return None,
    };
    first.ok()?
}

async fn serve<S>(shared: &Arc<Shared>, stream: S, origin: Origin, connection: Arc<Connection>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let front = &shared.front;
    let io = TokioIo::new(Noting::new(stream, connection.clone()));
    let Origin { source, of_proxy } = origin;
    let service = service_fn(async |request| {
        let mut response = front.serve(request, source, &connection).await?;
        if of_proxy {
            response.headers_mut().insert(proxy::ACCEPTED, HeaderValue::from_static("2"));
        }
        Ok::<_, BodyError>(response)
    });
    let mut http = http1::Builder::new();
    // Phases bound the time, so hyper needs no timer of its own.
    http.header_read_timeout(None).max_header_size(front.limits().head_bytes_max);
    let mut serving = std::pin::pin!(http.serve_connection(io, service));
    let mut stage = shared.stage.subscribe();
    let ended = tokio::select! {
        biased;
        ended = serving.as_mut() => ended,
        () = until(&mut stage, |s| s == Stage::Closing) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%source, error = %e, "connection ended");
    }
}

async fn cut_the_slow(shared: Arc<Shared>) {
    let limits = shared.front.limits().clone();
    let shortest = [limits.head_timeout, limits.body_timeout, limits.idle_timeout, limits.write_timeout]
        .into_iter()
        .min()
        .unwrap_or(limits.idle_timeout);
    let tick = (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        tokio::time::sleep(tick).await;
        let overdue: Vec<_> = {
            let connections = shared.connections.lock();
            connections.values().filter_map(|c| Some((c.overdue(&limits)?, c.clone()))).collect()
        };
        for (phase, connection) in overdue {
            shared.front.metrics().cut(phase);
            connection.cut();
        }
    }
}
