//! Reads nodes' pages and calls their admin sockets: HTTP/1.1, one request a connection.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// `head` are the request's first lines, the one that names the host among them.
fn exchange(mut stream: impl Read + Write, head: &str, body: &str) -> Result<(u16, String)> {
    write!(stream, "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no HTTP status")?;
    Ok((status, body.to_owned()))
}

fn connect(address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<(u16, String)> {
    exchange(connect(address, timeout)?, &format!("GET {path} HTTP/1.1\r\nHost: node"), "")
}

/// Of an AWS service.
pub fn post(address: SocketAddr, headers: &[(&str, String)], body: &str, timeout: Duration) -> Result<(u16, String)> {
    let headers: String = headers.iter().map(|(name, value)| format!("\r\n{name}: {value}")).collect();
    exchange(connect(address, timeout)?, &format!("POST / HTTP/1.1\r\nHost: {address}{headers}"), body)
}

/// Calls an admin action of the process behind the socket.
pub fn admin(socket: &Path, path: &str, body: &str) -> Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    match exchange(stream, &format!("POST {path} HTTP/1.1\r\nHost: node"), body)? {
        (200, answer) => Ok(answer),
        (status, answer) => bail!("{} (status {status} of {})", answer.trim(), socket.display()),
    }
}
