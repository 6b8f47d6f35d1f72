//! Front doors and whether they are alive: asked every 400 ms.

use breakwater_node::Named;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

const EVERY: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_millis(400);
/// A front door is dead after so many questions without an answer.
const MISSES: u32 = 2;
const QUESTION: &[u8] = b"GET /_breakwater/health HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";

pub struct Backend {
    pub name: String,
    pub address: SocketAddr,
    /// Whether it takes new connections.
    open_door: watch::Sender<bool>,
    /// When it dies, the connections that were forwarded to it are cut.
    alive: watch::Sender<bool>,
    pub open: AtomicUsize,
}

impl Backend {
    pub fn alive(&self) -> watch::Receiver<bool> {
        self.alive.subscribe()
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

async fn healthy(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = breakwater_net::connect(address).await?;
    stream.write_all(QUESTION).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    Ok(&answer[9..] == b"200")
}

async fn watch_one(backend: Arc<Backend>) {
    let mut missed = 0;
    // It said that it isn't ready: then it closes its door in order, and answers what it has.
    let mut stopping = false;
    loop {
        let answer = tokio::time::timeout(PATIENCE, healthy(backend.address)).await;
        match answer {
            Ok(Ok(ready)) => {
                missed = 0;
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
