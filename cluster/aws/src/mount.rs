//! A service with its context, its types erased: what the front routes to.

use crate::authorize::Authorizer;
use crate::call::Call;
use crate::coverage::UNSIGNED;
use crate::error::AwsError;
use crate::metrics::{Metrics, OperationMetrics};
use crate::operation::{Access, OperationEntry, Plane, Protocol, Service};
use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub struct Names {
    pub service: &'static str,
    pub global: bool,
    pub model_namespace: &'static str,
    pub protocol: Protocol,
}

/// An operation as the front needs it.
pub struct Described<'a> {
    pub name: &'static str,
    pub access: Access,
    pub plane: Plane,
    pub read_only: bool,
    pub tells_answer: bool,
    pub unsigned: bool,
    pub members: fn() -> Option<&'static [&'static str]>,
    pub metrics: &'a OperationMetrics,
}

pub trait Mounted: Send + Sync {
    fn names(&self) -> &Names;
    /// The operation's place in the list.
    fn find(&self, operation: &str) -> Option<usize>;
    fn operation(&self, index: usize) -> Described<'_>;
    fn invoke<'a>(
        &'a self,
        index: usize,
        call: &'a Call,
        body: Bytes,
        authorizer: &'a dyn Authorizer,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, AwsError>> + Send + 'a>>;
}

pub struct Mount<C: 'static> {
    names: Names,
    service: &'static Service<C>,
    context: Arc<C>,
    index: HashMap<&'static str, usize>,
    metrics: Vec<OperationMetrics>,
}

impl<C: Send + Sync> Mount<C> {
    pub fn new(service: &'static Service<C>, context: Arc<C>, metrics: &Metrics) -> Self {
        for operation in service.operations.iter().filter(|operation| operation.unsigned) {
            assert!(UNSIGNED.contains(&(service.name, operation.name)), "{} is open to all", operation.name);
        }
        Mount {
            names: Names {
                service: service.name,
                global: service.global,
                model_namespace: service.model_namespace,
                protocol: service.protocol,
            },
            service,
            context,
            index: service.operations.iter().enumerate().map(|(i, o)| (o.name, i)).collect(),
            metrics: service.operations.iter().map(|o| metrics.operation(service.name, o.name)).collect(),
        }
    }
}

impl<C: Send + Sync> Mounted for Mount<C> {
    fn names(&self) -> &Names {
        &self.names
    }
    fn find(&self, operation: &str) -> Option<usize> {
        self.index.get(operation).copied()
    }
    fn operation(&self, index: usize) -> Described<'_> {
        let &OperationEntry { name, access, plane, read_only, tells_answer, unsigned, members, .. } =
            &self.service.operations[index];
        Described { name, access, plane, read_only, tells_answer, unsigned, members, metrics: &self.metrics[index] }
    }
    fn invoke<'a>(
        &'a self,
        index: usize,
        call: &'a Call,
        body: Bytes,
        authorizer: &'a dyn Authorizer,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, AwsError>> + Send + 'a>> {
        self.service.operations[index].invoke(&self.context, call, body, authorizer)
    }
}
