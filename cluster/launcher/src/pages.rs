//! Reads nodes' pages and calls their admin sockets: HTTP/1.1, one request a connection.

use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const ANSWER_BYTES_MAX: u64 = 16 << 20;

fn exchange(mut stream: impl Read + Write, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no HTTP status")?;
    Ok((status, body.to_owned()))
}

pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<(u16, String)> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    exchange(stream, "GET", path, "")
}

/// Calls an admin action of the process behind the socket.
pub fn admin(socket: &Path, path: &str, body: &str) -> Result<String> {
    let stream = UnixStream::connect(socket).with_context(|| socket.display().to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    match exchange(stream, "POST", path, body)? {
        (200, answer) => Ok(answer),
        (status, answer) => bail!("{} answers {status}: {answer}", socket.display()),
    }
}
