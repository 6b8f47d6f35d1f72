//! The HTTPS of front doors: for whom a certificate is good, and that it is replaced while the server goes on.

use breakwater_identity::{Ca, Credentials, IdentityError, PeerIdentity, is_front_name, new_request};
use breakwater_types::{Clock as _, ManualClock, NodeKind, SharedClock, SystemClock};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::sync::Arc;

fn clock() -> SharedClock {
    ManualClock::new(SystemClock::default().unix_ms())
}

fn certificate(ca: &Ca, kind: NodeKind) -> (String, String) {
    let who = PeerIdentity {
        name: "node-a1".parse().unwrap(),
        kind,
        zone: Some("az-a".parse().unwrap()),
        region: "r".parse().unwrap(),
    };
    let (key, request) = new_request().unwrap();
    (ca.sign(&request, &who, [127, 0, 3, 9].into()).unwrap(), key.to_string())
}

fn credentials(ca: &Ca, kind: NodeKind, clock: &SharedClock) -> Arc<Credentials> {
    let (certificate, key) = certificate(ca, kind);
    Credentials::new(ca.certificate_pem(), &certificate, &key, clock.clone()).unwrap()
}

/// The certificate that a client which knows the CA is shown, if it accepts it under this name.
fn shown(server: Arc<ServerConfig>, ca: &Ca, name: &'static str) -> Result<CertificateDer<'static>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap())?;
    let mut server = ServerConnection::new(server)?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut unread = &bytes[..];
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut unread = &bytes[..];
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(client.peer_certificates().unwrap()[0].clone().into_owned())
}

#[test]
fn front_doors_are_certified_for_the_names_that_clients_use() {
    let clock = clock();
    let ca = Ca::generate("r", clock.clone()).unwrap().with_front_names(&["region.example", "192.0.2.7"]).unwrap();
    for kind in [NodeKind::Control, NodeKind::Dynamo] {
        let server = credentials(&ca, kind, &clock).front_server().unwrap();
        for name in ["region.example", "192.0.2.7", "node-a1", "127.0.3.9"] {
            shown(server.clone(), &ca, name).unwrap();
        }
        for name in ["localhost", "192.0.2.8", "other.example"] {
            assert!(shown(server.clone(), &ca, name).is_err(), "{name}");
        }
    }
    // Who has no front door can't pass for one.
    let other = credentials(&ca, NodeKind::Sql, &clock).front_server().unwrap();
    assert!(shown(other, &ca, "region.example").is_err());
}

#[test]
fn the_usual_names_are_those_of_this_machine() {
    let clock = clock();
    let ca = Ca::generate("r", clock.clone()).unwrap();
    let server = credentials(&ca, NodeKind::Control, &clock).front_server().unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        shown(server.clone(), &ca, name).unwrap();
    }
}

#[test]
fn a_new_certificate_is_shown_without_a_restart() {
    let clock = clock();
    let ca = Ca::generate("r", clock.clone()).unwrap();
    let credentials = credentials(&ca, NodeKind::Control, &clock);
    let server = credentials.front_server().unwrap();
    let first = shown(server.clone(), &ca, "localhost").unwrap();
    let (certificate, key) = certificate(&ca, NodeKind::Control);
    credentials.replace(&certificate, &key).unwrap();
    let second = shown(server, &ca, "localhost").unwrap();
    assert_ne!(first, second);
    assert_eq!(second, CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap());
}

#[test]
fn what_is_neither_a_name_nor_an_address_is_refused() {
    for name in ["", "ä.example", "a b", "http://x", "*", "*.", "a.*.example", "192.0.2.7:443"] {
        assert!(!is_front_name(name), "{name}");
        let named = Ca::generate("r", clock()).unwrap().with_front_names(&[name]);
        assert!(matches!(named, Err(IdentityError::Certificate(_))), "{name}");
    }
    for name in ["localhost", "*.region.example", "192.0.2.7", "::1"] {
        assert!(is_front_name(name), "{name}");
    }
}
