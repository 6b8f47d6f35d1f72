//! Everything that a front is made of.

use super::{Front, Route};
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
use bytes::Bytes;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Calls of one address that need no signature: at once, and each second.
const UNSIGNED_AT_ONCE: u32 = 200;
const UNSIGNED_PER_S: f64 = 50.0;

/// A front that serves nobody yet.
pub struct FrontBuilder(Front);

impl FrontBuilder {
    pub fn new(
        scope: Scope,
        credentials: Arc<dyn Credentials>,
        authorizer: Arc<dyn Authorizer>,
        recorder: Arc<dyn Recorder>,
        clock: SharedClock,
        registry: &mut Registry,
    ) -> Self {
        let limits = Limits::default();
        FrontBuilder(Front {
            anybody: UNCHECKED.then(|| anybody(&scope.account)),
            authorizer: if UNCHECKED { Arc::new(Unguarded) } else { authorizer },
            bodies: Bodies::new(limits.body_bytes_max, limits.bodies_bytes_max),
            anonymous: Arc::new(Principal::anonymous(scope.account.clone())),
            verifier: Verifier::new(scope.region.as_str(), credentials, clock.clone()),
            scope: Arc::new(scope),
            recorder,
            clock,
            limits,
            metrics: Metrics::register(registry),
            mounts: Mounts::default(),
            routes: Vec::new(),
            ready: Arc::new(|| true),
            usage: Arc::new(Unnoted),
            draining: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            unsigned: Addresses::new(UNSIGNED_AT_ONCE, UNSIGNED_PER_S),
            health: Bytes::new(),
        })
    }

    /// Notes who uses what.
    pub fn usage(mut self, usage: Arc<dyn Usage>) -> Self {
        self.0.usage = usage;
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.bodies = Bodies::new(limits.body_bytes_max, limits.bodies_bytes_max);
        self.0.limits = limits;
        self
    }

    /// Whether this process may be sent requests now; asked by the edge at [`HEALTH_PATH`].
    pub fn ready(mut self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.0.ready = Arc::new(ready);
        self
    }

    pub fn mount<C: Send + Sync>(mut self, service: &'static Service<C>, context: Arc<C>) -> Self {
        self.0.mounts.add(service.target_prefix, Arc::new(Mount::new(service, context, &self.0.metrics)));
        self
    }

    /// Serves everything under a path prefix that begins with `/_`.
    pub fn route(mut self, prefix: &str, route: Arc<dyn Route>) -> Self {
        assert!(prefix.starts_with("/_"), "{prefix} could be an AWS path");
        self.0.routes.push((prefix.to_owned(), route));
        self
    }

    pub fn build(mut self) -> Arc<Front> {
        // The blank at the end is DynamoDB's.
        let health = format!("healthy: {}.{}.amazonaws.com ", self.0.mounts.first_service(), self.0.scope.region);
        self.0.health = health.into();
        Arc::new(self.0)
    }
}
