//! One document from a provider's server, over TLS: bounded, and from nowhere else than asked.

use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why there is no document. The texts go to the log alone.
#[derive(Debug)]
pub enum Failed {
    Unreachable(String),
    /// Nobody whom we trust vouches for the server.
    Untrusted,
    /// What it sent is of no use.
    Unusable(String),
}

fn unusable(what: impl std::fmt::Display) -> Failed {
    Failed::Unusable(what.to_string())
}

fn unreachable(what: impl std::fmt::Display) -> Failed {
    Failed::Unreachable(what.to_string())
}

/// Hosts of a link-local address, as metadata services, are no identity providers; nobody else may make us ask them.
fn may_be_asked(address: &SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_multicast() && !ip.is_unspecified() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_multicast() && !ip.is_unspecified(),
    }
}

async fn connect(uri: &Uri, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, Failed> {
    if uri.scheme_str() != Some("https") {
        return Err(unusable("not an https URL"));
    }
    let host = uri.host().ok_or_else(|| unusable("a URL without a host"))?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(unusable)?;
    let addresses = tokio::net::lookup_host((host, uri.port_u16().unwrap_or(443))).await.map_err(unreachable)?;
    let mut last = unreachable("no address that may be asked");
    for address in addresses.filter(may_be_asked) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                return TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(|e| {
                    match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                        Some(rustls::Error::InvalidCertificate(_)) => Failed::Untrusted,
                        _ => unreachable(e),
                    }
                });
            }
            Err(e) => last = unreachable(e),
        }
    }
    Err(last)
}

/// Ends the connection with whoever waited for it.
struct Driven(tokio::task::JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The document at this URL. A redirect isn't followed: it is no document.
pub async fn get(url: &str, tls: &Arc<ClientConfig>, bytes_max: usize) -> Result<Bytes, Failed> {
    let uri: Uri = url.parse().map_err(unusable)?;
    let stream = connect(&uri, tls).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let _driven = Driven(tokio::spawn(async move {
        // What goes wrong there is told to who waits for the answer.
        let _ = connection.await;
    }));
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path)
        .header(HOST, authority)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "breakwater")
        .body(Empty::<Bytes>::new())
        .map_err(unusable)?;
    let response = sender.send_request(request).await.map_err(unreachable)?;
    if response.status() != StatusCode::OK {
        return Err(unusable(format_args!("status {}", response.status())));
    }
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    body.map(|body| body.to_bytes()).map_err(unusable)
}

/// The last certificate of the chain that the server shows.
pub async fn highest(url: &str, tls: &Arc<ClientConfig>) -> Result<CertificateDer<'static>, Failed> {
    let uri: Uri = url.parse().map_err(unusable)?;
    let stream = connect(&uri, tls).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    chain.last().map(|certificate| certificate.clone().into_owned()).ok_or_else(|| unusable("no certificate"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn link_local_and_no_addresses_are_not_asked() {
        for (address, may) in [
            ("127.0.0.1:443", true),
            ("10.0.0.7:443", true),
            ("203.0.113.7:443", true),
            ("[2001:db8::1]:443", true),
            ("169.254.169.254:443", false),
            ("[::ffff:169.254.169.254]:443", false),
            ("[fe80::1]:443", false),
            ("0.0.0.0:443", false),
            ("224.0.0.1:443", false),
        ] {
            assert_eq!(super::may_be_asked(&address.parse().unwrap()), may, "{address}");
        }
    }
}
