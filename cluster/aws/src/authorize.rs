//! May this caller do this? Asked for every resource of every call, before the operation runs.

use crate::arn::Arn;
use crate::call::Call;
use crate::error::AwsError;

/// Answers from memory: a call to another node has no place on a request's way.
pub trait Authorizer: Send + Sync + 'static {
    fn authorize(&self, call: &Call, action: &'static str, resource: &Arn) -> Result<(), AwsError>;
}

/// The account's administrator may do everything, anybody else nothing: what holds until there are policies.
#[derive(Debug, Default)]
pub struct AdministratorOnly;

impl Authorizer for AdministratorOnly {
    fn authorize(&self, call: &Call, action: &'static str, resource: &Arn) -> Result<(), AwsError> {
        if call.principal.administrator && call.principal.account == call.scope.account {
            Ok(())
        } else {
            Err(not_authorized(call, action, resource))
        }
    }
}

/// AWS's words for a caller whom no policy allows it.
pub fn not_authorized(call: &Call, action: &str, resource: &Arn) -> AwsError {
    AwsError::access_denied(format!(
        "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
         allows the {action} action",
        call.principal.arn
    ))
}
