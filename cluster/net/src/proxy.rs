//! PROXY protocol, version 2: a forwarder says in front of a connection whose it is.
//! <https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>
//!
//! Read only where the connection comes from a forwarder that is trusted: anybody can write such a header.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What a header begins with, and neither HTTP nor TLS.
pub const FIRST_BYTE: u8 = SIGNATURE[0];
/// With this header a server of HTTP tells a forwarder that it reads version 2.
pub const ACCEPTED: &str = "x-breakwater-proxy-protocol";
const HEAD_BYTES: usize = 16;
/// Addresses and extensions; the protocol says that more has no place in a first segment.
const BODY_BYTES_MAX: usize = 536 - HEAD_BYTES;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl From<Malformed> for io::Error {
    fn from(e: Malformed) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, format!("PROXY header: {}", e.0))
    }
}

/// For a connection from `source` that was made to `destination`.
pub fn header(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.push(PROXY);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend([TCP4, 0, 12]);
            out.extend(from.octets());
            out.extend(to.octets());
        }
        (from, to) => {
            let v6 = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            out.extend([TCP6, 0, 36]);
            out.extend(v6(from).octets());
            out.extend(v6(to).octets());
        }
    }
    out.extend(source.port().to_be_bytes());
    out.extend(destination.port().to_be_bytes());
    out
}

/// How long what follows the head is.
fn body_length(head: &[u8; HEAD_BYTES]) -> Result<usize, Malformed> {
    if head[..12] != SIGNATURE[..] {
        return Err(Malformed("another signature"));
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > BODY_BYTES_MAX {
        return Err(Malformed("too long"));
    }
    Ok(length)
}

/// Extensions: what they say is nothing to us, but they have to be whole.
fn check_extensions(mut rest: &[u8]) -> Result<(), Malformed> {
    while let Some((_kind, after)) = rest.split_first() {
        let (length, after) = after.split_first_chunk().ok_or(Malformed("an extension without a length"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        rest = after.get(length..).ok_or(Malformed("an extension that is cut off"))?;
    }
    Ok(())
}

/// The source that a whole header names; none where the forwarder speaks for itself.
pub fn parse(header: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let (head, body) = header.split_first_chunk::<HEAD_BYTES>().ok_or(Malformed("cut off"))?;
    if body.len() != body_length(head)? {
        return Err(Malformed("another length than it says"));
    }
    let cut_off = || Malformed("addresses that are cut off");
    let (source, rest) = match (head[12], head[13]) {
        (LOCAL, _) => return check_extensions(body).map(|()| None),
        (PROXY, TCP4) => {
            let (addresses, rest) = body.split_first_chunk::<12>().ok_or_else(cut_off)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            (SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])), rest)
        }
        (PROXY, TCP6) => {
            let (addresses, rest) = body.split_first_chunk::<36>().ok_or_else(cut_off)?;
            let (from, ports) = addresses.split_first_chunk::<16>().ok_or_else(cut_off)?;
            let port = u16::from_be_bytes([ports[16], ports[17]]);
            (SocketAddr::new(IpAddr::V6(Ipv6Addr::from(*from)).to_canonical(), port), rest)
        }
        (PROXY, _) => return Err(Malformed("not of a TCP connection")),
        _ => return Err(Malformed("another version or command")),
    };
    check_extensions(rest)?;
    match source.ip().is_unspecified() || source.ip().is_multicast() {
        true => Err(Malformed("from nobody's address")),
        false => Ok(Some(source)),
    }
}

/// Takes a header off a connection, and nothing of what follows it. The caller bounds the time.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head).await?;
    let mut whole = head.to_vec();
    whole.resize(HEAD_BYTES + body_length(&head)?, 0);
    stream.read_exact(&mut whole[HEAD_BYTES..]).await?;
    Ok(parse(&whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        any::<(IpAddr, u16)>().prop_map(SocketAddr::from)
    }

    fn nobody(ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_unspecified() || ip.is_multicast()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(source in address(), destination in address(), kind: u8, value in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut header = header(source, destination);
            let canonical = SocketAddr::new(source.ip().to_canonical(), source.port());
            let expected = if nobody(source.ip()) { Err(Malformed("from nobody's address")) } else { Ok(Some(canonical)) };
            prop_assert_eq!(parse(&header), expected);
            // With an extension too, and never where something is missing.
            header.push(kind);
            header.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            header.extend(&value);
            let length = u16::try_from(header.len() - HEAD_BYTES).unwrap();
            header[14..16].copy_from_slice(&length.to_be_bytes());
            if !nobody(source.ip()) {
                prop_assert_eq!(parse(&header), Ok(Some(canonical)));
            }
            for end in 0..header.len() {
                prop_assert!(parse(&header[..end]).is_err());
            }
        }

        #[test]
        fn anything_may_come(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
            let _ = parse(&[SIGNATURE, &bytes[..]].concat());
        }
    }

    #[test]
    fn only_whole_headers_of_tcp_connections_are_read() {
        let good = header("192.0.2.1:4000".parse().unwrap(), "127.0.0.1:4566".parse().unwrap());
        assert_eq!(parse(&good), Ok(Some("192.0.2.1:4000".parse().unwrap())));
        for (at, byte) in
            [(0, b'G'), (11, b'\r'), (12, 0x11), (12, 0x22), (13, 0x12), (13, 0x31), (13, 0), (15, 11), (15, 13)]
        {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(parse(&bad).is_err(), "byte {at} = {byte:#x}");
        }
        let mut local = good.clone();
        local[12] = LOCAL;
        local.truncate(HEAD_BYTES);
        local[15] = 0;
        assert_eq!(parse(&local), Ok(None));
    }

    #[tokio::test]
    async fn nothing_is_read_of_what_follows_and_no_more_than_fits() {
        let header = header("[2001:db8::1]:1".parse().unwrap(), "127.0.0.1:4566".parse().unwrap());
        let mut stream = &[&header[..], b"GET / HTTP/1.1\r\n"].concat()[..];
        assert_eq!(read(&mut stream).await.unwrap(), Some("[2001:db8::1]:1".parse().unwrap()));
        assert_eq!(stream, b"GET / HTTP/1.1\r\n");
        let mut long = header.clone();
        long[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(read(&mut &long[..]).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&mut &header[..20]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
