//! TCP connections that a test can cut.
//!
//! Every connection of a node is made or accepted here, so that "the network of this host is cut" means the same
//! for local processes as `docker network disconnect` does for containers: no new connection comes about in
//! either direction, and those that are open go silent and are then reset.
//!
//! This crate must not: know TLS, HTTP or who a peer is.

pub mod proxy;

use parking_lot::Mutex;
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Which addresses this process may talk to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
enum Reach {
    #[default]
    All,
    Only(HashSet<IpAddr>),
}

impl Reach {
    fn allows(&self, ip: IpAddr) -> bool {
        match self {
            Reach::All => true,
            Reach::Only(set) => set.contains(&ip),
        }
    }
}

/// The process's one switch.
#[derive(Debug)]
pub struct Cuts {
    reach: watch::Sender<Reach>,
    last: Mutex<()>,
}

/// The process's switch; open until told otherwise.
pub fn cuts() -> &'static Cuts {
    static CUTS: OnceLock<Cuts> = OnceLock::new();
    CUTS.get_or_init(|| Cuts { reach: watch::Sender::new(Reach::All), last: Mutex::new(()) })
}

impl Cuts {
    /// Cuts this process off from every address but these.
    pub fn cut_except(&self, reachable: Vec<IpAddr>) {
        let _order = self.last.lock();
        self.reach.send_replace(Reach::Only(reachable.into_iter().collect()));
    }
    pub fn heal(&self) {
        let _order = self.last.lock();
        self.reach.send_replace(Reach::All);
    }
    pub fn is_cut(&self) -> bool {
        *self.reach.borrow() != Reach::All
    }
    fn allows(&self, ip: IpAddr) -> bool {
        self.reach.borrow().allows(ip)
    }
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the network of this host is cut")
}

/// A TCP connection that ends when its peer is cut off.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    peer: IpAddr,
    changed: Pin<Box<tokio_changes::Changes>>,
}

mod tokio_changes {
    //! A future-like view of the switch that can be polled from `poll_read`.
    use super::{Reach, cuts};
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::sync::watch;

    type Wait = Pin<Box<dyn Future<Output = watch::Receiver<Reach>> + Send + Sync>>;

    pub struct Changes {
        wait: Wait,
    }

    impl std::fmt::Debug for Changes {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Changes")
        }
    }

    fn wait(mut rx: watch::Receiver<Reach>) -> Wait {
        Box::pin(async move {
            // The sender is a static: it is never dropped.
            let _ = rx.changed().await;
            rx
        })
    }

    impl Changes {
        pub fn new() -> Self {
            Changes { wait: wait(cuts().reach.subscribe()) }
        }
        /// Registers the task for the next change; true if there was one since the last call.
        pub fn poll(&mut self, cx: &mut Context<'_>) -> bool {
            let mut any = false;
            while let Poll::Ready(rx) = self.wait.as_mut().poll(cx) {
                any = true;
                self.wait = wait(rx);
            }
            any
        }
    }
}

impl Stream {
    fn new(tcp: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        Ok(Stream { tcp, peer: peer.ip(), changed: Box::pin(tokio_changes::Changes::new()) })
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }

    /// Waits for the first byte and leaves it unread; None at the end of the stream.
    pub async fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.tcp.peek(&mut byte).await? == 1).then_some(byte[0]))
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.changed.poll(cx);
        if cuts().allows(self.peer) { Ok(()) } else { Err(cut_error()) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Err(e) = self.check(cx) {
            return Poll::Ready(Err(e));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    // Writers are always readers too here, so the read side's registration wakes the task on a cut.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if !cuts().allows(self.peer) {
            return Poll::Ready(Err(cut_error()));
        }
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !cuts().allows(self.peer) {
            return Poll::Ready(Err(cut_error()));
        }
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
}

static SOURCE: OnceLock<IpAddr> = OnceLock::new();

/// From now on this process's connections come from its host's own address, so that the other side can tell hosts
/// apart. The first call counts.
pub fn set_source(address: IpAddr) {
    // A second call is one host claiming two addresses: the first stays.
    let _ = SOURCE.set(address);
}

/// Connects from the host's own address, where [`set_source`] has told it.
pub async fn connect(addr: SocketAddr) -> io::Result<Stream> {
    connect_from(SOURCE.get().copied(), addr).await
}

/// Connects from the host's own address, so that the other side can tell hosts apart by address.
pub async fn connect_from(local: Option<IpAddr>, addr: SocketAddr) -> io::Result<Stream> {
    if !cuts().allows(addr.ip()) {
        return Err(cut_error());
    }
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(ip) = local.filter(|ip| ip.is_ipv4() == addr.is_ipv4() && !ip.is_unspecified()) {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    Stream::new(socket.connect(addr).await?, addr)
}

/// Accepts connections, but none from an address that is cut off.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
}

impl Listener {
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        Ok(Listener { tcp: socket.listen(1024)? })
    }
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
    /// The next connection. An error of one connection (it was reset before it was accepted) is not the
    /// listener's; only running out of descriptors and the like comes back, after which the caller may go on.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        loop {
            let (tcp, peer) = self.tcp.accept().await?;
            if !cuts().allows(peer.ip()) {
                continue;
            }
            if let Ok(stream) = Stream::new(tcp, peer) {
                return Ok((stream, peer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    // One test: the switch is the process's.
    #[tokio::test]
    async fn a_cut_ends_open_connections_and_refuses_new_ones_until_healed() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut out = connect(addr).await.unwrap();
        let (mut inn, _) = listener.accept().await.unwrap();
        out.write_all(b"x").await.unwrap();
        assert_eq!(inn.read_u8().await.unwrap(), b'x');

        let waiting = tokio::spawn(async move { inn.read_u8().await });
        tokio::task::yield_now().await;
        cuts().cut_except(vec!["127.0.0.9".parse().unwrap()]);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(out.write_all(b"y").await.is_err());
        assert!(connect(addr).await.is_err());

        cuts().heal();
        let (a, b) = tokio::join!(connect(addr), listener.accept());
        assert!(a.is_ok() && b.is_ok());
    }
}
