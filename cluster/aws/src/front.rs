//! The way of a request: read → route → authenticate → decode → authorize → operation → encode.
//!
//! A [`Front`] is the process's; any number of [`crate::server::Server`]s (with TLS and without) may stand before it.

mod builder;

pub use builder::FrontBuilder;

use crate::addresses::Addresses;
use crate::answer::{self, Answer};
use crate::audit::{self, Pending, Recorder};
use crate::authorize::Authorizer;
use crate::body::{Bodies, BodyError, HeldBody, Room};
use crate::call::{Call, Principal, RequestId};
use crate::connection::{AnswerBody, Connection, Phase, RouteBody};
use crate::error::AwsError;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::mount::{Described, Mounted};
use crate::mounts::{Asked, Mounts};
use crate::operation::{Access, Plane, Protocol};
use crate::query::{self, Form};
use crate::sigv4::{self, GLOBAL_REGION, SignedRequest, Verifier};
use crate::usage::{Usage, Used};
use breakwater_types::{AccountId, Scope, SharedClock};
use bytes::Bytes;
use futures::FutureExt;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

/// How long an event of a call without time may take.
const RECORDING: Duration = Duration::from_secs(1);

/// The edge asks here whether requests may be sent to this process.
pub const HEALTH_PATH: &str = "/_breakwater/health";

/// Pages on the same port that are not AWS's, as the console: everything under a path that begins with `/_`.
/// An answer without an end should write something now and then: a client that left may show in no other way.
/// Where the client speaks TLS, the request's extensions hold [`audit::Tls`].
pub trait Route: Send + Sync + 'static {
    fn serve(
        &self,
        request: Request<Incoming>,
        source: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = Response<RouteBody>> + Send>>;
}

/// Where a call comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub request_id: RequestId,
    pub source: SocketAddr,
    /// Where the client spoke TLS.
    pub tls: Option<audit::Tls>,
    /// The host that the client named.
    pub host: Option<String>,
    pub user_agent: Option<http::HeaderValue>,
}

/// Whose caller hung up leaves an event too.
struct Unanswered<'a> {
    recorder: &'a Arc<dyn Recorder>,
    call: &'a Call,
    armed: bool,
}

impl Unanswered<'_> {
    fn disarm(&mut self) {
        self.armed = false;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(pending) = self.call.audit.as_ref().filter(|pending| self.armed && !pending.is_written()) else {
            return;
        };
        if pending.data.is_some() {
            // Only where this process ends, or a handler panicked.
            return self.recorder.offer(self.call, Err(&AwsError::internal("the call was given up")));
        }
        // What it has done by then, if anything, tells of itself under the same id.
        let events = self.call.events(Err(&AwsError::internal("the caller hung up")));
        let recorder = self.recorder.clone();
        tokio::spawn(async move {
            if let Err(e) = recorder.record(events, Instant::now() + RECORDING).await {
                tracing::warn!(error = %e, "the event of a call without an answer is lost");
            }
        });
    }
}

type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

pub struct Front {
    scope: Arc<Scope>,
    /// Who calls what needs no signature.
    anonymous: Arc<Principal>,
    verifier: Verifier,
    authorizer: Arc<dyn Authorizer>,
    recorder: Arc<dyn Recorder>,
    clock: SharedClock,
    limits: Limits,
    metrics: Metrics,
    mounts: Mounts,
    routes: Vec<(String, Arc<dyn Route>)>,
    ready: Ready,
    usage: Arc<dyn Usage>,
    /// Only where nothing is checked.
    anybody: Option<Arc<Principal>>,
    draining: AtomicBool,
    in_flight: AtomicUsize,
    /// Calls that need no signature: anybody can send them, and each costs a verification and leaves an event.
    unsigned: Addresses,
    bodies: Bodies,
    health: Bytes,
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front").field("scope", &self.scope).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A request, as it was read.
struct Came<'a> {
    parts: &'a Parts,
    body: &'a Bytes,
    /// The address's query, where that is the form.
    query: Option<&'a str>,
    request_id: RequestId,
    source: SocketAddr,
    connection: &'a Connection,
    content_type: &'static str,
}

/// One place among the requests in flight, with the place of its body: kept for as long as the call is worked on, also where
/// its caller has left.
struct Slot {
    front: Arc<Front>,
    room: Room,
}

impl Slot {
    fn take(front: &Arc<Front>, room: Room) -> Option<Self> {
        if front.in_flight.fetch_add(1, Ordering::Relaxed) >= front.limits.in_flight_max {
            front.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        front.metrics.in_flight.inc();
        Some(Slot { front: front.clone(), room })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // First: who sees that nothing is in flight finds room.
        drop(std::mem::take(&mut self.room));
        self.front.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.front.metrics.in_flight.dec();
    }
}

impl Front {
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// From now on the health page says no, and every answer closes its connection.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub fn is_ready(&self) -> bool {
        !self.is_draining() && (self.ready)()
    }

    /// Answers one request. An error means that the connection is of no more use: the body ended early.
    pub async fn serve(
        self: &Arc<Self>,
        request: Request<Incoming>,
        source: SocketAddr,
        connection: &Arc<Connection>,
    ) -> Result<Response<AnswerBody>, BodyError> {
        connection.enter(Phase::Body);
        if request.uri().path().starts_with("/_") {
            return Ok(self.serve_route(request, source, connection).await);
        }
        let request_id = RequestId::random();
        let (parts, incoming) = request.into_parts();
        let mut response = match self.answer(&parts, incoming, request_id, source, connection).await? {
            Answer::Body { content_type, status, body } => answer::json(&request_id, content_type, status, body),
            Answer::Health => answer::plain(&request_id, StatusCode::OK, self.health.clone()),
            Answer::NotFound => answer::not_found(&request_id),
            Answer::NotServed => answer::not_served(&request_id),
            Answer::Preflight => answer::preflight(&request_id, &parts.headers),
            Answer::TooLarge => answer::too_large(&request_id, self.limits.body_bytes_max),
        };
        if parts.headers.contains_key(header::ORIGIN) {
            answer::allow_origin(response.headers_mut());
        }
        if self.is_draining() {
            answer::close(response.headers_mut());
        }
        connection.enter(Phase::Answering);
        Ok(response)
    }

    /// Whether it is signed for a service that isn't served here, as S3's `GET /` is.
    fn is_for_another(&self, parts: &Parts) -> bool {
        let service = sigv4::service_of(&parts.headers, parts.uri.query());
        service.is_some_and(|service| !self.mounts.serves(&service))
    }

    async fn answer(
        self: &Arc<Self>,
        parts: &Parts,
        incoming: Incoming,
        request_id: RequestId,
        source: SocketAddr,
        connection: &Connection,
    ) -> Result<Answer, BodyError> {
        // The Query protocol's other form: everything in the address, often signed there beforehand.
        let query = parts.uri.query().filter(|query| self.mounts.has_queries() && query::names_action(query));
        let query = query.filter(|_| parts.method == Method::GET && parts.uri.path() == "/");
        if query.is_none() && (parts.method != Method::POST || parts.uri.path() != "/") {
            let headers = &parts.headers;
            return Ok(match parts.method {
                Method::OPTIONS if headers.contains_key(header::ORIGIN) => Answer::Preflight,
                _ if self.is_for_another(parts) => {
                    self.metrics.refused(self.mounts.first_service(), "NotImplemented".into());
                    Answer::NotServed
                }
                Method::GET if parts.uri.path() == "/" => Answer::Health,
                _ => {
                    self.metrics.refused(self.mounts.first_service(), "UnknownOperationException".into());
                    Answer::NotFound
                }
            });
        }
        let HeldBody { bytes: body, room } = match self.bodies.read(&parts.headers, incoming).await {
            Ok(held) => held,
            Err(BodyError::TooLarge) => {
                self.metrics.refused(self.mounts.first_service(), "RequestEntityTooLarge".into());
                return Ok(Answer::TooLarge);
            }
            Err(BodyError::NoRoom) => return Ok(self.refuse(None, AwsError::throttling(), "", &request_id)),
            Err(e @ BodyError::Lost(_)) => return Err(e),
        };
        connection.enter(Phase::Busy);
        let content_type = match query {
            Some(_) => Some(Protocol::Query.content_type()),
            None => answer::content_type(&parts.headers, body.is_empty(), self.mounts.has_queries()),
        };
        let Some(content_type) = content_type else { return Ok(Answer::NotFound) };
        let Some(slot) = Slot::take(self, room) else {
            return Ok(self.refuse(None, AwsError::throttling(), content_type, &request_id));
        };
        let came = Came { parts, body: &body, query, request_id, source, connection, content_type };
        let work = AssertUnwindSafe(self.work(came, slot));
        Ok(match work.catch_unwind().await {
            Ok(answer) => answer,
            Err(panic) => {
                let what = panic_text(&*panic);
                tracing::error!(%request_id, panic = what, "a handler panicked");
                self.refuse(None, AwsError::internal("panic"), content_type, &request_id)
            }
        })
    }

    async fn work(self: &Arc<Self>, came: Came<'_>, slot: Slot) -> Answer {
        let Came { parts, body, query, request_id, source, connection, content_type } = came;
        let asked = if let Some(query) = query {
            Form::of_address(query).and_then(|form| self.mounts.find_query(form))
        } else if content_type == Protocol::Query.content_type() {
            Form::parse(body).and_then(|form| self.mounts.find_query(form))
        } else {
            self.mounts.find_target(&parts.headers).ok_or_else(AwsError::unknown_operation)
        };
        let Asked { mount, index, form } = match asked {
            Ok(found) => found,
            Err(e) => return self.refuse(None, e, content_type, &request_id),
        };
        let names = mount.names();
        if content_type != "application/json" && content_type != names.protocol.content_type() {
            return Answer::NotFound;
        }
        let Described { name: operation, unsigned, .. } = mount.operation(index);
        let signed = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            body,
        };
        let verified = match &self.anybody {
            Some(anybody) => Ok(anybody.clone()),
            None if unsigned => match self.unsigned.take(source.ip(), Instant::now()) {
                true => Ok(self.anonymous.clone()),
                false => Err(AwsError::throttling()),
            },
            None => self.verifier.verify(names.service, names.global, &signed),
        };
        let principal = match verified {
            Ok(principal) => principal,
            Err(e) => return self.refuse(Some(&**mount), e, content_type, &request_id),
        };
        let body = match form.map(Form::into_json).transpose() {
            Ok(json) => json.map_or_else(|| body.clone(), Bytes::from),
            Err(e) => return self.refuse(Some(&**mount), e, content_type, &request_id),
        };
        let origin = Origin {
            request_id,
            source,
            tls: connection.tls.get().cloned(),
            host: parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned),
            user_agent: parts.headers.get(header::USER_AGENT).cloned(),
        };
        let result = self.perform(mount, index, principal, body, origin, slot).await;
        let result = result.and_then(|json| match names.protocol {
            Protocol::Query => {
                query::answer(operation, names.model_namespace, request_id.as_str(), &json).map(Into::into)
            }
            Protocol::AwsJson10 | Protocol::AwsJson11 => Ok(json),
        });
        match result {
            Ok(body) => Answer::Body { content_type, status: StatusCode::OK, body: body.into() },
            Err(e) => {
                if e.status >= 500 {
                    let cause = e.cause.as_deref().unwrap_or_default();
                    tracing::warn!(%request_id, service = names.service, operation, code = %e.code, cause, "failed");
                }
                answer::error(&e, names.model_namespace, content_type, &request_id)
            }
        }
    }

    /// From a known caller to the answer: authorize → operation → event. The body is JSON.
    async fn perform(
        self: &Arc<Self>,
        mount: &Arc<dyn Mounted>,
        index: usize,
        principal: Arc<Principal>,
        body: Bytes,
        origin: Origin,
        slot: Slot,
    ) -> Result<Vec<u8>, AwsError> {
        let begun = Instant::now();
        let names = mount.names();
        let Described { name: operation, access, plane, read_only, tells_answer, members, .. } = mount.operation(index);
        let changes = !matches!(access, Access::List | Access::Read);
        if plane == Plane::Control && changes && !self.recorder.has_room() {
            return Err(AwsError::throttling().with_cause("too many audit events wait"));
        }
        let request_id = origin.request_id;
        let span = tracing::info_span!(
            target: "breakwater::request", "request", otel.kind = "server", service = names.service, operation, %request_id
        );
        let data = (plane == Plane::Data && self.recorder.hears_data()).then(|| body.clone());
        let audited = data.is_some() || plane == Plane::Control && self.recorder.is_active();
        let secure = origin.tls.is_some();
        let received_unix_ms = self.clock.unix_ms();
        self.usage.used(&Used {
            service: names.service,
            operation,
            plane,
            principal: &principal,
            region: if names.global { GLOBAL_REGION } else { self.scope.region.as_str() },
            unix_s: received_unix_ms.div_euclid(1_000),
        });
        let audit = audited.then(|| {
            Arc::new(Pending {
                id: audit::new_id(),
                service: names.service,
                operation,
                read_only,
                tells_answer,
                query: names.protocol == Protocol::Query,
                region: if names.global { GLOBAL_REGION.to_owned() } else { self.scope.region.to_string() },
                principal_id: self.authorizer.unique_id(&principal),
                host: origin.host,
                tls: origin.tls,
                request: match data {
                    None if body.len() > audit::TOLD_BODY_BYTES_MAX => audit::omitted(body.len()),
                    None => {
                        let mut request = serde_json::from_slice(&body).unwrap_or_default();
                        crate::members::keep(&mut request, members());
                        request
                    }
                    Some(_) => serde_json::Value::Null,
                },
                more: Default::default(),
                data,
                resources: Default::default(),
                federated: Default::default(),
                written: AtomicBool::new(false),
            })
        });
        let call = Call {
            request_id,
            scope: self.scope_of(&principal.account),
            principal,
            deadline: begun + self.limits.request_deadline,
            source: origin.source,
            secure,
            user_agent: origin.user_agent,
            received_unix_ms,
            clock: self.clock.clone(),
            span,
            audit,
        };
        let outlives = call.audit.as_ref().is_some_and(|audit| audit.data.is_some());
        let done = self.clone().finish(mount.clone(), index, call, body, begun, slot);
        match outlives {
            // Its event has to tell what became of it, also where the caller doesn't wait.
            true => tokio::spawn(done).await.unwrap_or_else(|e| Err(AwsError::internal(e))),
            false => done.await,
        }
    }

    /// The operation, and its event.
    async fn finish(
        self: Arc<Self>,
        mount: Arc<dyn Mounted>,
        index: usize,
        call: Call,
        body: Bytes,
        begun: Instant,
        _slot: Slot,
    ) -> Result<Vec<u8>, AwsError> {
        let mut unanswered = Unanswered { recorder: &self.recorder, call: &call, armed: true };
        let invoked = mount.invoke(index, &call, body, &*self.authorizer).instrument(call.span.clone());
        // Caught here and not only above, so that the operation's metrics count it.
        let caught = tokio::time::timeout_at(call.deadline, AssertUnwindSafe(invoked).catch_unwind()).await;
        let result = match caught {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(AwsError::internal(format_args!("panic: {}", panic_text(&*panic)))),
            Err(_) => Err(AwsError::internal("the deadline passed")),
        };
        let result = self.recorded(&call, result).await;
        unanswered.disarm();
        mount.operation(index).metrics.answered(result.as_ref().err().map(|e| &e.code), begun.elapsed().as_secs_f64());
        result
    }

    /// A call from inside this process, for somebody who was authenticated in another way than by a signature, as the
    /// console's pages are: authorized, counted and audited like any other. Takes and gives the operation's JSON.
    pub async fn call(
        self: &Arc<Self>,
        service: &str,
        operation: &str,
        principal: Arc<Principal>,
        body: Bytes,
        origin: Origin,
    ) -> Result<Vec<u8>, AwsError> {
        let Asked { mount, index, .. } =
            self.mounts.named(service, operation).ok_or_else(AwsError::unknown_operation)?;
        let Some(slot) = Slot::take(self, Room::default()) else { return Err(AwsError::throttling()) };
        self.perform(mount, index, principal, body, origin, slot).await
    }

    /// Nothing that has to leave an event is answered before it is kept.
    async fn recorded(&self, call: &Call, result: Result<Vec<u8>, AwsError>) -> Result<Vec<u8>, AwsError> {
        let Some(pending) = call.audit.as_ref().filter(|pending| !pending.is_written()) else { return result };
        if pending.data.is_some() {
            self.recorder.offer(call, result.as_ref().map(|_| ()));
            return result;
        }
        let events = match &result {
            Ok(_) if !pending.tells_answer => call.events(Ok(&serde_json::Value::Null)),
            Ok(json) => call.events(Ok(&serde_json::from_slice(json).unwrap_or_default())),
            Err(e) => call.events(Err(e)),
        };
        // Also a call that took all of its time leaves one.
        let deadline = call.deadline.max(Instant::now() + RECORDING);
        self.recorder.record(events, deadline).await?;
        result
    }

    /// A caller acts in her own account.
    fn scope_of(&self, account: &AccountId) -> Arc<Scope> {
        if *account == self.scope.account {
            return self.scope.clone();
        }
        Arc::new(Scope { account: account.clone(), ..(*self.scope).clone() })
    }

    /// An error before any operation had the request.
    fn refuse(
        &self,
        mount: Option<&dyn Mounted>,
        e: AwsError,
        content_type: &'static str,
        request_id: &RequestId,
    ) -> Answer {
        let service = mount.map_or(self.mounts.first_service(), |m| m.names().service);
        if e.status >= 500 {
            tracing::warn!(service, code = %e.code, cause = e.cause.as_deref().unwrap_or_default(), "failed");
        }
        self.metrics.refused(service, e.code.clone());
        let model = mount.map_or("", |m| m.names().model_namespace);
        let content_type = if content_type.is_empty() { "application/x-amz-json-1.0" } else { content_type };
        answer::error(&e, model, content_type, request_id)
    }

    async fn serve_route(
        &self,
        mut request: Request<Incoming>,
        source: SocketAddr,
        connection: &Arc<Connection>,
    ) -> Response<AnswerBody> {
        let path = request.uri().path();
        if path == HEALTH_PATH {
            connection.enter(Phase::Answering);
            let mut response = answer::health(self.is_ready());
            if self.is_draining() {
                answer::close(response.headers_mut());
            }
            return response;
        }
        let found = self.routes.iter().find(|(prefix, _)| {
            path.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let Some((_, route)) = found else {
            connection.enter(Phase::Answering);
            return answer::not_found(&RequestId::random());
        };
        if let Some(tls) = connection.tls.get() {
            request.extensions_mut().insert(tls.clone());
        }
        let served = AssertUnwindSafe(async { route.serve(request, source).await }).catch_unwind().await;
        match served {
            Ok(response) => {
                connection.enter(Phase::Streaming);
                response.map(|body| AnswerBody::Route { body, connection: connection.clone() })
            }
            Err(panic) => {
                tracing::error!(panic = panic_text(&*panic), "a page panicked");
                connection.enter(Phase::Answering);
                answer::failed()
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}
