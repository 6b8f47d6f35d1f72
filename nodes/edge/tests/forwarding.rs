//! The real `edge-node` in front of front doors that the test holds in its hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

const WELL: u8 = 0;
const DRAINING: u8 = 1;
/// Takes connections and never answers, as a stopped process does.
const PAUSED: u8 = 2;

/// How long a thing may take that should happen soon.
const SOON: Duration = Duration::from_secs(5);

/// Answers health questions as it is told to; to anything else it says its name, and `slow` only once `go` is set.
struct Door {
    address: SocketAddr,
    state: Arc<AtomicU8>,
    go: Arc<AtomicU8>,
}

impl Door {
    fn open(name: &'static str) -> Door {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, go) = (Arc::new(AtomicU8::new(WELL)), Arc::new(AtomicU8::new(0)));
        let (its_state, its_go) = (state.clone(), go.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, go) = (its_state.clone(), its_go.clone());
                std::thread::spawn(move || serve(stream, name, &state, &go));
            }
        });
        Door { address, state, go }
    }

    fn be(&self, state: u8) {
        self.state.store(state, Ordering::SeqCst);
    }
}

fn serve(mut stream: TcpStream, name: &str, state: &AtomicU8, go: &AtomicU8) {
    loop {
        let mut question = Vec::new();
        while !question.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return;
            }
            question.push(byte[0]);
        }
        let question = String::from_utf8_lossy(&question).into_owned();
        while state.load(Ordering::SeqCst) == PAUSED {
            std::thread::sleep(Duration::from_millis(5));
        }
        let status = if question.contains("/_breakwater/health") && state.load(Ordering::SeqCst) == DRAINING {
            "503 Service Unavailable"
        } else {
            "200 OK"
        };
        while question.starts_with("GET /slow") && go.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{name}", name.len());
        if stream.write_all(answer.as_bytes()).is_err() || question.starts_with("GET /last") {
            return;
        }
    }
}

struct Edge {
    child: Child,
    front: SocketAddr,
    metrics: SocketAddr,
    dir: PathBuf,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Edge {
    fn start(test: &str, fronts: &[(&str, SocketAddr)]) -> Edge {
        Edge::start_with(test, fronts, "")
    }

    fn start_with(test: &str, fronts: &[(&str, SocketAddr)], more: &str) -> Edge {
        let dir = std::env::temp_dir().join(format!("breakwater-edge-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (front, dynamodb, metrics) = (free_port(), free_port(), free_port());
        let list: Vec<String> = fronts.iter().map(|(name, address)| format!("\"{name}={address}\"")).collect();
        let list = list.join(", ");
        let at = dir.display();
        let settings = format!(
            "name = \"edge\"\nregion = \"us-east-1\"\naccount = \"111122223333\"\naddress = \"127.0.0.1\"\n\
             metrics_port = {metrics}\ndata_dir = \"{at}\"\nidentity_dir = \"{at}\"\nrun_dir = \"{at}/run\"\n\
             front = \"127.0.0.1:{front}\"\ndynamodb = \"127.0.0.1:{dynamodb}\"\nfronts = [{list}]\n\
             dynamos = [{list}]\n{more}"
        );
        std::fs::write(dir.join("node.toml"), settings).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_edge-node"))
            .arg("--config")
            .arg(dir.join("node.toml"))
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let edge = Edge { child, front: at(front), metrics: at(metrics), dir };
        until("the edge is ready", || edge.page("/ready").starts_with("HTTP/1.1 200"));
        edge
    }

    fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.front).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    fn page(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.metrics) else { return String::new() };
        let mut text = String::new();
        let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n");
        let _ = stream.read_to_string(&mut text);
        text
    }

    fn open(&self) -> u64 {
        self.metric("edge_connections_open")
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.page("/metrics");
        let line = text.lines().find(|l| l.starts_with(&format!("{name} "))).unwrap_or(" 999");
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ask(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
}

/// The answer's body, or nothing where the connection ended before it.
fn answer(stream: &mut TcpStream) -> Option<String> {
    let mut got = Vec::new();
    let mut byte = [0];
    loop {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        got.push(byte[0]);
        let text = String::from_utf8_lossy(&got);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head.rsplit("Content-Length: ").next()?.trim().parse().ok()?;
            if body.len() == length {
                return Some(body.to_owned());
            }
        }
    }
}

#[test]
fn a_front_door_that_refuses_is_passed_over_and_the_living_share_the_load() {
    let (a, b) = (Door::open("a"), Door::open("b"));
    let gone = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let edge = Edge::start("refused", &[("gone", gone), ("a", a.address), ("b", b.address)]);
    until("both are alive", || edge.page("/status").matches("\"takes_connections\":true").count() >= 4);
    let mut clients = Vec::new();
    let mut from_a = 0;
    for _ in 0..10 {
        let mut client = edge.client();
        ask(&mut client, "/");
        from_a += usize::from(answer(&mut client).expect("no client may see that one door is gone") == "a");
        clients.push(client);
    }
    assert!((4..=6).contains(&from_a), "{from_a} of 10 went to a");
}

#[test]
fn a_burst_of_clients_is_spread_too() {
    let (a, b) = (Door::open("a"), Door::open("b"));
    let edge = Edge::start("burst", &[("a", a.address), ("b", b.address)]);
    until("both are alive", || edge.page("/status").matches("\"takes_connections\":true").count() >= 4);
    for round in 0..10 {
        let mut clients: Vec<TcpStream> = (0..12).map(|_| edge.client()).collect();
        let mut from_a = 0;
        for client in &mut clients {
            ask(client, "/");
            from_a += usize::from(answer(client).unwrap() == "a");
        }
        assert!((4..=8).contains(&from_a), "round {round}: {from_a} of 12 went to a");
        drop(clients);
        until("all are closed", || edge.open() == 0);
    }
}

#[test]
fn connections_to_a_paused_front_door_are_cut_and_new_ones_go_elsewhere() {
    let (a, b) = (Door::open("a"), Door::open("b"));
    let edge = Edge::start("paused", &[("a", a.address), ("b", b.address)]);
    until("both are alive", || edge.page("/status").matches("\"takes_connections\":true").count() >= 4);
    let mut clients = [edge.client(), edge.client()];
    for client in &mut clients {
        ask(client, "/");
        answer(client).unwrap();
    }
    a.be(PAUSED);
    let paused = Instant::now();
    let cut = clients.iter_mut().filter_map(|client| {
        ask(client, "/");
        answer(client).is_none().then_some(())
    });
    assert_eq!(cut.count(), 1, "the connection to the paused door ends, the other one doesn't");
    assert!(paused.elapsed() < Duration::from_secs(2), "noticed after {:?}", paused.elapsed());
    for _ in 0..4 {
        let mut client = edge.client();
        ask(&mut client, "/");
        assert_eq!(answer(&mut client).as_deref(), Some("b"));
    }
}

#[test]
fn a_front_door_that_drains_finishes_what_it_has_begun() {
    let (a, b) = (Door::open("a"), Door::open("b"));
    let edge = Edge::start("drains", &[("a", a.address), ("b", b.address)]);
    until("both are alive", || edge.page("/status").matches("\"takes_connections\":true").count() >= 4);
    let mut clients = [edge.client(), edge.client()];
    for client in &mut clients {
        ask(client, "/slow");
    }
    a.be(DRAINING);
    until("the edge has noticed", || edge.page("/status").contains("\"takes_connections\":false"));
    a.go.store(1, Ordering::SeqCst);
    b.go.store(1, Ordering::SeqCst);
    for client in &mut clients {
        assert!(answer(client).is_some(), "a request in flight was cut");
    }
}

#[test]
fn a_silent_client_keeps_no_place_after_its_server_has_closed() {
    let a = Door::open("a");
    let edge = Edge::start("silent", &[("a", a.address)]);
    let mut client = edge.client();
    ask(&mut client, "/last");
    answer(&mut client).unwrap();
    until("the edge has let go of the connection", || edge.open() == 0);
    drop(client);
}

#[test]
fn a_graceful_stop_of_the_edge_lets_requests_in_flight_finish() {
    let a = Door::open("a");
    let edge = Edge::start("stops", &[("a", a.address)]);
    let mut client = edge.client();
    ask(&mut client, "/slow");
    until("it is forwarded", || edge.open() == 1);
    let done = Command::new("kill").arg(edge.child.id().to_string()).status().unwrap();
    assert!(done.success());
    until("the edge takes nobody any more", || TcpStream::connect(edge.front).is_err());
    a.go.store(1, Ordering::SeqCst);
    assert_eq!(answer(&mut client).as_deref(), Some("a"));
}

#[test]
fn silent_clients_keep_nobody_out() {
    let a = Door::open("a");
    let edge = Edge::start_with("room", &[("a", a.address)], "connections_max = 8\n");
    let mut busy = edge.client();
    ask(&mut busy, "/slow");
    until("it is forwarded", || edge.open() == 1);
    // With the busy one as many as one address may have.
    let mut silent: Vec<TcpStream> = (0..5).map(|_| edge.client()).collect();
    until("the first of the silent ones gives way", || {
        let mut more = edge.client();
        // It may be closed already.
        let _ = write!(more, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        answer(&mut more).is_some()
    });
    assert!(edge.metric("edge_connections_gave_way_total") >= 1);
    silent[0].set_read_timeout(Some(SOON)).unwrap();
    assert!(matches!(silent[0].read(&mut [0]), Ok(0) | Err(_)), "it is closed");
    a.go.store(1, Ordering::SeqCst);
    assert_eq!(answer(&mut busy).as_deref(), Some("a"), "one that waits for its answer stays");
}

#[test]
fn who_says_nothing_at_all_is_not_waited_for() {
    let a = Door::open("a");
    let edge = Edge::start_with("first-byte", &[("a", a.address)], "first_byte_ms = 200\n");
    let mut spoken = edge.client();
    ask(&mut spoken, "/");
    assert_eq!(answer(&mut spoken).as_deref(), Some("a"));
    let mut silent = edge.client();
    assert!(matches!(silent.read(&mut [0]), Ok(0)), "it is closed");
    assert_eq!(edge.metric("edge_connections_silent_total"), 1);
    // Who has spoken may be silent for longer.
    ask(&mut spoken, "/");
    assert_eq!(answer(&mut spoken).as_deref(), Some("a"));
}
