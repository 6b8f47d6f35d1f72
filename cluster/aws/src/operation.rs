//! One AWS operation, and the list of them that makes a service.
//!
//! An operation is a unit type that implements [`Operation`] in a file of its own; the service lists
//! `entry::<PutItem>()` once. Routing, authorization, metrics, audit and the coverage table come from that list.

use crate::arn::Arn;
use crate::authorize::{About, Authorizer, ResourcePolicy};
use crate::call::{Call, Federated};
use crate::error::AwsError;
use crate::json;
use breakwater_policy::Context as ConditionKeys;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// IAM's access levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    List,
    Read,
    Write,
    Tagging,
    PermissionsManagement,
}

/// Whether CloudTrail calls it a management or a data event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    Control,
    Data,
}

/// One operation: request → validation → resources → handler → response.
pub trait Operation: 'static {
    /// What the service's handlers share: stores, routers, settings.
    type Context: Send + Sync + 'static;
    type Request: DeserializeOwned + Send;
    type Response: Serialize + Send;

    /// AWS's name, as `PutItem`.
    const NAME: &'static str;
    /// The IAM action, as `dynamodb:PutItem`.
    const ACTION: &'static str;
    const ACCESS: Access;
    const PLANE: Plane;
    /// Whether CloudTrail calls it so, which isn't always what the access level says.
    const READ_ONLY: bool = matches!(Self::ACCESS, Access::List | Access::Read);
    /// Whether its event has the answer: of what was only read nothing is told.
    const TELLS_ANSWER: bool = !Self::READ_ONLY;
    /// What kind of resource it acts on, in AWS's words, as `user`; `*` where it acts on none in particular.
    const RESOURCE_TYPE: &'static str;
    /// The condition keys that [`Operation::conditions`] may set, as `dynamodb:LeadingKeys` and
    /// `aws:RequestTag/${TagKey}`: it can set no others.
    const CONDITION_KEYS: &'static [&'static str] = &[];
    /// What [`Operation::further_actions`] and [`Operation::further_grants`] may ask for: they can ask for nothing else.
    const FURTHER_ACTIONS: &'static [&'static str] = &[];
    /// Whether it is open to who has no credentials yet: a signature isn't looked at, and who calls is
    /// [`Operation::proven`], or nobody.
    const UNSIGNED: bool = false;

    /// Reads the request. The default is serde's, with AWS's SerializationException for what can't be read; an
    /// operation whose fields answer with a ValidationException while they are read brings its own.
    fn decode(body: &[u8]) -> Result<Self::Request, AwsError> {
        json::decode(body)
    }

    /// AWS's constraint checks, in AWS's order. They come before authorization, as AWS does it.
    fn validate(_call: &Call, _request: &Self::Request) -> Result<(), AwsError> {
        Ok(())
    }

    /// What must be looked up before the caller's rights are weighed, as a code of her MFA device.
    fn prepare(
        _ctx: &Arc<Self::Context>,
        _call: &Call,
        _request: &mut Self::Request,
    ) -> impl Future<Output = Result<(), AwsError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Who calls an operation that is [`Operation::UNSIGNED`], as [`Operation::prepare`] found it proved.
    fn proven(_request: &Self::Request) -> Option<&Federated> {
        None
    }

    /// The service's own condition keys that this request has a value for, as `dynamodb:LeadingKeys`. Asked only where
    /// a policy of the caller has conditions or variables.
    fn conditions(_ctx: &Self::Context, _call: &Call, _request: &Self::Request, _keys: &mut ConditionKeys) {}

    /// Further actions that this request needs, on the same resources, as `sts:TagSession`.
    fn further_actions(_request: &Self::Request) -> Vec<&'static str> {
        Vec::new()
    }

    /// What else the caller must be allowed to do, and on what, as `iam:PassRole` on the role that is handed on.
    fn further_grants(_ctx: &Self::Context, _call: &Call, _request: &Self::Request) -> Vec<(&'static str, Arn)> {
        Vec::new()
    }

    /// The policy of the resource itself, where the service has such.
    fn resource_policy(_ctx: &Self::Context, _call: &Call, _request: &Self::Request) -> Option<ResourcePolicy> {
        None
    }

    /// Everything that the caller must be allowed to act on.
    fn resources(ctx: &Self::Context, call: &Call, request: &Self::Request) -> Vec<Arn>;

    /// The future is dropped when the deadline passes or the caller hangs up: what must not stop halfway belongs into
    /// a task of its own. A panic ends in an internal error.
    fn handle(
        ctx: &Arc<Self::Context>,
        call: &Call,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response, AwsError>> + Send;

    /// Writes the response. The default is serde's.
    fn encode(response: &Self::Response) -> Result<Vec<u8>, AwsError> {
        json::encode(response)
    }
}

/// No ARN is longer: what is can't be compared with patterns at anybody's cost.
const RESOURCE_BYTES_MAX: usize = 2_048;

type Invoked<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, AwsError>> + Send + 'a>>;

/// Decode → validate → prepare → authorize → handle → encode, of one operation, with its types erased.
type Invoke<C> = for<'a> fn(&'a Arc<C>, &'a Call, Bytes, &'a dyn Authorizer) -> Invoked<'a>;

/// An operation in a service's list; made by [`entry`].
pub struct OperationEntry<C: 'static> {
    pub name: &'static str,
    pub action: &'static str,
    pub access: Access,
    pub plane: Plane,
    pub read_only: bool,
    pub tells_answer: bool,
    pub resource_type: &'static str,
    pub condition_keys: &'static [&'static str],
    pub further_actions: &'static [&'static str],
    pub unsigned: bool,
    /// The members of a request that it reads, where that is known.
    pub(crate) members: fn() -> Option<&'static [&'static str]>,
    invoke: Invoke<C>,
}

impl<C> OperationEntry<C> {
    pub fn invoke<'a>(
        &self,
        ctx: &'a Arc<C>,
        call: &'a Call,
        body: Bytes,
        authorizer: &'a dyn Authorizer,
    ) -> Invoked<'a> {
        (self.invoke)(ctx, call, body, authorizer)
    }
}

impl<C> std::fmt::Debug for OperationEntry<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperationEntry").field("name", &self.name).field("action", &self.action).finish_non_exhaustive()
    }
}

/// The one line of an operation in its service's list.
pub const fn entry<O: Operation>() -> OperationEntry<O::Context> {
    OperationEntry {
        name: O::NAME,
        action: O::ACTION,
        access: O::ACCESS,
        plane: O::PLANE,
        read_only: O::READ_ONLY,
        tells_answer: O::TELLS_ANSWER,
        resource_type: O::RESOURCE_TYPE,
        condition_keys: O::CONDITION_KEYS,
        further_actions: O::FURTHER_ACTIONS,
        unsigned: O::UNSIGNED,
        members: crate::members::read_by::<O::Request>,
        invoke: invoke::<O>,
    }
}

/// The operation's own condition keys, which must be those that it lists: a policy's author reads the list.
fn conditions<O: Operation>(ctx: &O::Context, call: &Call, request: &O::Request, keys: &mut ConditionKeys) {
    let before = keys.keys().count();
    O::conditions(ctx, call, request, keys);
    for key in keys.keys().skip(before) {
        assert!(lists(O::CONDITION_KEYS, key), "{} doesn't list the condition key {key}", O::NAME);
    }
}

/// `aws:RequestTag/${TagKey}` stands for each `aws:RequestTag/…`, `${OIDCProvider}:aud` for each provider's.
fn lists(listed: &[&str], key: &str) -> bool {
    listed.iter().any(|one| {
        match one.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?.1))) {
            Some((before, after)) => key.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
            None => *one == key,
        }
    })
}

fn invoke<'a, O: Operation>(
    ctx: &'a Arc<O::Context>,
    call: &'a Call,
    body: Bytes,
    authorizer: &'a dyn Authorizer,
) -> Invoked<'a> {
    Box::pin(async move {
        let mut request = O::decode(&body)?;
        drop(body);
        O::validate(call, &request)?;
        O::prepare(ctx, call, &mut request).await?;
        let caller = if O::UNSIGNED { O::proven(&request) } else { None };
        if let (Some(audit), Some(caller)) = (&call.audit, caller) {
            audit.proved(caller.clone());
        }
        let resources = O::resources(ctx, call, &request);
        if O::UNSIGNED && (caller.is_none() || resources.is_empty()) {
            return Err(AwsError::internal("an open operation that proved nothing, or asks nobody"));
        }
        let actions = O::further_actions(&request);
        let grants = O::further_grants(ctx, call, &request);
        for action in actions.iter().chain(grants.iter().map(|(action, _)| action)) {
            assert!(O::FURTHER_ACTIONS.contains(action), "{} doesn't list the action {action}", O::NAME);
        }
        // Before anything is told of them, or compared with patterns.
        if resources.iter().chain(grants.iter().map(|(_, r)| r)).any(|r| r.as_str().len() > RESOURCE_BYTES_MAX) {
            return Err(AwsError::framework("ValidationException", "A name in the request is too long."));
        }
        for resource in resources {
            if let Some(audit) = &call.audit {
                audit.concerns(&resource);
            }
            let policy = O::resource_policy(ctx, call, &request);
            let about = About { conditions: &|keys| conditions::<O>(ctx, call, &request, keys), policy, caller };
            authorizer.authorize(call, O::ACTION, &resource, &about)?;
            for action in &actions {
                authorizer.authorize(call, action, &resource, &about)?;
            }
        }
        for (action, resource) in grants {
            let about = About { conditions: &|keys| conditions::<O>(ctx, call, &request, keys), policy: None, caller };
            authorizer.authorize(call, action, &resource, &about)?;
        }
        let response = O::handle(ctx, call, request).await?;
        O::encode(&response)
    })
}

/// How a service's requests and answers look on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    AwsJson10,
    AwsJson11,
    /// Forms in, XML out; [`Service::target_prefix`] is the version of the API, as `2010-05-08`, and
    /// [`Service::model_namespace`] the namespace of the XML.
    Query,
}

impl Protocol {
    pub fn content_type(self) -> &'static str {
        match self {
            Protocol::AwsJson10 => "application/x-amz-json-1.0",
            Protocol::AwsJson11 => "application/x-amz-json-1.1",
            Protocol::Query => "text/xml",
        }
    }
}

/// A service: its names on the wire, what it can do, and what it lacks.
pub struct Service<C: 'static> {
    /// In credential scopes and endpoint names, as `dynamodb`.
    pub name: &'static str,
    /// Signed for `us-east-1` wherever the region is, as IAM.
    pub global: bool,
    /// Before the dot of `X-Amz-Target`, as `DynamoDB_20120810`.
    pub target_prefix: &'static str,
    /// Before the `#` of an error's `__type`, as `com.amazonaws.dynamodb.v20120810`.
    pub model_namespace: &'static str,
    pub protocol: Protocol,
    pub operations: &'static [OperationEntry<C>],
    /// What AWS's model lists and we lack; answers as an unknown operation. This list may only shrink.
    pub missing: &'static [&'static str],
}

#[cfg(test)]
#[path = "operation_tests.rs"]
mod tests;
