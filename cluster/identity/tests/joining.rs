//! From `init` over the first certificate to the one after 90 days off.

use breakwater_identity::{
    CERTIFICATE_LIFE_S, Credentials, HostPlan, IdentityError, JoinService, Joining, Ledger, LedgerError, PeerIdentity,
    identity_dir, init, load_ca, new_request, replace_host,
};
use breakwater_net::Listener;
use breakwater_proto::join::join_server::Join;
use breakwater_proto::join::{ChallengeRequest, EnrolRequest, RenewRequest};
use breakwater_types::{Clock, ManualClock, NodeKind, NodeName, Region, SystemClock};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tonic::{Code, Request};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const DAY_MS: i64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct MemoryLedger(Mutex<HashMap<String, Vec<u8>>>);

#[tonic::async_trait]
impl Ledger for MemoryLedger {
    async fn enrol(&self, host: &str, key: &[u8]) -> Result<(), LedgerError> {
        let mut hosts = self.0.lock();
        let known = hosts.entry(host.to_owned()).or_insert_with(|| key.to_vec());
        if known == key { Ok(()) } else { Err(LedgerError::Used) }
    }
    async fn enrolment_key(&self, host: &str) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.0.lock().get(host).cloned())
    }
}

struct Place {
    root: PathBuf,
    clock: Arc<ManualClock>,
    ledger: Arc<MemoryLedger>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn region() -> Region {
    "r".parse().unwrap()
}

fn plan() -> Vec<HostPlan> {
    let host = |text: &str, kind, zone: Option<&str>| HostPlan {
        name: name(text),
        kind,
        zone: zone.map(|z| z.parse().unwrap()),
        address: LOCAL,
    };
    vec![
        host("edge", NodeKind::Edge, None),
        host("control-node-a1", NodeKind::Control, Some("az-a")),
        host("dynamo-node-a1", NodeKind::Dynamo, Some("az-a")),
        host("dynamo-node-b1", NodeKind::Dynamo, Some("az-b")),
    ]
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("breakwater-join-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        let clock = ManualClock::new(SystemClock::default().unix_ms());
        init(&root, &region(), &plan(), clock.clone()).unwrap();
        Place { root, clock, ledger: Arc::default() }
    }

    fn dir(&self, host: &str) -> PathBuf {
        identity_dir(&self.root, &name(host))
    }

    fn joining(&self, host: &str, control: Option<SocketAddr>) -> Joining {
        let plan = plan().into_iter().find(|h| h.name.as_str() == host).unwrap();
        Joining {
            dir: self.dir(host),
            identity: PeerIdentity { name: plan.name, kind: plan.kind, zone: plan.zone, region: region() },
            address: plan.address,
            join: control.map(|address| (name("control-node-a1"), address)).into_iter().collect(),
            clock: self.clock.clone(),
        }
    }

    fn service(&self) -> JoinService {
        let control = self.joining("control-node-a1", None);
        let ca = Arc::new(load_ca(&control).unwrap());
        JoinService::new(&control.dir, region(), ca, self.ledger.clone()).unwrap()
    }

    /// A control node, freshly certified, until the sender goes.
    async fn control(&self) -> (SocketAddr, oneshot::Sender<()>) {
        let control = self.joining("control-node-a1", None);
        let credentials = control.control_credentials(&load_ca(&control).unwrap()).unwrap();
        let listener = Listener::bind((LOCAL, 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (running, stop) = oneshot::channel::<()>();
        let service = self.service();
        tokio::spawn(async move {
            let stop = async {
                let _ = stop.await;
            };
            service.serve(listener, &credentials, stop).await.unwrap();
        });
        (address, running)
    }
}

async fn soon(credentials: impl Future<Output = Result<Arc<Credentials>, IdentityError>>) -> Arc<Credentials> {
    tokio::time::timeout(PATIENCE, credentials).await.expect("in time").unwrap()
}

async fn refusal(joining: Joining) -> IdentityError {
    tokio::time::timeout(PATIENCE, joining.credentials()).await.expect("in time").unwrap_err()
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn init_gives_each_host_what_it_needs_for_its_owner_only_and_only_once() {
    let place = Place::new();
    assert_eq!(files(&place.dir("edge")), ["ca.pem"]);
    assert_eq!(files(&place.dir("control-node-a1")), ["ca.key.sealed", "ca.pem", "dev.key", "hosts.json"]);
    assert_eq!(files(&place.dir("dynamo-node-a1")), ["ca.pem", "dev.key", "join-token"]);
    for host in plan() {
        let dir = place.dir(host.name.as_str());
        for file in files(&dir) {
            let mode = std::fs::metadata(dir.join(&file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
    let control = place.dir("control-node-a1");
    let token = std::fs::read_to_string(place.dir("dynamo-node-a1").join("join-token")).unwrap();
    assert_eq!(token.len(), 64, "256 bits");
    assert!(!std::fs::read_to_string(control.join("hosts.json")).unwrap().contains(&token));
    let sealed = std::fs::read(control.join("ca.key.sealed")).unwrap();
    assert!(!sealed.windows(11).any(|w| w == b"PRIVATE KEY"));

    let before = std::fs::read(control.join("ca.pem")).unwrap();
    let again = init(&place.root, &region(), &plan(), place.clock.clone());
    assert!(matches!(again, Err(IdentityError::Refused(_))));
    assert_eq!(std::fs::read(control.join("ca.pem")).unwrap(), before);
}

#[test]
fn a_sealed_key_that_was_changed_anywhere_is_refused() {
    let place = Place::new();
    let control = place.joining("control-node-a1", None);
    let path = control.dir.join("ca.key.sealed");
    let sealed = std::fs::read(&path).unwrap();
    for at in [0, 1, 12, 13, sealed.len() / 2, sealed.len() - 1] {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(load_ca(&control).is_err(), "byte {at}");
    }
    for length in [0, 1, 12, 13, 28, sealed.len() - 1] {
        std::fs::write(&path, &sealed[..length]).unwrap();
        assert!(load_ca(&control).is_err(), "{length} bytes");
    }
    std::fs::write(&path, &sealed).unwrap();
    assert!(load_ca(&control).is_ok());
}

#[tokio::test]
async fn a_host_joins_once_and_then_starts_without_the_control_node() {
    let place = Place::new();
    let (address, running) = place.control().await;
    let joined = soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    assert_eq!(joined.identity().uri(), "breakwater://r/dynamo/az-a/dynamo-node-a1");
    assert!(!place.dir("dynamo-node-a1").join("join-token").exists());
    drop(running);

    // Nobody to ask: it is the stored one, for as long as it is good.
    place.clock.advance_ms(DAY_MS - 600_000);
    let stored = soon(place.joining("dynamo-node-a1", None).credentials()).await;
    assert_eq!(stored.not_after_s(), joined.not_after_s());
}

#[tokio::test]
async fn a_host_that_starts_first_waits_for_a_control_node() {
    let place = Place::new();
    let listener = Listener::bind((LOCAL, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let waiting = tokio::spawn(place.joining("dynamo-node-a1", Some(address)).credentials_owned());
    let control = place.joining("control-node-a1", None);
    let credentials = control.control_credentials(&load_ca(&control).unwrap()).unwrap();
    assert!(!waiting.is_finished());
    let listener = Listener::bind(address).await.unwrap();
    let service = place.service();
    tokio::spawn(async move { service.serve(listener, &credentials, std::future::pending()).await });
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}

trait Owned {
    fn credentials_owned(self) -> impl Future<Output = Result<Arc<Credentials>, IdentityError>> + Send;
}

impl Owned for Joining {
    async fn credentials_owned(self) -> Result<Arc<Credentials>, IdentityError> {
        self.credentials().await
    }
}

#[tokio::test]
async fn after_90_days_off_a_host_gets_a_certificate_by_its_enrolment_key_and_after_the_clock_went_back_too() {
    let place = Place::new();
    let (address, running) = place.control().await;
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    drop(running);

    place.clock.advance_ms(90 * DAY_MS);
    // The control node's own certificate has ended as well: it signs itself a new one.
    let (address, running) = place.control().await;
    let later = soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    let left = later.not_after_s() - place.clock.unix_s();
    assert!((CERTIFICATE_LIFE_S - 60..=CERTIFICATE_LIFE_S).contains(&left), "{left}");
    drop(running);

    // A certificate from the future is stored now: peers would refuse it.
    place.clock.jump_ms(-90 * DAY_MS);
    let (address, _running) = place.control().await;
    let back = soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    assert!(back.not_after_s() - place.clock.unix_s() <= CERTIFICATE_LIFE_S);
}

#[tokio::test]
async fn a_new_machine_joins_in_a_hosts_place_and_the_old_one_gets_no_certificate_any_more() {
    let place = Place::new();
    let (address, _running) = place.control().await;
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    // What somebody has who took the old machine home.
    let old = place.root.join("old");
    std::fs::create_dir_all(&old).unwrap();
    for file in ["ca.pem", "enrolment.key"] {
        std::fs::copy(place.dir("dynamo-node-a1").join(file), old.join(file)).unwrap();
    }
    replace_host(&place.root, &name("dynamo-node-a1")).unwrap();
    let old = Joining { dir: old, ..place.joining("dynamo-node-a1", Some(address)) };
    assert!(matches!(refusal(old.clone()).await, IdentityError::Refused(_)), "before the new one has joined");
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    assert!(matches!(refusal(old).await, IdentityError::Refused(_)), "and after it");
    // The new one renews by its own key, and can be replaced again.
    place.clock.advance_ms(90 * DAY_MS);
    let (address, _running) = place.control().await;
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    replace_host(&place.root, &name("dynamo-node-a1")).unwrap();
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;
    for host in ["control-node-a1", "edge", "dynamo-node-z9"] {
        assert!(replace_host(&place.root, &name(host)).is_err(), "{host}");
    }
    assert!(place.dir("control-node-a1").join("ca.key.sealed").exists());
}

#[tokio::test]
async fn certificates_are_renewed_while_the_node_runs() {
    let place = Place::new();
    let (address, _running) = place.control().await;
    let joining = place.joining("dynamo-node-a1", Some(address));
    let host = soon(joining.credentials()).await;
    let control_joining = place.joining("control-node-a1", None);
    let ca = Arc::new(load_ca(&control_joining).unwrap());
    let control = control_joining.control_credentials(&ca).unwrap();
    let (host_before, control_before) = (host.not_after_s(), control.not_after_s());

    // Two thirds of a life.
    place.clock.advance_ms(DAY_MS * 2 / 3 + 1_000);
    let tasks = [
        tokio::spawn(joining.keep_renewed(host.clone(), None)),
        tokio::spawn(control_joining.keep_renewed(control.clone(), Some(ca))),
    ];
    let renewed = async {
        while host.not_after_s() == host_before || control.not_after_s() == control_before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.unwrap();
    assert!(host.not_after_s() > host_before && control.not_after_s() > control_before);
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_token_is_good_for_one_key_of_its_own_host() {
    let place = Place::new();
    let (address, _running) = place.control().await;
    let (a, b) = (place.dir("dynamo-node-a1"), place.dir("dynamo-node-b1"));
    let token = std::fs::read(a.join("join-token")).unwrap();
    soon(place.joining("dynamo-node-a1", Some(address)).credentials()).await;

    // A thief has the token but not the key.
    for file in ["enrolment.key", "node.key", "node.pem"] {
        std::fs::remove_file(a.join(file)).unwrap();
    }
    std::fs::write(a.join("join-token"), &token).unwrap();
    assert!(matches!(refusal(place.joining("dynamo-node-a1", Some(address))).await, IdentityError::Refused(_)));
    // Nor does a key of its own help without the token.
    std::fs::remove_file(a.join("join-token")).unwrap();
    assert!(matches!(refusal(place.joining("dynamo-node-a1", Some(address))).await, IdentityError::Refused(_)));

    // Another host's token.
    std::fs::write(b.join("join-token"), &token).unwrap();
    let refused = refusal(place.joining("dynamo-node-b1", Some(address))).await;
    assert!(matches!(refused, IdentityError::Refused(_)));
    let token = String::from_utf8(token).unwrap();
    assert!(!format!("{refused} {refused:?}").contains(&token));
}

#[tokio::test]
async fn a_challenge_serves_once_and_bad_requests_are_refused() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    let place = Place::new();
    let service = place.service();
    let pair = Ed25519KeyPair::generate().unwrap();
    let (_, csr_pem) = new_request().unwrap();
    let token = std::fs::read_to_string(place.dir("dynamo-node-a1").join("join-token")).unwrap();
    let enrol = EnrolRequest {
        host: "dynamo-node-a1".to_owned(),
        token,
        enrolment_key: pair.public_key().as_ref().to_vec().into(),
        csr_pem: csr_pem.clone(),
    };
    for (bad, code) in [
        (EnrolRequest { host: "nobody".to_owned(), ..enrol.clone() }, Code::PermissionDenied),
        (EnrolRequest { host: String::new(), ..enrol.clone() }, Code::PermissionDenied),
        (EnrolRequest { host: "control-node-a1".to_owned(), ..enrol.clone() }, Code::PermissionDenied),
        (EnrolRequest { token: "0".repeat(64), ..enrol.clone() }, Code::PermissionDenied),
        (EnrolRequest { token: String::new(), ..enrol.clone() }, Code::PermissionDenied),
        (EnrolRequest { enrolment_key: vec![0; 31].into(), ..enrol.clone() }, Code::InvalidArgument),
    ] {
        assert_eq!(service.enrol(Request::new(bad)).await.unwrap_err().code(), code);
    }
    assert!(place.ledger.0.lock().is_empty(), "nothing was enrolled by those");
    service.enrol(Request::new(enrol.clone())).await.unwrap();
    service.enrol(Request::new(enrol.clone())).await.expect("the answer may have been lost");
    let garbage = EnrolRequest { csr_pem: "-----BEGIN CERTIFICATE REQUEST-----".to_owned(), ..enrol };
    assert_eq!(service.enrol(Request::new(garbage)).await.unwrap_err().code(), Code::InvalidArgument);

    let nonce = service.challenge(Request::new(ChallengeRequest {})).await.unwrap().into_inner().nonce;
    let signature = pair.sign(&[&nonce[..], csr_pem.as_bytes()].concat()).as_ref().to_vec();
    let renew = RenewRequest { host: "dynamo-node-a1".to_owned(), csr_pem, nonce, signature: signature.into() };
    let invented = RenewRequest { nonce: vec![7; 32].into(), ..renew.clone() };
    assert_eq!(service.renew(Request::new(invented)).await.unwrap_err().code(), Code::Unavailable);
    service.renew(Request::new(renew.clone())).await.unwrap();
    assert_eq!(service.renew(Request::new(renew.clone())).await.unwrap_err().code(), Code::Unavailable, "replayed");

    // A signature over another challenge.
    let nonce = service.challenge(Request::new(ChallengeRequest {})).await.unwrap().into_inner().nonce;
    let forged = RenewRequest { nonce, ..renew };
    assert_eq!(service.renew(Request::new(forged)).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn an_agents_certificate_is_its_hosts_to_have_and_no_servers() {
    let place = Place::new();
    let (address, _running) = place.control().await;
    let joining = place.joining("dynamo-node-a1", Some(address));
    let certified = |joining: Joining| async move {
        tokio::time::timeout(PATIENCE, joining.agent_credentials()).await.expect("in time")
    };
    // The host joins while its agent waits for that.
    let (agent, node) = tokio::join!(certified(joining.clone()), soon(joining.credentials()));
    assert_eq!(agent.identity().uri(), "breakwater://r/agent/az-a/agent-dynamo-node-a1");
    assert_eq!(agent.identity().agents_host(), Some(name("dynamo-node-a1")));
    assert_eq!(node.identity().agents_host(), None);
    assert!(!files(&place.dir("dynamo-node-a1")).iter().any(|file| file.contains("agent")), "in memory only");

    // On a control host it needs nobody.
    let control = certified(place.joining("control-node-a1", None)).await;
    assert_eq!(control.identity().uri(), "breakwater://r/agent/az-a/agent-control-node-a1");

    // A proof of one thing is none of the other: a renewal's signature makes no agent.
    let service = place.service();
    let nonce = service.challenge(Request::new(ChallengeRequest {})).await.unwrap().into_inner().nonce;
    let (_, csr_pem) = new_request().unwrap();
    let host = "dynamo-node-a1".to_owned();
    let request = RenewRequest { host, csr_pem, nonce, signature: vec![0; 64].into() };
    assert_eq!(service.certify_agent(Request::new(request)).await.unwrap_err().code(), Code::PermissionDenied);

    // Nobody takes an agent for a server.
    let listener = Listener::bind((LOCAL, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut incoming = Box::pin(breakwater_identity::incoming(listener, agent.clone()));
    tokio::spawn(async move { while futures::StreamExt::next(&mut incoming).await.is_some() {} });
    let called = breakwater_identity::channel(&node, address, &agent.identity().name).await;
    assert!(matches!(called, Err(IdentityError::Unreachable(_))), "{called:?}");
}
