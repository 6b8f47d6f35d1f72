//! A small client of DynamoDB, and of services that take forms, for load and for histories: one kept-alive connection,
//! requests signed by SigV4.
//!
//! The official clients are tested elsewhere; this one exists because they would cost more than what is measured.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    pub region: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes any key") };
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Signs requests of one service, keeping the day's key.
pub struct Signer {
    key: AccessKey,
    service: &'static str,
    day: String,
    derived: [u8; 32],
}

impl Signer {
    pub fn new(key: AccessKey, service: &'static str) -> Self {
        Signer { key, service, day: String::new(), derived: [0; 32] }
    }

    /// The `X-Amz-Date` and `Authorization` headers of a POST to `/`. `target` is empty for forms.
    pub fn sign(&mut self, now: OffsetDateTime, host: &str, target: &str, body: &[u8]) -> (String, String) {
        let day = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let date = format!("{day}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        if self.day != day {
            let key = hmac(format!("AWS4{}", self.key.secret).as_bytes(), day.as_bytes());
            let key = hmac(&key, self.key.region.as_bytes());
            let key = hmac(&key, self.service.as_bytes());
            self.derived = hmac(&key, b"aws4_request");
            self.day.clone_from(&day);
        }
        let (line, names) = match target {
            "" => (String::new(), "host;x-amz-date"),
            _ => (format!("x-amz-target:{target}\n"), "host;x-amz-date;x-amz-target"),
        };
        let canonical = format!(
            "POST\n/\n\nhost:{host}\nx-amz-date:{date}\n{line}\n{names}\n{}",
            hex::encode(Sha256::digest(body))
        );
        let scope = format!("{day}/{}/{}/aws4_request", self.key.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let signature = hex::encode(hmac(&self.derived, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.key.id
        );
        (date, authorization)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No byte of the request went out.
    #[error("not sent: {0}")]
    NotSent(std::io::Error),
    #[error("no answer: {0}")]
    NoAnswer(String),
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

pub struct Client {
    address: SocketAddr,
    host: String,
    signer: Signer,
    stream: Option<TcpStream>,
    timeout: Duration,
    buffer: Vec<u8>,
}

impl Client {
    /// Of DynamoDB.
    pub fn new(address: SocketAddr, key: AccessKey, timeout: Duration) -> Self {
        Self::of(address, key, "dynamodb", timeout)
    }

    pub fn of(address: SocketAddr, key: AccessKey, service: &'static str, timeout: Duration) -> Self {
        Client {
            address,
            host: address.to_string(),
            signer: Signer::new(key, service),
            stream: None,
            timeout,
            buffer: Vec::with_capacity(64 << 10),
        }
    }

    /// Calls an operation, as `PutItem`.
    pub async fn call(&mut self, operation: &str, body: &[u8]) -> Result<Answer, RequestError> {
        let target = format!("DynamoDB_20120810.{operation}");
        self.send(&target, &format!("application/x-amz-json-1.0\r\nX-Amz-Target: {target}"), body).await
    }

    /// Calls an operation of a service that takes forms, as `Action=CreateUser&Version=2010-05-08&UserName=ann`.
    pub async fn form(&mut self, form: &str) -> Result<Answer, RequestError> {
        self.send("", "application/x-www-form-urlencoded", form.as_bytes()).await
    }

    async fn send(&mut self, target: &str, content_type: &str, body: &[u8]) -> Result<Answer, RequestError> {
        let (date, authorization) = self.signer.sign(OffsetDateTime::now_utc(), &self.host, target, body);
        let mut request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: {content_type}\r\nX-Amz-Date: {date}\r\n\
             Authorization: {authorization}\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.exchange(&request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(e)) => {
                self.stream = None;
                Err(e)
            }
            Err(_) => {
                self.stream = None;
                Err(RequestError::NoAnswer("no answer in time".to_owned()))
            }
        }
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, RequestError> {
        let no_answer = |e: std::io::Error| RequestError::NoAnswer(e.to_string());
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.map_err(RequestError::NotSent)?;
            stream.set_nodelay(true).map_err(RequestError::NotSent)?;
            self.stream = Some(stream);
        }
        let Some(stream) = self.stream.as_mut() else { unreachable!("connected above") };
        stream.write_all(request).await.map_err(no_answer)?;
        self.buffer.clear();
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if stream.read_buf(&mut self.buffer).await.map_err(no_answer)? == 0 {
                return Err(RequestError::NoAnswer("the connection was closed".to_owned()));
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|l| l.split(' ').nth(1)?.parse().ok())
            .ok_or_else(|| RequestError::NoAnswer("no status line".to_owned()))?;
        let mut length = 0;
        let mut close = false;
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(|_| RequestError::NoAnswer("bad length".to_owned()))?;
            } else if name.eq_ignore_ascii_case("connection") && value.trim().eq_ignore_ascii_case("close") {
                close = true;
            }
        }
        let body_at = head_end + 4;
        while self.buffer.len() < body_at + length {
            if stream.read_buf(&mut self.buffer).await.map_err(no_answer)? == 0 {
                return Err(RequestError::NoAnswer("the connection was closed".to_owned()));
            }
        }
        let body = self.buffer[body_at..body_at + length].to_vec();
        if close {
            self.stream = None;
        }
        Ok(Answer { status, body })
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
