//! Front doors and whether they are alive: asked every 400 ms.

use breakwater_node::Named;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

const EVERY: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_millis(400);
/// A front door is dead after so many questions without an answer.
const MISSES: u32 = 2;
const HEAD_BYTES_MAX: usize = 2_048;
const QUESTION: &[u8] = b"GET /_breakwater/health HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";

pub struct Backend {
    pub name: String,
    pub address: SocketAddr,
    /// Whether it takes new connections.
    open_door: watch::Sender<bool>,
    /// When it dies, the connections that were forwarded to it are cut.
    alive: watch::Sender<bool>,
    pub open: AtomicUsize,
    /// It takes from this edge whose connections are; a build of before doesn't, and would read HTTP in it.
    reads_proxy_header: AtomicBool,
}

impl Backend {
    pub fn alive(&self) -> watch::Receiver<bool> {
        self.alive.subscribe()
    }
    pub fn reads_proxy_header(&self) -> bool {
        self.reads_proxy_header.load(Ordering::Relaxed)
    }
    pub fn takes_connections(&self) -> bool {
        *self.open_door.borrow()
    }
    /// It refused a connection, or didn't take it in time: no new ones until it answers a question again. Whether it
    /// is dead, for those that are open, the questions decide.
    pub fn suspect(&self) {
        self.open_door.send_replace(false);
    }
}

pub struct Backends {
    all: Vec<Arc<Backend>>,
    turn: Mutex<usize>,
}

/// What a front door says of itself.
struct Health {
    ready: bool,
    reads_proxy_header: bool,
}

async fn ask(address: SocketAddr) -> std::io::Result<Health> {
    let mut stream = breakwater_net::connect(address).await?;
    stream.write_all(QUESTION).await?;
    let mut answer = Vec::with_capacity(HEAD_BYTES_MAX);
    let mut rest = stream.take(HEAD_BYTES_MAX as u64);
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") && rest.read_buf(&mut answer).await? > 0 {}
    Health::read(&answer).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

impl Health {
    /// From an answer's head.
    fn read(answer: &[u8]) -> Option<Health> {
        let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
        let mut lines = text.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?;
        let accepted = format!("{}: 2", breakwater_net::proxy::ACCEPTED);
        Some(Health { ready: status == "200", reads_proxy_header: lines.any(|line| line == accepted) })
    }
}

async fn watch_one(backend: Arc<Backend>) {
    let mut missed = 0;
    // It said that it isn't ready: then it closes its door in order, and answers what it has.
    let mut stopping = false;
    loop {
        let answer = tokio::time::timeout(PATIENCE, ask(backend.address)).await;
        match answer {
            Ok(Ok(Health { ready, reads_proxy_header })) => {
                missed = 0;
                // Before its door is opened.
                backend.reads_proxy_header.store(reads_proxy_header, Ordering::Relaxed);
                stopping = !ready;
                // One that says that it isn't ready may be stopping in order: it finishes what it has.
                backend.open_door.send_replace(ready);
                if ready {
                    backend.alive.send_if_modified(|alive| !std::mem::replace(alive, true));
                }
            }
            Ok(Err(_)) | Err(_) => {
                missed += 1;
                backend.open_door.send_replace(false);
                // A refusal is certain, silence only the second time.
                let refused = answer.is_ok() && !stopping;
                let gone = (refused || (answer.is_err() && missed >= MISSES))
                    && backend.alive.send_if_modified(|alive| std::mem::replace(alive, false));
                if gone {
                    tracing::warn!(backend = backend.name, "front door is gone");
                }
            }
        }
        let pause = if missed > 0 { EVERY / 8 } else { EVERY };
        tokio::time::sleep(pause).await;
    }
}

impl Backends {
    pub fn watch(named: Vec<Named>) -> Arc<Self> {
        let all: Vec<_> = named
            .into_iter()
            .map(|n| {
                Arc::new(Backend {
                    name: n.name.to_string(),
                    address: n.address,
                    open_door: watch::Sender::new(false),
                    alive: watch::Sender::new(false),
                    open: AtomicUsize::new(0),
                    reads_proxy_header: AtomicBool::new(false),
                })
            })
            .collect();
        for backend in &all {
            tokio::spawn(watch_one(backend.clone()));
        }
        Arc::new(Backends { all, turn: Mutex::new(0) })
    }

    pub fn any_alive(&self) -> bool {
        self.all.iter().any(|b| b.takes_connections())
    }

    /// Those that are alive, the one with the fewest connections first, in turn where several have as few; then,
    /// because a question may just have been lost, the others.
    pub fn order(&self) -> Vec<Arc<Backend>> {
        let turn = {
            let mut turn = self.turn.lock();
            *turn = turn.wrapping_add(1);
            *turn
        };
        let n = self.all.len().max(1);
        let mut order: Vec<(usize, &Arc<Backend>)> =
            self.all.iter().enumerate().map(|(i, b)| ((i + turn) % n, b)).collect();
        order.sort_by_key(|(place, b)| (!b.takes_connections(), b.open.load(Ordering::Relaxed), *place));
        order.into_iter().map(|(_, b)| b.clone()).collect()
    }

    pub fn status(&self) -> Vec<Value> {
        self.all
            .iter()
            .map(|b| {
                json!({"name": b.name, "alive": *b.alive.borrow(), "takes_connections": b.takes_connections(),
                       "open": b.open.load(Ordering::Relaxed)})
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_door_says_whether_it_is_ready_and_reads_headers() {
        let read = |text: &str| Health::read(text.as_bytes()).map(|h| (h.ready, h.reads_proxy_header));
        let head = format!("HTTP/1.1 200 OK\r\n{}: 2\r\n\r\n", breakwater_net::proxy::ACCEPTED);
        assert_eq!(read(&head), Some((true, true)));
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), Some((true, false)));
        assert_eq!(read("HTTP/1.1 503 Service Unavailable\r\n\r\n"), Some((false, false)));
        assert_eq!(read(""), None);
    }
}
