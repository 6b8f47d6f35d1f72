//! Who gets in: real TLS and gRPC over loopback, under clocks that the tests move.

use breakwater_identity::{
    Ca, Credentials, IdentityError, PeerIdentity, authorize, channel, incoming, new_request, peer,
};
use breakwater_net::Listener;
use breakwater_proto::join::join_client::JoinClient;
use breakwater_proto::join::join_server::{Join, JoinServer};
use breakwater_proto::join::{CertificateReply, ChallengeReply, ChallengeRequest, EnrolRequest, RenewRequest};
use breakwater_types::{Clock, ManualClock, NodeKind, SharedClock, SystemClock};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const HOUR_MS: i64 = 3_600_000;

/// Answers data nodes with what it knows of them.
struct Probe;

#[tonic::async_trait]
impl Join for Probe {
    async fn challenge(&self, request: Request<ChallengeRequest>) -> Result<Response<ChallengeReply>, Status> {
        let peer = peer(&request)?;
        authorize(peer, &[NodeKind::Dynamo])?;
        Ok(Response::new(ChallengeReply { nonce: peer.uri().into() }))
    }
    async fn enrol(&self, _: Request<EnrolRequest>) -> Result<Response<CertificateReply>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
    async fn renew(&self, _: Request<RenewRequest>) -> Result<Response<CertificateReply>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
    async fn certify_agent(&self, _: Request<RenewRequest>) -> Result<Response<CertificateReply>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

fn now() -> Arc<ManualClock> {
    ManualClock::new(SystemClock::default().unix_ms())
}

fn ca(clock: &Arc<ManualClock>) -> Ca {
    Ca::generate("r", clock.clone()).unwrap()
}

fn certificate(ca: &Ca, name: &str, kind: NodeKind, region: &str) -> (String, String) {
    let who = PeerIdentity {
        name: name.parse().unwrap(),
        kind,
        zone: Some("az-a".parse().unwrap()),
        region: region.parse().unwrap(),
    };
    let (key, request) = new_request().unwrap();
    (ca.sign(&request, &who, LOCAL).unwrap(), key.to_string())
}

fn node(ca: &Ca, name: &str, kind: NodeKind, clock: &Arc<ManualClock>) -> Arc<Credentials> {
    let (certificate, key) = certificate(ca, name, kind, "r");
    Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone() as SharedClock).unwrap()
}

async fn serve(credentials: Arc<Credentials>) -> SocketAddr {
    let listener = Listener::bind((LOCAL, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder().add_service(JoinServer::new(Probe));
    tokio::spawn(server.serve_with_incoming(incoming(listener, credentials)));
    address
}

async fn ask(channel: Channel) -> Result<String, Status> {
    let reply = JoinClient::new(channel).challenge(ChallengeRequest {}).await?.into_inner();
    Ok(String::from_utf8(reply.nonce.to_vec()).unwrap())
}

#[derive(Debug)]
enum Refused {
    /// The client broke off, or the server did so at once.
    AtConnect,
    /// In TLS 1.3 a client learns only then that its certificate was refused.
    AtCall(Code),
}

async fn call(credentials: &Credentials, address: SocketAddr, expected: &str) -> Result<String, Refused> {
    match channel(credentials, address, &expected.parse().unwrap()).await {
        Ok(channel) => ask(channel).await.map_err(|status| Refused::AtCall(status.code())),
        Err(IdentityError::Unreachable(_)) => Err(Refused::AtConnect),
        Err(e) => panic!("{e}"),
    }
}

/// Refused by TLS itself: no handler has seen the call.
fn by_tls(refused: &Refused) -> bool {
    match refused {
        Refused::AtConnect => true,
        Refused::AtCall(code) => !matches!(code, Code::PermissionDenied | Code::Unauthenticated),
    }
}

#[tokio::test]
async fn a_handler_sees_who_calls_and_refuses_the_wrong_kind() {
    let clock = now();
    let ca = ca(&clock);
    let address = serve(node(&ca, "server", NodeKind::Control, &clock)).await;
    let dynamo = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    assert_eq!(call(&dynamo, address, "server").await.unwrap(), "breakwater://r/dynamo/az-a/dynamo-node-a1");
    let edge = node(&ca, "edge", NodeKind::Edge, &clock);
    let refused = call(&edge, address, "server").await.unwrap_err();
    assert!(matches!(refused, Refused::AtCall(Code::PermissionDenied)), "{refused:?}");
}

#[tokio::test]
async fn another_ca_another_region_and_another_name_are_refused() {
    let clock = now();
    let (ours, theirs) = (ca(&clock), ca(&clock));
    let address = serve(node(&ours, "server", NodeKind::Control, &clock)).await;

    // Trusts our CA, so only the server can refuse it.
    let (foreign, key) = certificate(&theirs, "dynamo-node-a1", NodeKind::Dynamo, "r");
    let foreign = Credentials::new(ours.certificate_pem(), &foreign, &key, clock.clone()).unwrap();
    assert!(by_tls(&call(&foreign, address, "server").await.unwrap_err()));

    // Shows our certificate but trusts another CA, so only the client can refuse.
    let (own, key) = certificate(&ours, "dynamo-node-a1", NodeKind::Dynamo, "r");
    let wary = Credentials::new(theirs.certificate_pem(), &own, &key, clock.clone()).unwrap();
    assert!(matches!(call(&wary, address, "server").await.unwrap_err(), Refused::AtConnect));

    let (elsewhere, key) = certificate(&ours, "dynamo-node-a1", NodeKind::Dynamo, "other");
    let elsewhere = Credentials::new(ours.certificate_pem(), &elsewhere, &key, clock.clone()).unwrap();
    assert!(by_tls(&call(&elsewhere, address, "server").await.unwrap_err()));

    let good = node(&ours, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    assert!(matches!(call(&good, address, "impostor").await.unwrap_err(), Refused::AtConnect));
    assert!(call(&good, address, "server").await.is_ok());
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_either_side() {
    let clock = now();
    let ca = ca(&clock);
    let old_client = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    let old_server = serve(node(&ca, "server", NodeKind::Control, &clock)).await;
    assert!(call(&old_client, old_server, "server").await.is_ok());

    clock.advance_ms(24 * HOUR_MS + 1_000);
    let new_client = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    let new_server = serve(node(&ca, "server", NodeKind::Control, &clock)).await;
    assert!(matches!(call(&new_client, old_server, "server").await.unwrap_err(), Refused::AtConnect));
    assert!(by_tls(&call(&old_client, new_server, "server").await.unwrap_err()));
    assert!(call(&new_client, new_server, "server").await.is_ok());
}

#[tokio::test]
async fn certificates_rotate_without_restart_or_a_broken_connection() {
    let clock = now();
    let ca = ca(&clock);
    let server = node(&ca, "server", NodeKind::Control, &clock);
    let client = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    let address = serve(server.clone()).await;
    let open = channel(&client, address, &"server".parse().unwrap()).await.unwrap();
    assert!(ask(open.clone()).await.is_ok());

    clock.advance_ms(20 * HOUR_MS);
    for (credentials, name, kind) in
        [(&server, "server", NodeKind::Control), (&client, "dynamo-node-a1", NodeKind::Dynamo)]
    {
        let (certificate, key) = certificate(&ca, name, kind, "r");
        credentials.replace(&certificate, &key).unwrap();
    }
    let (another, key) = certificate(&ca, "another", NodeKind::Control, "r");
    assert!(server.replace(&another, &key).is_err(), "a certificate of another node");

    // The first certificates have ended now.
    clock.advance_ms(10 * HOUR_MS);
    assert!(call(&client, address, "server").await.is_ok());
    assert!(ask(open).await.is_ok());
}

#[tokio::test]
async fn nobody_comes_in_without_a_certificate() {
    let clock = now();
    let ca = ca(&clock);
    let address = serve(node(&ca, "server", NodeKind::Control, &clock)).await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = ca.certificate_pem().as_bytes();
    roots.add(rustls_pki_types::pem::PemObject::from_pem_slice(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = breakwater_net::connect(address).await.unwrap();
    let name = "server".try_into().unwrap();
    let mut tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let said = tls.read(&mut [0; 64]).await;
    assert!(said.is_err(), "an alert, not a byte of HTTP/2: {said:?}");
}

#[tokio::test]
async fn silent_connections_hold_nobody_up() {
    let clock = now();
    let ca = ca(&clock);
    let address = serve(node(&ca, "server", NodeKind::Control, &clock)).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(breakwater_net::connect(address).await.unwrap());
    }
    let began = Instant::now();
    let client = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    assert!(call(&client, address, "server").await.is_ok());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    // And they are thrown out. Five seconds are the bound of a handshake.
    let mut one = silent.remove(0);
    let ended = tokio::time::timeout(Duration::from_secs(9), one.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn a_client_does_not_wait_for_ever_for_a_silent_server() {
    let clock = now();
    let ca = ca(&clock);
    let silent = Listener::bind((LOCAL, 0).into()).await.unwrap();
    let address = silent.local_addr().unwrap();
    let client = node(&ca, "dynamo-node-a1", NodeKind::Dynamo, &clock);
    let asked = tokio::time::timeout(Duration::from_secs(9), call(&client, address, "server")).await;
    assert!(matches!(asked.unwrap().unwrap_err(), Refused::AtConnect));
}
