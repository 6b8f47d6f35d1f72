//! Serves it, bounded: few connections, short heads, no bodies.

use super::documents::Facts;
use super::follow::follow;
use super::held::Held;
use super::link_local;
use super::requests::Requests;
use super::token::Tokens;
use anyhow::{Context, Result};
use breakwater_identity::{Joining, PeerIdentity};
use breakwater_node::{Common, Source};
use breakwater_types::NodeKind;
use breakwater_types::instance::{availability_zone, instance_id};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const CONNECTIONS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 << 10;
/// For a request's head, and between requests.
const HEAD: Duration = Duration::from_secs(5);
/// For a connection as a whole: SDKs make a new one each time.
const CONNECTION: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Metadata {
    listen: Option<SocketAddr>,
    kind: NodeKind,
}

impl Metadata {
    pub fn read(source: &mut Source) -> Self {
        let listen: Option<String> =
            source.optional("metadata", "where the instance metadata service listens, as 169.254.169.254:80");
        let parsed = listen.as_ref().map(|text| text.parse());
        source.check(!matches!(parsed, Some(Err(_))), "metadata: not an address and a port");
        let kind: String = source.or("kind", "dynamo".to_owned(), "the host's kind of node");
        let found = kind.parse();
        source.check(found.is_ok(), "kind: not a kind of node");
        Metadata { listen: parsed.and_then(Result::ok), kind: found.unwrap_or(NodeKind::Dynamo) }
    }

    /// Serves from now on, where it is set. A host whose metadata service can't be had is still a host.
    pub async fn start(self, common: &Common) {
        let Some(listen) = self.listen else { return };
        if let Err(e) = self.serve(listen, common).await {
            tracing::error!(error = %format!("{e:#}"), %listen, "no instance metadata service on this host");
        }
    }

    async fn serve(self, listen: SocketAddr, common: &Common) -> Result<()> {
        if let IpAddr::V4(address) = listen.ip()
            && address.is_link_local()
        {
            tokio::task::spawn_blocking(move || link_local::add(address)).await?.context("link-local address")?;
        }
        let listener = TcpListener::bind(listen).await?;
        let clock = common.clock();
        let joining = Joining {
            dir: common.identity_dir.clone(),
            identity: PeerIdentity {
                name: common.name.clone(),
                kind: self.kind,
                zone: common.zone.clone(),
                region: common.region.clone(),
            },
            address: common.address,
            join: common.join.iter().map(|j| (j.name.clone(), j.address)).collect(),
            clock: clock.clone(),
        };
        let held = Arc::new(Held::default());
        let facts = Facts {
            instance_id: instance_id(&common.region, &common.name),
            account: common.account.to_string(),
            region: common.region.to_string(),
            availability_zone: match &common.zone {
                Some(zone) => availability_zone(&common.region, zone),
                None => common.region.to_string(),
            },
            address: common.address,
            hostname: common.name.to_string(),
        };
        tokio::spawn(follow(joining, common.control.clone(), held.clone()));
        let requests = Requests { facts, held, tokens: Tokens::new(), clock };
        tokio::spawn(accept(listener, Arc::new(requests)));
        tracing::info!(%listen, "instance metadata service");
        Ok(())
    }
}

/// Not by `breakwater_net`: a host that is cut off can still talk to itself.
async fn accept(listener: TcpListener, requests: Arc<Requests>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // At the bound further clients wait in the kernel's queue.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                tracing::warn!(error = %e, "can't accept connections");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // As AWS's: no router passes on what has one hop to live, so that an answer never leaves the host.
        if let Err(e) = stream.set_ttl(1) {
            tracing::debug!(error = %e, "answers may travel further than one hop");
        }
        let requests = requests.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let answer = requests.answer(request.method(), request.uri().path(), request.headers());
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_header_size(HEAD_BYTES_MAX);
            let serving = http.serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(e)) = tokio::time::timeout(CONNECTION, serving).await {
                tracing::debug!(error = %e, "a connection ended");
            }
            drop(permit);
        });
    }
}
