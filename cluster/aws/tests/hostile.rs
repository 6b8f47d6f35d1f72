//! What clients that break the rules get, and that the door stays open for the others.

mod door;

use breakwater_aws::Limits;
use door::{Client, Door, open, open_heard, open_with, read_reply, signed, until};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn short() -> Limits {
    Limits {
        head_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(400),
        write_timeout: Duration::from_millis(200),
        tls_handshake_timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

async fn still_works(door: &Door) {
    assert_eq!(door.connect().await.call("Echo", r#"{"Text":"x"}"#).await.status, 200);
}

#[tokio::test]
async fn malformed_requests() {
    let door = open(Limits::default()).await;
    for (bytes, status) in [
        (&b"\x00\x01\x02\x03\r\n\r\n"[..], 400),
        (b"GET\r\n\r\n", 400),
        (b"POST / HTTP/9.9\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ] {
        let mut client = door.connect().await;
        client.send(bytes).await;
        let reply = client.reply().await;
        assert_eq!(reply.status, status, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(client.closed().await, b"");
    }
    still_works(&door).await;
}

#[tokio::test]
async fn two_lengths_at_once_are_one_request_at_most() {
    // Request smuggling: with both framings, what follows must not be read as a request of its own.
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        )
        .await;
    let said = String::from_utf8_lossy(&client.closed().await).into_owned();
    assert!(!said.contains("healthy"), "{said}");
    still_works(&door).await;
}

#[tokio::test]
async fn giant_heads_are_refused() {
    let door = open(Limits::default()).await;
    for head in [
        format!("GET / HTTP/1.1\r\nX-Big: {}\r\n\r\n", "a".repeat(100_000)),
        format!("GET /?{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1_000)),
    ] {
        let mut client = door.connect().await;
        // The answer may come, and the connection end, while this is still being written.
        let _ = client.stream.write_all(head.as_bytes()).await;
        if let Some(reply) = client.try_reply().await {
            assert!(matches!(reply.status, 414 | 431), "{reply:?}");
        }
    }
    still_works(&door).await;
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_whether_declared_or_not() {
    let door = open(Limits { body_bytes_max: 10_000, ..Limits::default() }).await;
    let mut client = door.connect().await;
    client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n{}", "a".repeat(50_000))).await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (413, "HTTP content length exceeded 10000 bytes."));

    let mut client = door.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..20 {
        client.send(format!("400\r\n{}\r\n", "a".repeat(1_024))).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 413);
    assert_eq!(door.context.handled.load(Ordering::SeqCst), 0);
    still_works(&door).await;
}

/// Somebody whose call with a big body waits; and the body.
async fn waiting(door: &Door) -> (Client, String) {
    let big = format!(r#"{{"Text":"{}"}}"#, "a".repeat(6_000));
    let mut client = door.connect().await;
    client.send(signed(&door.clock, "AKIAADMIN", "Wait", &big)).await;
    until("the handler waits", || door.context.handled.load(Ordering::SeqCst) == 1).await;
    (client, big)
}

#[tokio::test]
async fn all_bodies_together_have_a_bound() {
    let door = open(Limits { bodies_bytes_max: 10_000, ..Limits::default() }).await;
    let (mut first, big) = waiting(&door).await;
    let mut second = door.connect().await;
    let reply = second.call("Echo", &big).await;
    assert!(reply.status == 400 && reply.body.contains("ThrottlingException"), "{reply:?}");
    door.context.gate.add_permits(1);
    assert_eq!(first.reply().await.status, 200);
    assert_eq!(second.call("Echo", &big).await.status, 200);
}

/// Where a trail wants their events, calls go on without their callers, and gave the places of their bodies back.
#[tokio::test]
async fn a_body_keeps_its_place_when_its_caller_hangs_up() {
    let door = open_heard(Limits { bodies_bytes_max: 10_000, ..Limits::default() }).await;
    let (first, big) = waiting(&door).await;
    drop(first);
    until("the connection is gone", || door.metrics().contains("aws_connections 0")).await;
    let mut second = door.connect().await;
    let reply = second.call("Echo", &big).await;
    assert!(reply.status == 400 && reply.body.contains("ThrottlingException"), "{reply:?}");
    door.context.gate.add_permits(1);
    until("the call has ended", || door.metrics().contains("aws_requests_in_flight 0")).await;
    assert_eq!(second.call("Echo", &big).await.status, 200);
}

#[tokio::test]
async fn a_service_that_isnt_here_says_so() {
    let door = open(Limits::default()).await;
    let scope = "AWS4-HMAC-SHA256 Credential=AKIAADMIN/20261125/us-east-1";
    for (method, path, service, status) in [
        ("GET", "/", "s3", 501),
        ("PUT", "/bucket", "s3", 501),
        ("GET", "/", "dynamodb", 200),
        ("PUT", "/b", "dynamodb", 404),
    ] {
        let mut client = door.connect().await;
        let authorization = format!("{scope}/{service}/aws4_request, SignedHeaders=host, Signature=0");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nx-amz-date: 20261125T000000Z\r\nauthorization: {authorization}"
        );
        client.send(format!("{head}\r\ncontent-length: 0\r\n\r\n")).await;
        let reply = client.reply().await;
        assert_eq!(reply.status, status, "{method} {path} {service}");
        assert_eq!(reply.body.contains("<Code>NotImplemented</Code>"), status == 501);
    }
}

#[tokio::test]
async fn large_and_chunked_bodies_arrive_whole() {
    let door = open(Limits::default()).await;
    let body = format!(r#"{{"Text":"{}"}}"#, "é".repeat(3_000_000));
    let mut client = door.connect().await;
    assert_eq!(client.call("Echo", &body).await.body, body);

    let request = signed(&door.clock, "AKIAADMIN", "Echo", r#"{"Text":"chunks"}"#);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.replace("Content-Length: 17", "Transfer-Encoding: chunked");
    client.send(format!("{head}\r\n\r\n")).await;
    for part in body.as_bytes().chunks(3) {
        client.send(format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part))).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.reply().await.body, body);
}

#[tokio::test]
async fn a_body_that_ends_early_does_nothing() {
    let door = open(Limits::default()).await;
    let request = signed(&door.clock, "AKIAADMIN", "Echo", r#"{"Text":"x"}"#);
    let mut client = door.connect().await;
    client.send(&request[..request.len() - 3]).await;
    client.stream.shutdown().await.unwrap();
    client.closed().await;
    assert_eq!(door.context.handled.load(Ordering::SeqCst), 0);
    still_works(&door).await;
}

#[tokio::test]
async fn slow_heads_bodies_and_idle_connections_are_cut() {
    let door = open(short()).await;
    let request = signed(&door.clock, "AKIAADMIN", "Echo", r#"{"Text":"x"}"#);
    let body_at = request.len() - 12;
    for (first, phase) in [(20, "head"), (body_at + 3, "body"), (0, "idle")] {
        let mut client = door.connect().await;
        let begun = Instant::now();
        client.send(&request[..first]).await;
        // A byte now and then, as Slowloris does, must not help.
        let drip = async {
            for byte in request.as_bytes()[first..].iter().take(6) {
                tokio::time::sleep(Duration::from_millis(60)).await;
                if first > 0 && client.stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        };
        drip.await;
        client.closed().await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "{phase}: {took:?}");
        let line = format!(r#"aws_connections_cut_total{{phase="{phase}"}} 1"#);
        assert!(door.metrics().contains(&line), "{line} not in\n{}", door.metrics());
    }
    assert_eq!(door.context.handled.load(Ordering::SeqCst), 0);
    still_works(&door).await;
}

#[tokio::test]
async fn a_client_that_takes_no_answer_is_cut() {
    let door = open(short()).await;
    let body = format!(r#"{{"Text":"{}"}}"#, "a".repeat(12_000_000));
    let mut client = door.connect().await;
    client.send(signed(&door.clock, "AKIAADMIN", "Echo", &body)).await;
    until("it is cut", || door.metrics().contains(r#"aws_connections_cut_total{phase="write"} 1"#)).await;
    still_works(&door).await;
}

#[tokio::test]
async fn a_page_may_stream_for_longer_than_any_timeout_and_may_panic() {
    let door = open(short()).await;
    let mut client = door.connect().await;
    client.send("GET /_page/panic HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 500);
    client.send("GET /_page HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let head = client.reply().await.head;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("chunked"), "{head}");
    for _ in 0..3 {
        // Longer than idle_timeout: it is the passing of time that is tested.
        tokio::time::sleep(Duration::from_millis(500)).await;
        door.context.gate.add_permits(1);
        let mut piece = [0; 11];
        client.stream.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"6\r\npiece\n\r\n");
    }
    drop(client);
    until("its connection is gone", || door.server.connections() == 0).await;
    let mut client = door.connect().await;
    client.send("GET /_pages HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(client.reply().await.status, 404);
}

#[tokio::test]
async fn a_full_house_makes_room_by_ending_the_longest_idle() {
    let door = open(Limits { connections_max: 3, ..Limits::default() }).await;
    let mut first = door.connect().await;
    assert_eq!(first.call("Echo", r#"{"Text":"1"}"#).await.status, 200);
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut client = door.connect().await;
        client.send(signed(&door.clock, "AKIAADMIN", "Wait", r#"{"Text":"w"}"#)).await;
        others.push(client);
    }
    until("both wait", || door.context.handled.load(Ordering::SeqCst) == 3).await;
    assert_eq!(door.connect().await.call("Echo", r#"{"Text":"4"}"#).await.status, 200);
    assert_eq!(first.closed().await, b"");
    door.context.gate.add_permits(2);
    for client in &mut others {
        assert_eq!(client.reply().await.status, 200);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let door = open(Limits::default()).await;
    let mut client = door.connect().await;
    let requests: String =
        (0..20).map(|i| signed(&door.clock, "AKIAADMIN", "Echo", &format!(r#"{{"Text":"{i}"}}"#))).collect();
    client.send(requests).await;
    for i in 0..20 {
        assert_eq!(client.reply().await.body, format!(r#"{{"Text":"{i}"}}"#));
    }
}

#[tokio::test]
async fn tls_serves_and_a_client_that_never_shakes_hands_is_cut() {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certificate.signing_key.serialize_der().into());
    let chain = vec![certificate.cert.der().clone()];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.clone(), key)
        .unwrap();
    let door = open_with(short(), Some(Arc::new(config))).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(chain[0].clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let tcp = breakwater_net::connect(door.addr).await.unwrap();
    let mut tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    tls.write_all(signed(&door.clock, "AKIAADMIN", "Echo", r#"{"Text":"s"}"#).as_bytes()).await.unwrap();
    assert_eq!(read_reply(&mut tls).await.unwrap().body, r#"{"Text":"s"}"#);

    // The same port speaks plain HTTP to those who begin with it.
    let mut plain = door.connect().await;
    plain.send(&signed(&door.clock, "AKIAADMIN", "Echo", r#"{"Text":"p"}"#)).await;
    assert_eq!(plain.reply().await.body, r#"{"Text":"p"}"#);

    let mut silent = door.connect().await;
    silent.send("\x16").await;
    silent.closed().await;
    until("it is counted", || door.metrics().contains(r#"aws_connections_cut_total{phase="handshake"} 1"#)).await;
}
