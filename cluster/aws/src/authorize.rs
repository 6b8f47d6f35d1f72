//! May this caller do this? Asked for every resource of every call, before the operation runs.

use crate::arn::Arn;
use crate::call::{Call, Federated, Identity, Principal};
use crate::error::AwsError;
use breakwater_policy::{Context, Policy};
use std::sync::Arc;

/// The policy of the resource itself.
#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    pub policy: Arc<Policy>,
    /// It has to agree also to callers of the resource's own account: trust policies, key policies.
    pub must_allow: bool,
}

/// What a decision looks at beside action and resource.
pub struct About<'a> {
    /// Adds the service's own condition keys.
    pub conditions: &'a dyn Fn(&mut Context),
    pub policy: Option<ResourcePolicy>,
    /// Who calls an operation that needs no signature; in place of the call's principal.
    pub caller: Option<&'a Federated>,
}

/// Answers from memory: a call to another node has no place on a request's way.
pub trait Authorizer: Send + Sync + 'static {
    fn authorize(&self, call: &Call, action: &'static str, resource: &Arn, about: &About<'_>) -> Result<(), AwsError>;

    /// The caller's unique id, as `AIDA…`; empty where it isn't known.
    fn unique_id(&self, principal: &Principal) -> String {
        principal.session.as_ref().map(|session| session.user_id.clone()).unwrap_or_default()
    }
}

/// An account's root user may do everything in it, anybody else nothing: for where there are no policies, as in tests.
#[derive(Debug, Default)]
pub struct RootOnly;

impl Authorizer for RootOnly {
    fn authorize(&self, call: &Call, action: &'static str, resource: &Arn, _about: &About<'_>) -> Result<(), AwsError> {
        if call.principal.identity == Identity::Root && call.principal.account == call.scope.account {
            Ok(())
        } else {
            Err(not_authorized(call, action, resource, "because no identity-based policy allows"))
        }
    }
}

/// AWS's words for a caller who may not: `why` is as `because no identity-based policy allows` or `with an explicit deny
/// in an identity-based policy`.
pub fn not_authorized(call: &Call, action: &str, resource: &Arn, why: &str) -> AwsError {
    let ending = if why.ends_with("allows") { format!(" the {action} action") } else { String::new() };
    AwsError::access_denied(format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} {why}{ending}",
        call.principal.arn
    ))
}
