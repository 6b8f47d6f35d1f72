//! What a node shows over HTTP, and what may be done to it through its socket only.

use breakwater_node::Pages;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// `(status, body)`
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (u16, String) {
    // A server that answers early may have closed before all was written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    exchange(stream, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

struct Socket(PathBuf);

impl Socket {
    fn new(name: &str) -> Self {
        Socket(std::env::temp_dir().join(format!("breakwater-pages-{}-{name}", std::process::id())).join("node.sock"))
    }
    async fn post(&self, path: &str, body: &str) -> (u16, String) {
        exchange(tokio::net::UnixStream::connect(&self.0).await.unwrap(), &post(path, body)).await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = self.0.parent().map(std::fs::remove_dir_all);
    }
}

async fn served(pages: &Pages) -> SocketAddr {
    pages.serve("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn health_and_status_follow_readiness() {
    let pages = Pages::new(json!({"name": "n", "kind": "dynamo", "zone": "az-a"}));
    let address = served(&pages).await;
    assert_eq!(get(address, "/live").await.0, 200);
    assert_eq!(get(address, "/ready").await, (503, "starting\n".to_owned()));

    pages.set_status(|| json!({"groups": [{"group": 1}]}));
    pages.ready();
    assert_eq!(get(address, "/ready").await.0, 200);
    let status: Value = serde_json::from_str(&get(address, "/status").await.1).unwrap();
    assert_eq!(status["ready"], json!(true));
    assert_eq!(status["reason"], Value::Null);
    assert_eq!(status["name"], json!("n"));
    assert_eq!(status["pid"], json!(std::process::id()));
    assert_eq!(status["groups"][0]["group"], json!(1));

    pages.not_ready("waits for a quorum");
    assert_eq!(get(address, "/ready").await, (503, "waits for a quorum\n".to_owned()));
    let status: Value = serde_json::from_str(&get(address, "/status").await.1).unwrap();
    assert_eq!((&status["ready"], &status["reason"]), (&json!(false), &json!("waits for a quorum")));
    assert_eq!(get(address, "/nothing").await.0, 404);
}

#[tokio::test]
async fn metrics_hold_the_process_and_what_was_registered() {
    let pages = Pages::new(json!({}));
    let hits = prometheus_client::metrics::counter::Counter::<u64>::default();
    pages.register(|registry| registry.register("hits", "Hits", hits.clone()));
    hits.inc_by(7);
    let (status, text) = get(served(&pages).await, "/metrics").await;
    assert_eq!(status, 200);
    let value = |name: &str| -> f64 {
        let line =
            text.lines().find(|l| l.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name}: {text}"));
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(value("hits_total"), 7.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_open_fds") >= 3.0);
    assert!(value("process_threads") >= 1.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn actions_are_on_the_socket_only_and_bad_ones_are_refused() {
    let pages = Pages::new(json!({}));
    pages.action("/echo", |body| async move {
        serde_json::from_slice::<Value>(&body).map_err(|e| e.to_string()).map(|v| json!({"heard": v}))
    });
    let address = served(&pages).await;
    let socket = Socket::new("actions");
    pages.serve_admin(&socket.0).unwrap();
    assert_eq!(std::fs::metadata(&socket.0).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(socket.post("/echo", "[1]").await, (200, r#"{"heard":[1]}"#.to_owned()));
    assert_eq!(socket.post("/echo", "[").await.0, 400);
    assert_eq!(socket.post("/nothing", "").await.0, 404);
    assert_eq!(socket.post("/echo", &" ".repeat(100 << 10)).await.0, 400, "too long");
    for path in ["/echo", "/faults/cut", "/faults/heal", "/faults/arm"] {
        let over_tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        assert_eq!(exchange(over_tcp, &post(path, "{}")).await.0, 405, "{path}");
    }
    // A second start on the socket of a killed process.
    pages.serve_admin(&socket.0).unwrap();
    assert_eq!(socket.post("/echo", "1").await.0, 200);
}

// One test: cuts and fault plans are the process's.
#[tokio::test]
async fn faults_are_armed_and_healed_through_the_socket() {
    let pages = Pages::new(json!({}));
    let socket = Socket::new("faults");
    pages.serve_admin(&socket.0).unwrap();
    let listener = breakwater_net::Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();

    for bad in ["", "{}", "[]", r#"{"except":["x"]}"#, r#"{"except":[],"more":1}"#] {
        assert_eq!(socket.post("/faults/cut", bad).await.0, 400, "{bad}");
    }
    assert!(breakwater_net::connect(address).await.is_ok(), "a refused cut cuts nothing");
    assert_eq!(socket.post("/faults/cut", r#"{"except":["127.0.0.9"]}"#).await.0, 200);
    assert!(breakwater_net::connect(address).await.is_err());
    assert_eq!(socket.post("/faults/heal", "").await.0, 200);
    assert!(breakwater_net::connect(address).await.is_ok());

    assert_eq!(socket.post("/faults/arm", "here=boom@1").await.0, 400);
    assert_eq!(socket.post("/faults/arm", "seed=1;here=error@1").await.0, 200);
    assert!(breakwater_types::faults::point("here").is_err());
    assert_eq!(socket.post("/faults/arm", "").await.0, 200);
    assert!(breakwater_types::faults::point("here").is_ok());
}
