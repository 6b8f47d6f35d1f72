//! Everything that a front is made of.

use super::{Front, Ready, Route};
use crate::addresses::Addresses;
use crate::audit::Recorder;
use crate::authorize::Authorizer;
use crate::body::Bodies;
use crate::call::Principal;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::mount::Mount;
use crate::mounts::Mounts;
use crate::operation::Service;
use crate::sigv4::{Credentials, Verifier};
use crate::unchecked::{UNCHECKED, Unguarded, anybody};
use crate::usage::{Unnoted, Usage};
use breakwater_types::{Scope, SharedClock};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Calls of one address that need no signature: at once, and each second.
const UNSIGNED_AT_ONCE: u32 = 200;
const UNSIGNED_PER_S: f64 = 50.0;

pub struct FrontBuilder {
    scope: Arc<Scope>,
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
}

impl FrontBuilder {
    pub fn new(
        scope: Scope,
        credentials: Arc<dyn Credentials>,
        authorizer: Arc<dyn Authorizer>,
        recorder: Arc<dyn Recorder>,
        clock: SharedClock,
        registry: &mut Registry,
    ) -> Self {
        FrontBuilder {
            verifier: Verifier::new(scope.region.as_str(), credentials, clock.clone()),
            scope: Arc::new(scope),
            authorizer,
            recorder,
            clock,
            limits: Limits::default(),
            metrics: Metrics::register(registry),
            mounts: Mounts::default(),
            routes: Vec::new(),
            ready: Arc::new(|| true),
            usage: Arc::new(Unnoted),
        }
    }

    /// Notes who uses what.
    pub fn usage(mut self, usage: Arc<dyn Usage>) -> Self {
        self.usage = usage;
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether this process may be sent requests now; asked by the edge at [`HEALTH_PATH`].
    pub fn ready(mut self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.ready = Arc::new(ready);
        self
    }

    pub fn mount<C: Send + Sync>(mut self, service: &'static Service<C>, context: Arc<C>) -> Self {
        self.mounts.add(service.target_prefix, Arc::new(Mount::new(service, context, &self.metrics)));
        self
    }

    /// Serves everything under a path prefix that begins with `/_`.
    pub fn route(mut self, prefix: &str, route: Arc<dyn Route>) -> Self {
        assert!(prefix.starts_with("/_"), "{prefix} could be an AWS path");
        self.routes.push((prefix.to_owned(), route));
        self
    }

    pub fn build(self) -> Arc<Front> {
        // The blank at the end is DynamoDB's.
        let health = format!("healthy: {}.{}.amazonaws.com ", self.mounts.first_service(), self.scope.region);
        Arc::new(Front {
            anybody: UNCHECKED.then(|| anybody(&self.scope.account)),
            authorizer: if UNCHECKED { Arc::new(Unguarded) } else { self.authorizer },
            bodies: Bodies::new(self.limits.body_bytes_max, self.limits.bodies_bytes_max),
            anonymous: Arc::new(Principal::anonymous(self.scope.account.clone())),
            scope: self.scope,
            verifier: self.verifier,
            recorder: self.recorder,
            clock: self.clock,
            limits: self.limits,
            metrics: self.metrics,
            mounts: self.mounts,
            routes: self.routes,
            ready: self.ready,
            usage: self.usage,
            draining: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            unsigned: Addresses::new(UNSIGNED_AT_ONCE, UNSIGNED_PER_S),
            health: health.into(),
        })
    }
}
