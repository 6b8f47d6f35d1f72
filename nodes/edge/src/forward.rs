//! Connections in, connections on.

use crate::backend::{Backend, Backends};
use crate::connections::{Activity, Connections, Full, Place};
use breakwater_net::{Listener, Stream};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// A front door that doesn't take a connection in this time is passed over.
const CONNECT_MAX: Duration = Duration::from_millis(300);
/// How long a client waits while no front door takes its connection.
const SEARCH_MAX: Duration = Duration::from_secs(3);
/// A client that goes on after its front door has closed keeps its place for so long.
const LINGER: Duration = Duration::from_secs(1);
/// When the edge stops, an answer is whole when nothing more of it came for so long.
const QUIET: Duration = Duration::from_millis(50);
/// When all connections are busy, whether one has become silent is looked at so often.
const ROOM_EVERY: Duration = Duration::from_millis(50);
const BUFFER_BYTES: usize = 16 << 10;

#[derive(Clone, Default)]
pub struct Metrics {
    open: Gauge,
    forwarded: Counter,
    retried: Counter,
    failed: Counter,
    cut: Counter,
    silent: Counter,
    gave_way: Counter,
    refused: Counter,
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("edge_connections_open", "Connections forwarded now", self.open.clone());
        registry.register("edge_connections", "Connections forwarded", self.forwarded.clone());
        registry.register("edge_connect_retries", "Front doors that didn't take a connection", self.retried.clone());
        registry.register("edge_connect_failures", "Connections that no front door took", self.failed.clone());
        registry.register("edge_connections_cut", "Connections ended because their front door died", self.cut.clone());
        registry.register("edge_connections_silent", "Connections on which nothing was said", self.silent.clone());
        registry.register("edge_connections_gave_way", "Silent connections ended to make room", self.gave_way.clone());
        let help = "Connections of an address that had too many, all of them busy";
        registry.register("edge_connections_refused", help, self.refused.clone());
    }
}

pub struct Forwarder {
    pub backends: Arc<Backends>,
    pub metrics: Metrics,
    pub open_max: usize,
    /// In which a client says something.
    pub first_byte: Duration,
    /// Where clients find it.
    pub address: SocketAddr,
    /// Turns true once, when this node stops.
    pub stopping: watch::Receiver<bool>,
}

/// Counts a connection of a front door while it lives.
struct Open(Arc<Backend>, Gauge);

impl Open {
    fn new(backend: &Arc<Backend>, gauge: &Gauge) -> Self {
        backend.open.fetch_add(1, Ordering::Relaxed);
        gauge.inc();
        Open(backend.clone(), gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.1.dec();
    }
}

impl Forwarder {
    /// Takes connections until the edge stops; ends when those that it took have ended.
    pub async fn run(self: Arc<Self>, listener: Listener) {
        let connections = Connections::new(self.open_max);
        let mut stopping = self.stopping.clone();
        let mut open = JoinSet::new();
        let take = async {
            loop {
                match listener.accept().await {
                    Ok((client, source)) => {
                        while open.try_join_next().is_some() {}
                        // Meanwhile further clients wait in the kernel's queue.
                        let Some(place) = self.place(&connections, source).await else { continue };
                        let this = self.clone();
                        open.spawn(async move {
                            let activity = place.activity.clone();
                            tokio::select! {
                                () = this.forward(client, source, &activity) => {}
                                () = activity.gives_way() => {
                                    this.metrics.gave_way.inc();
                                }
                            }
                            drop(place);
                        });
                    }
                    Err(e) => {
                        tracing::warn!(error = %e, "can't accept connections");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        };
        tokio::select! {
            () = take => return,
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        drop(listener);
        while open.join_next().await.is_some() {}
    }

    /// None for a client whose address has too many connections.
    async fn place(&self, connections: &Arc<Connections>, source: SocketAddr) -> Option<Place> {
        loop {
            match connections.take(source.ip().to_canonical(), Instant::now()) {
                Ok((place, _)) => return Some(place),
                Err(Full::ForOne) => {
                    self.metrics.refused.inc();
                    return None;
                }
                // One becomes silent, or ends.
                Err(Full::ForAll) => drop(tokio::time::timeout(ROOM_EVERY, connections.freed()).await),
            }
        }
    }

    async fn connect(&self) -> Option<(Stream, Open)> {
        let deadline = tokio::time::Instant::now() + SEARCH_MAX;
        loop {
            for backend in self.backends.order() {
                // Counted from the moment of the choice, so that a burst is spread.
                let open = Open::new(&backend, &self.metrics.open);
                match tokio::time::timeout(CONNECT_MAX, breakwater_net::connect(backend.address)).await {
                    Ok(Ok(stream)) if backend.takes_connections() => return Some((stream, open)),
                    // It takes connections though it doesn't answer questions: starting, or paused.
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) | Err(_) => backend.suspect(),
                }
                self.metrics.retried.inc();
            }
            if tokio::time::Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn forward(&self, client: Stream, source: SocketAddr, activity: &Activity) {
        // Who says nothing has no front door's place either.
        let mut stopping = self.stopping.clone();
        let first = tokio::select! {
            first = tokio::time::timeout(self.first_byte, client.first_byte()) => first,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match first {
            Ok(Ok(Some(_))) => activity.client_spoke(Instant::now()),
            Ok(_) => return,
            Err(_) => {
                self.metrics.silent.inc();
                return;
            }
        }
        let Some((mut server, open)) = self.connect().await else {
            self.metrics.failed.inc();
            return;
        };
        if open.0.reads_proxy_header() {
            let header = breakwater_net::proxy::header(source, self.address);
            if let Err(e) = server.write_all(&header).await {
                tracing::debug!(error = %e, "a connection ended");
                self.metrics.failed.inc();
                return;
            }
        }
        self.metrics.forwarded.inc();
        let mut alive = open.0.alive();
        tokio::select! {
            () = relay(client, server, self.stopping.clone(), activity) => {}
            // The client's own retry finds another front door.
            _ = alive.wait_for(|alive| !*alive) => {
                self.metrics.cut.inc();
            }
        }
    }
}

/// What one direction of a connection tells the other.
#[derive(Default)]
struct Talk {
    /// The client spoke last: an answer is due.
    due: AtomicBool,
    answered: Notify,
    /// Something is on its way to the client, which may be slow.
    delivering: AtomicBool,
}

/// Copies until the end, and passes that on. Says when it begins and ends to pass something on.
async fn copy(mut from: ReadHalf<Stream>, mut to: WriteHalf<Stream>, mut passes: impl FnMut(bool)) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let ended = loop {
        match from.read(&mut buffer).await {
            Ok(0) => break Ok(()),
            Ok(n) => {
                passes(true);
                let written = to.write_all(&buffer[..n]).await;
                passes(false);
                if let Err(e) = written {
                    break Err(e);
                }
            }
            Err(e) => break Err(e),
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "a connection ended");
    }
    // It may be closed already.
    let _ = to.shutdown().await;
}

/// Carries bytes both ways until the front door has closed, or the edge stops: then nothing more is taken from a client
/// that has its answer, and the others get theirs first. What a client sends after that reached nobody, so that it may
/// safely repeat it.
async fn relay(client: Stream, server: Stream, mut stopping: watch::Receiver<bool>, activity: &Activity) {
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    let talk = Talk::default();
    let up = copy(from_client, to_server, |begins| {
        activity.client_spoke(Instant::now());
        if begins {
            talk.due.store(true, Ordering::Relaxed);
        }
    });
    let down = copy(from_server, to_client, |begins| {
        activity.server_spoke(Instant::now());
        talk.delivering.store(begins, Ordering::Relaxed);
        if begins {
            talk.due.store(false, Ordering::Relaxed);
        }
        talk.answered.notify_one();
    });
    let hushed = async {
        // The sender lives until this node ends.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        while talk.due.load(Ordering::Relaxed) {
            talk.answered.notified().await;
        }
    };
    tokio::pin!(up, down);
    tokio::select! {
        // Closed at once, what the client is still sending would make the kernel throw away the last answer.
        () = &mut down => drop(tokio::time::timeout(LINGER, up).await),
        () = &mut up => down.await,
        () = hushed => loop {
            // The rest of a long answer.
            tokio::select! {
                () = &mut down => break,
                more = tokio::time::timeout(QUIET, talk.answered.notified()) => {
                    if more.is_err() && !talk.delivering.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
        },
    }
}
