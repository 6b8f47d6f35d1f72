//! A front door with a small service of its own, and a client that writes bytes.

// Each test binary uses a part.
#![allow(dead_code)]

use breakwater_aws::{
    Access, Arn, AwsError, Call, Event, FrontBuilder, Limits, Operation, Plane, Principal, Protocol, Recorder,
    RootOnly, Route, RouteBody, SecretKey, SecretKeys, Server, Service, Unrecorded, derive_signing_key, entry,
};
use breakwater_types::{AccountId, Region, Scope, SharedClock, SystemClock};
use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeroize::Zeroizing;

pub const SECRET: &str = "a-secret-for-tests";

/// What the operations share.
pub struct Context {
    pub handled: AtomicUsize,
    /// `Wait` ends when a permit comes.
    pub gate: Semaphore,
}

#[derive(Deserialize)]
pub struct Input {
    #[serde(rename = "Text")]
    text: String,
}

#[derive(Serialize)]
pub struct Output {
    #[serde(rename = "Text")]
    text: String,
}

macro_rules! operation {
    ($name:ident, |$ctx:ident, $call:ident, $input:ident| $body:expr) => {
        struct $name;
        impl Operation for $name {
            type Context = Context;
            type Request = Input;
            type Response = Output;
            const NAME: &'static str = stringify!($name);
            const ACTION: &'static str = concat!("dynamodb:", stringify!($name));
            const ACCESS: Access = Access::Write;
            const PLANE: Plane = Plane::Data;
            const RESOURCE_TYPE: &'static str = "table";
            fn resources(_: &Context, call: &Call, input: &Input) -> Vec<Arn> {
                let name: String = input.text.chars().take(100).collect();
                vec![Arn::new(&call.scope, "dynamodb", &name)]
            }
            async fn handle($ctx: &Arc<Context>, $call: &Call, $input: Input) -> Result<Output, AwsError> {
                $ctx.handled.fetch_add(1, Ordering::SeqCst);
                $body
            }
        }
    };
}

operation!(Echo, |ctx, _call, input| Ok(Output { text: input.text }));
operation!(Fail, |ctx, _call, input| Err(AwsError::client("ResourceNotFoundException", input.text)));
operation!(Panic, |ctx, _call, input| panic!("as asked: {}", input.text.len()));
operation!(Wait, |ctx, _call, input| {
    let permit = ctx.gate.acquire().await.map_err(AwsError::internal)?;
    permit.forget();
    Ok(Output { text: input.text })
});

pub static SERVICE: Service<Context> = Service {
    name: "dynamodb",
    global: false,
    target_prefix: "DynamoDB_20120810",
    model_namespace: "com.amazonaws.dynamodb.v20120810",
    protocol: Protocol::AwsJson10,
    operations: &[entry::<Echo>(), entry::<Fail>(), entry::<Panic>(), entry::<Wait>()],
    missing: &["ExportTableToPointInTime"],
};

/// A page whose answer comes piece by piece, each when a permit comes.
struct Page(Arc<Context>);

impl Route for Page {
    fn serve(
        &self,
        request: http::Request<hyper::body::Incoming>,
        _source: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = http::Response<RouteBody>> + Send>> {
        assert!(!request.uri().path().ends_with("/panic"), "as asked");
        let context = self.0.clone();
        let pieces = futures::stream::unfold(context, |context| async {
            context.gate.acquire().await.ok()?.forget();
            Some((Ok(Frame::data(Bytes::from_static(b"piece\n"))), context))
        });
        let body = StreamBody::new(pieces).boxed();
        Box::pin(async { http::Response::new(body) })
    }
}

pub struct Door {
    pub addr: SocketAddr,
    pub server: Server,
    pub context: Arc<Context>,
    pub ready: Arc<AtomicBool>,
    pub registry: Registry,
    pub clock: SharedClock,
}

pub async fn open(limits: Limits) -> Door {
    open_with(limits, None).await
}

/// As where a trail wants the events of data calls.
struct Hears;

impl Recorder for Hears {
    fn is_active(&self) -> bool {
        true
    }
    fn hears_data(&self) -> bool {
        true
    }
    fn record<'a>(
        &'a self,
        events: Vec<Event>,
        deadline: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<(), AwsError>> + Send + 'a>> {
        Unrecorded.record(events, deadline)
    }
}

pub async fn open_heard(limits: Limits) -> Door {
    open_recorded(limits, None, Arc::new(Hears)).await
}

pub async fn open_with(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>) -> Door {
    open_recorded(limits, tls, Arc::new(Unrecorded)).await
}

async fn open_recorded(limits: Limits, tls: Option<Arc<rustls::ServerConfig>>, recorder: Arc<dyn Recorder>) -> Door {
    let account = AccountId::new("111122223333").unwrap();
    let user = |id: &str, administrator| SecretKey {
        secret: Zeroizing::new(SECRET.to_owned()),
        principal: Arc::new(Principal {
            access_key_id: id.to_owned(),
            account: account.clone(),
            arn: format!("arn:aws:iam::111122223333:user/{id}"),
            identity: if administrator {
                breakwater_aws::Identity::Root
            } else {
                breakwater_aws::Identity::User("ann".to_owned())
            },
            session: None,
        }),
    };
    let keys = Arc::new(SecretKeys::new([user("AKIAADMIN", true), user("AKIAOTHER", false)]));
    let context = Arc::new(Context { handled: AtomicUsize::new(0), gate: Semaphore::new(0) });
    let ready = Arc::new(AtomicBool::new(true));
    let clock = SystemClock::shared();
    let mut registry = Registry::default();
    let scope = Scope::new(account.clone(), Region::new("us-east-1").unwrap());
    let front = FrontBuilder::new(scope, keys, Arc::new(RootOnly), recorder, clock.clone(), &mut registry)
        .limits(limits)
        .ready({
            let ready = ready.clone();
            move || ready.load(Ordering::SeqCst)
        })
        .route("/_page", Arc::new(Page(context.clone())))
        .mount(&SERVICE, context.clone())
        .build();
    let listener = breakwater_net::Listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let server = Server::start(listener, front, tls).unwrap();
    Door { addr: server.local_addr(), server, context, ready, registry, clock }
}

impl Door {
    pub async fn connect(&self) -> Client {
        Client { stream: breakwater_net::connect(self.addr).await.unwrap(), clock: self.clock.clone() }
    }

    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

pub struct Client {
    pub stream: breakwater_net::Stream,
    clock: SharedClock,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|l| l.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)))
            .map(|(_, v)| v.trim())
    }
}

pub fn signed(clock: &SharedClock, key_id: &str, operation: &str, body: &str) -> String {
    let now = time::OffsetDateTime::from_unix_timestamp(clock.unix_s()).unwrap();
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let stamp = now.format(format).unwrap();
    let date = &stamp[..8];
    let target = format!("DynamoDB_20120810.{operation}");
    let names = "content-type;host;x-amz-date;x-amz-target";
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/x-amz-json-1.0\nhost:localhost\nx-amz-date:{stamp}\nx-amz-target:{target}\n\n\
         {names}\n{}",
        hex::encode(Sha256::digest(body))
    );
    let scope = format!("{date}/us-east-1/dynamodb/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = derive_signing_key(SECRET, date, "us-east-1", "dynamodb");
    let signature = hex::encode(key.sign(to_sign.as_bytes()));
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Date: {stamp}\r\n\
         X-Amz-Target: {target}\r\nContent-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={key_id}/{scope}, \
         SignedHeaders={names}, Signature={signature}\r\n\r\n{body}",
        body.len()
    )
}

impl Client {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn call(&mut self, operation: &str, body: &str) -> Reply {
        let request = signed(&self.clock, "AKIAADMIN", operation, body);
        self.send(request).await;
        self.reply().await
    }

    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("an answer")
    }

    /// The next answer; none if the connection ends first.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        read_reply(&mut self.stream).await
    }

    /// Waits for the other side to close; what it still said.
    pub async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.stream.read_to_end(&mut rest)).await;
        let _ = read.expect("closed in time");
        rest
    }
}

pub async fn read_reply(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await.expect("an answer in time");
        head.push(byte.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body: String::new() };
    let length = reply.header("content-length").unwrap_or("0").parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    reply.body = String::from_utf8(body).unwrap();
    Some(reply)
}

/// Polls until it holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not in time: {what}");
}
