//! What a well-formed request gets.

mod door;

use breakwater_aws::Limits;
use door::{open, signed, until};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test]
async fn a_signed_request_is_done_and_answered_like_dynamodb() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    // Twice on one connection: keep-alive.
    for _ in 0..2 {
        let reply = client.call("Echo", r#"{"Text":"hello"}"#).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"Text":"hello"}"#));
        assert_eq!(reply.header("content-type"), Some("application/x-amz-json-1.0"));
        assert_eq!(reply.header("x-amz-crc32").unwrap(), crc32fast::hash(reply.body.as_bytes()).to_string());
        assert_eq!(reply.header("server"), Some("Server"));
        assert!(reply.header("date").is_some());
        let id = reply.header("x-amzn-requestid").unwrap();
        assert!(id.len() == 52 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "{id}");
    }
    let reply = client.call("Fail", r#"{"Text":"gone"}"#).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.body,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"gone"}"#
    );
    let metrics = door.metrics();
    for line in [
        r#"aws_requests_total{service="dynamodb",operation="Echo",code="OK"} 2"#,
        r#"aws_requests_total{service="dynamodb",operation="Fail",code="ResourceNotFoundException"} 1"#,
        r#"aws_request_duration_seconds_count{service="dynamodb",operation="Echo"} 2"#,
        "aws_requests_in_flight 0",
        "aws_connections 1",
    ] {
        assert!(metrics.contains(line), "{line} not in\n{metrics}");
    }
}

#[tokio::test]
async fn nothing_is_done_without_a_good_signature_and_a_yes() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    let body = r#"{"Text":"x"}"#;
    let good = signed(&door.clock, "AKIAADMIN", "Echo", body);
    for (request, code) in [
        (good.replace("Authorization: AWS4", "X-Other: AWS4"), "MissingAuthenticationTokenException"),
        (good.replace("Signature=", "Sig="), "IncompleteSignatureException"),
        (good.replace(r#""x""#, r#""y""#), "InvalidSignatureException"),
        (good.replace("AKIAADMIN", "AKIANOONE"), "UnrecognizedClientException"),
        (signed(&door.clock, "AKIAOTHER", "Echo", body), "AccessDeniedException"),
        (good.replace(".Echo", ".ExportTableToPointInTime"), "UnknownOperationException"),
        (good.replace("DynamoDB_20120810.", "Other_1."), "UnknownOperationException"),
        (signed(&door.clock, "AKIAADMIN", "Echo", "{"), "SerializationException"),
        (signed(&door.clock, "AKIAADMIN", "Echo", ""), "SerializationException"),
    ] {
        client.send(&request).await;
        let reply = client.reply().await;
        assert_eq!(reply.status, 400, "{code}: {reply:?}");
        assert!(reply.body.contains(&format!("#{code}\"")), "{code}: {reply:?}");
    }
    assert_eq!(door.context.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn other_methods_paths_and_types() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "healthy: dynamodb.us-east-1.amazonaws.com "));
    assert_eq!(reply.header("x-amz-crc32"), Some("3128867991"));
    for head in [
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0",
        "DELETE / HTTP/1.1\r\nHost: h",
        "OPTIONS / HTTP/1.1\r\nHost: h",
        "GET /other HTTP/1.1\r\nHost: h",
        "GET /_other HTTP/1.1\r\nHost: h",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let end = if head.contains("\r\n\r\n") { "" } else { "\r\n\r\n" };
        client.send(format!("{head}{end}")).await;
        let reply = client.reply().await;
        assert_eq!((reply.status, reply.body.as_str()), (404, "<UnknownOperationException/>\n"), "{head}");
        assert_eq!(reply.header("x-amz-crc32"), Some("3552371480"));
    }
    client
        .send("OPTIONS / HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\nAccess-Control-Request-Headers: a,b\r\n\r\n")
        .await;
    let reply = client.reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("a,b"));
}

#[tokio::test]
async fn a_panic_ends_in_an_internal_error_and_the_connection_goes_on() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    let reply = client.call("Panic", r#"{"Text":"x"}"#).await;
    assert_eq!(reply.status, 500);
    assert_eq!(
        reply.body,
        r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal server error"}"#
    );
    assert_eq!(client.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn past_the_bound_requests_are_throttled_before_anything_is_done() {
    let door = open(Limits { in_flight_max: 2, ..Limits::default() }).await;
    let mut waiting = Vec::new();
    for i in 1..=2 {
        let mut client = door.connect().await;
        client.send(signed(&door.clock, "AKIAADMIN", "Wait", r#"{"Text":"w"}"#)).await;
        until("the handler waits", || door.context.handled.load(Ordering::SeqCst) == i).await;
        waiting.push(client);
    }
    let mut client = door.connect().await;
    let reply = client.call("Echo", r#"{"Text":"x"}"#).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.body,
        r#"{"__type":"com.amazon.coral.availability#ThrottlingException","message":"Rate of requests exceeds the allowed throughput."}"#
    );
    assert_eq!(door.context.handled.load(Ordering::SeqCst), 2);
    door.context.gate.add_permits(2);
    for client in &mut waiting {
        assert_eq!(client.reply().await.status, 200);
    }
    assert_eq!(client.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_place() {
    let door = open(Limits { in_flight_max: 1, ..Limits::default() }).await;
    let mut gone = door.connect().await;
    gone.send(signed(&door.clock, "AKIAADMIN", "Wait", r#"{"Text":"w"}"#)).await;
    until("the handler waits", || door.context.handled.load(Ordering::SeqCst) == 1).await;
    drop(gone);
    until("its connection is gone", || door.server.connections() == 0).await;
    assert_eq!(door.connect().await.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn a_deadline_ends_in_an_internal_error() {
    let door = open(Limits { request_deadline: Duration::from_millis(50), ..Limits::default() }).await;
    let mut client = door.connect().await;
    let reply = client.call("Wait", r#"{"Text":"w"}"#).await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("#InternalServerError"));
    assert_eq!(client.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn the_health_page_follows_readiness() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    let ask = "GET /_breakwater/health HTTP/1.1\r\nHost: h\r\n\r\n";
    client.send(ask).await;
    assert_eq!(client.reply().await.status, 200);
    door.ready.store(false, Ordering::SeqCst);
    client.send(ask).await;
    assert_eq!(client.reply().await.status, 503);
}

#[tokio::test]
async fn a_drain_lets_requests_end_and_closes_idle_connections() {
    let door = open(Limits::default()).await;
    let (mut busy, mut idle) = (door.connect().await, door.connect().await);
    assert_eq!(idle.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
    busy.send(signed(&door.clock, "AKIAADMIN", "Wait", r#"{"Text":"w"}"#)).await;
    until("the handler waits", || door.context.handled.load(Ordering::SeqCst) == 2).await;

    let (addr, context) = (door.addr, door.context.clone());
    let draining = tokio::spawn(door.server.drain(Duration::from_millis(100), Duration::from_secs(10)));
    assert_eq!(idle.closed().await, b"");
    assert!(breakwater_net::connect(addr).await.is_err());
    assert!(!draining.is_finished());
    context.gate.add_permits(1);
    let reply = busy.reply().await;
    assert_eq!(reply.status, 200);
    assert_eq!(draining.await.unwrap(), 0);
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let door = open(Limits::default()).await;
    let mut busy = door.connect().await;
    busy.send(signed(&door.clock, "AKIAADMIN", "Wait", r#"{"Text":"w"}"#)).await;
    until("the handler waits", || door.context.handled.load(Ordering::SeqCst) == 1).await;
    assert_eq!(door.server.drain(Duration::from_millis(10), Duration::from_millis(50)).await, 1);
    assert_eq!(busy.closed().await, b"");
}
