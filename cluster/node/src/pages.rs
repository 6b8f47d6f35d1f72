//! What a node shows of itself (metrics, health, status) and, on a socket that only its owner can open, what a test
//! may do to it.

use crate::process::Process;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::{Mutex, RwLock};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

type Action = Arc<dyn Fn(Bytes) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;
type Status = Arc<dyn Fn() -> Value + Send + Sync>;

/// Why the node isn't ready, or nothing if it is.
pub type Readiness = Arc<Mutex<Option<String>>>;

#[derive(Clone)]
pub struct Pages {
    registry: Arc<RwLock<Registry>>,
    status: Arc<RwLock<Option<Status>>>,
    actions: Arc<RwLock<HashMap<String, Action>>>,
    facts: Arc<Value>,
    not_ready: Readiness,
}

const BODY_BYTES_MAX: usize = 64 << 10;
const HEADERS: Duration = Duration::from_secs(5);

impl Pages {
    /// `facts` stand in every status: name, kind, zone.
    pub fn new(facts: Value) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        Pages {
            registry: Arc::new(RwLock::new(registry)),
            status: Arc::default(),
            actions: Arc::default(),
            facts: Arc::new(facts),
            not_ready: Arc::new(Mutex::new(Some("starting".to_owned()))),
        }
    }

    /// Adds metrics.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.registry.write());
    }

    /// From now on `/status` shows this too.
    pub fn set_status(&self, status: impl Fn() -> Value + Send + Sync + 'static) {
        *self.status.write() = Some(Arc::new(status));
    }

    pub fn ready(&self) {
        *self.not_ready.lock() = None;
    }

    pub fn not_ready(&self, why: impl Into<String>) {
        *self.not_ready.lock() = Some(why.into());
    }

    pub fn is_ready(&self) -> bool {
        self.not_ready.lock().is_none()
    }

    /// An action on the admin socket: `POST /path` with JSON.
    pub fn action<F>(&self, path: &str, act: impl Fn(Bytes) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        self.actions.write().insert(path.to_owned(), Arc::new(move |body| Box::pin(act(body))));
    }

    fn status(&self) -> Value {
        let mut status = (*self.facts).clone();
        let reason = self.not_ready.lock().clone();
        if let Value::Object(fields) = &mut status {
            fields.insert("ready".to_owned(), reason.is_none().into());
            fields.insert("reason".to_owned(), reason.into());
            fields.insert("pid".to_owned(), std::process::id().into());
            fields.insert("cut".to_owned(), breakwater_net::cuts().is_cut().into());
            let source = self.status.read().clone();
            if let Some(Value::Object(more)) = source.map(|source| source()) {
                fields.extend(more);
            }
        }
        status
    }

    fn page(&self, path: &str) -> Response<Full<Bytes>> {
        match path {
            "/metrics" => {
                let mut text = String::new();
                match prometheus_client::encoding::text::encode(&mut text, &self.registry.read()) {
                    Ok(()) => answer(
                        StatusCode::OK,
                        "application/openmetrics-text; version=1.0.0; charset=utf-8",
                        text.into(),
                    ),
                    Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics failed".into()),
                }
            }
            "/live" => answer(StatusCode::OK, "text/plain", "live\n".into()),
            "/ready" => match self.not_ready.lock().clone() {
                None => answer(StatusCode::OK, "text/plain", "ready\n".into()),
                Some(why) => answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n").into()),
            },
            "/status" => answer(StatusCode::OK, "application/json", self.status().to_string().into()),
            _ => answer(StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
        }
    }

    async fn act(&self, path: &str, body: Bytes) -> Response<Full<Bytes>> {
        let done = match path {
            "/faults/cut" => cut(&body),
            "/faults/heal" => {
                breakwater_net::cuts().heal();
                Ok(Value::Null)
            }
            "/faults/arm" => breakwater_types::faults::arm(&String::from_utf8_lossy(&body))
                .map(|()| Value::Null)
                .map_err(|e| e.to_string()),
            _ => {
                let action = self.actions.read().get(path).cloned();
                match action {
                    Some(action) => action(body).await,
                    None => return answer(StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
                }
            }
        };
        match done {
            Ok(value) => answer(StatusCode::OK, "application/json", value.to_string().into()),
            Err(why) => answer(StatusCode::BAD_REQUEST, "text/plain", format!("{why}\n").into()),
        }
    }

    /// Serves metrics, health and status.
    pub async fn serve(&self, address: SocketAddr) -> std::io::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        let pages = self.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => pages.clone().connection(stream, false),
                    Err(e) => pause(&e).await,
                }
            }
        });
        Ok(bound)
    }

    /// Serves the same and the admin actions, on a socket of mode 0600.
    pub fn serve_admin(&self, path: &Path) -> std::io::Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = tokio::net::UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let pages = self.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => pages.clone().connection(stream, true),
                    Err(e) => pause(&e).await,
                }
            }
        });
        Ok(())
    }

    fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, admin: bool) {
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let pages = self.clone();
                async move { Ok::<_, std::convert::Infallible>(pages.answer(request, admin).await) }
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(e) = served {
                tracing::debug!(error = %e, "a page's reader went away");
            }
        });
    }

    async fn answer(&self, request: Request<Incoming>, admin: bool) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        match *request.method() {
            Method::GET => self.page(&path),
            Method::POST if admin => match Limited::new(request.into_body(), BODY_BYTES_MAX).collect().await {
                Ok(body) => self.act(&path, body.to_bytes()).await,
                Err(e) => answer(StatusCode::BAD_REQUEST, "text/plain", format!("{e}\n").into()),
            },
            _ => answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "not allowed\n".into()),
        }
    }
}

fn cut(body: &[u8]) -> Result<Value, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cut {
        except: Vec<IpAddr>,
    }
    let cut: Cut = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    tracing::warn!(except = ?cut.except, "cut off");
    breakwater_net::cuts().cut_except(cut.except);
    Ok(json!(null))
}

async fn pause(e: &std::io::Error) {
    tracing::warn!(error = %e, "can't accept connections");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    response
}
