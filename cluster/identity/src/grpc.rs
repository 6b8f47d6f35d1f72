//! TLS under tonic: connections in, connections out, and who is at the other end.

use crate::IdentityError;
use crate::credentials::{Credentials, server_name};
use crate::name::PeerIdentity;
use breakwater_net::{Listener, Stream};
use breakwater_types::{NodeKind, NodeName, Region};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at the same time; further connections wait in the kernel.
const HANDSHAKES_MAX: usize = 64;

/// A connection whose peer has been verified, where the server asks for that.
pub struct Verified {
    tls: TlsStream<Stream>,
    peer: Option<PeerIdentity>,
}

impl AsyncRead for Verified {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for Verified {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

impl Connected for Verified {
    type ConnectInfo = Option<PeerIdentity>;
    fn connect_info(&self) -> Option<PeerIdentity> {
        self.peer.clone()
    }
}

/// Who calls, from the certificate of the connection.
pub fn peer<T>(request: &Request<T>) -> Result<&PeerIdentity, Status> {
    request
        .extensions()
        .get::<Option<PeerIdentity>>()
        .and_then(Option::as_ref)
        .ok_or_else(|| Status::unauthenticated("no verified peer"))
}

/// Whether a peer of this kind may make the call.
pub fn authorize(peer: &PeerIdentity, allowed: &[NodeKind]) -> Result<(), Status> {
    if allowed.contains(&peer.kind) {
        Ok(())
    } else {
        Err(Status::permission_denied(format!("{} may not do this", peer.kind)))
    }
}

/// Connections of verified nodes.
pub fn incoming(
    listener: Listener,
    credentials: Arc<Credentials>,
) -> impl futures::Stream<Item = io::Result<Verified>> + Send + 'static {
    accept(listener, credentials.server(), Some(credentials.identity().region))
}

/// Connections of anybody who knows our CA: for joining.
pub fn incoming_unverified(
    listener: Listener,
    credentials: &Credentials,
) -> Result<impl futures::Stream<Item = io::Result<Verified>> + Send + 'static, IdentityError> {
    Ok(accept(listener, credentials.joining_server()?, None))
}

fn accept(
    listener: Listener,
    config: Arc<ServerConfig>,
    verify: Option<Region>,
) -> impl futures::Stream<Item = io::Result<Verified>> + Send + 'static {
    let (tx, rx) = mpsc::channel(16);
    let acceptor = TlsAcceptor::from(config);
    let running = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = running.clone().acquire_owned().await else { return };
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(e) => {
                        tracing::warn!(error = %e, "can't accept connections");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = tx.closed() => return,
            };
            let (acceptor, tx, verify) = (acceptor.clone(), tx.clone(), verify.clone());
            tokio::spawn(async move {
                let _permit = permit;
                match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(tls)) => match verified(tls, verify.as_ref()) {
                        Ok(connection) => {
                            // The server is gone only when this process ends.
                            let _ = tx.send(Ok(connection)).await;
                        }
                        Err(e) => tracing::warn!(error = %e, "a connection was refused"),
                    },
                    Ok(Err(e)) => tracing::debug!(error = %e, "a handshake failed"),
                    Err(_) => tracing::debug!("a handshake took too long"),
                }
            });
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(rx)
}

/// With a region: only a node of it comes in.
fn verified(tls: TlsStream<Stream>, verify: Option<&Region>) -> Result<Verified, IdentityError> {
    let peer = if let Some(region) = verify {
        let certificate = tls
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first)
            .ok_or_else(|| IdentityError::Certificate("no certificate".to_owned()))?;
        let peer = PeerIdentity::from_certificate(certificate)?;
        if peer.region != *region {
            return Err(IdentityError::Certificate(format!("a node of region {}", peer.region)));
        }
        Some(peer)
    } else {
        None
    };
    Ok(Verified { tls, peer })
}

/// A connection to a node by its name, as this node.
pub async fn channel(
    credentials: &Credentials,
    address: SocketAddr,
    expected: &NodeName,
) -> Result<Channel, IdentityError> {
    connect(credentials.client(), address, expected).await
}

pub(crate) async fn connect(
    config: Arc<ClientConfig>,
    address: SocketAddr,
    expected: &NodeName,
) -> Result<Channel, IdentityError> {
    let name = server_name(expected)?;
    let connector = tower::service_fn(move |_uri: http::Uri| {
        let (config, name) = (config.clone(), name.clone());
        async move {
            let handshake = async {
                let tcp = breakwater_net::connect(address).await?;
                TlsConnector::from(config).connect(name, tcp).await
            };
            // A paused peer's kernel still accepts: without a bound this would wait for as long as it is paused.
            let tls = tokio::time::timeout(HANDSHAKE, handshake).await??;
            Ok::<_, io::Error>(TokioIo::new(tls))
        }
    });
    // TLS is the connector's affair: tonic mustn't add its own, hence http.
    Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| IdentityError::Unreachable(e.to_string()))?
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .connect_with_connector(connector)
        .await
        .map_err(|e| {
            let mut text = e.to_string();
            let mut source = std::error::Error::source(&e);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            IdentityError::Unreachable(text)
        })
}
