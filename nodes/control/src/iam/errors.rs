//! IAM's errors, in its words.

use breakwater_aws::AwsError;
use breakwater_iam::records::Kind;

pub fn missing(what: &str, name: &str) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("The {what} with name {name} cannot be found."))
}

pub fn no_such(kind: Kind, name: &str) -> AwsError {
    match kind {
        Kind::User => missing("user", name),
        Kind::Group => missing("group", name),
        Kind::Policy => no_such_policy(name),
        Kind::Role => missing("role", name),
        Kind::Mfa => missing("virtual MFA device", name),
        Kind::OidcProvider => {
            AwsError::new("NoSuchEntity", 404, format!("OpenIDConnect Provider not found for arn {name}"))
        }
        Kind::SamlProvider => AwsError::new("NoSuchEntity", 404, format!("Manifest not found for arn {name}")),
        Kind::InstanceProfile => {
            AwsError::new("NoSuchEntity", 404, format!("Instance Profile {name} cannot be found."))
        }
    }
}

pub fn no_such_policy(arn: &str) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("Policy {arn} was not found."))
}

pub fn exists(what: &str, name: &str) -> AwsError {
    AwsError::new("EntityAlreadyExists", 409, format!("{what} with name {name} already exists."))
}

pub fn delete_conflict(what: &'static str) -> AwsError {
    AwsError::new("DeleteConflict", 409, format!("Cannot delete entity, must {what} first."))
}

pub fn quota(name: &str, most: usize) -> AwsError {
    AwsError::new("LimitExceeded", 409, format!("Cannot exceed quota for {name}: {most}"))
}

pub fn invalid_input(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidInput", 400, message.into())
}

pub fn validation(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", 400, message.into())
}

pub fn malformed(message: impl Into<String>) -> AwsError {
    AwsError::new("MalformedPolicyDocument", 400, message.into())
}

/// Others changed the same all the time.
pub fn conflict() -> AwsError {
    AwsError::new(
        "ConcurrentModification",
        409,
        "The request was rejected because multiple requests to change this object were submitted simultaneously.",
    )
}

pub fn unavailable(cause: &str) -> AwsError {
    AwsError::new("ServiceUnavailable", 503, "The service is unavailable. Please retry.").with_cause(cause)
}
