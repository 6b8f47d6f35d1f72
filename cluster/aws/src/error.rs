//! What a caller gets when an operation is refused or fails.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// Whose fault it is; AWS's SDKs decide by it (and by the code) whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Client,
    Server,
}

/// The part of AWS's stack that answers: it stands before the `#` of `__type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The service's own model, as `com.amazonaws.dynamodb.v20120810`.
    Model,
    /// The web framework: signatures, decoding, authorization.
    Framework,
    /// The framework's constraint checks.
    Validation,
    /// The framework's load shedding.
    Availability,
}

/// An error in AWS's own words, with what only the log may say beside it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct AwsError {
    pub code: Cow<'static, str>,
    /// Empty where AWS sends no message at all.
    pub message: Cow<'static, str>,
    pub status: u16,
    pub namespace: Namespace,
    /// Some errors of the framework spell their member `Message`.
    pub capital_message: bool,
    /// Further members, as `Item` of ConditionalCheckFailedException.
    pub extra: Option<Box<Map<String, Value>>>,
    /// For the log alone; never sent.
    pub cause: Option<Box<str>>,
}

impl AwsError {
    /// An error of the service's own model.
    pub fn new(code: impl Into<Cow<'static, str>>, status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        AwsError {
            code: code.into(),
            message: message.into(),
            status,
            namespace: Namespace::Model,
            capital_message: false,
            extra: None,
            cause: None,
        }
    }

    /// A client error (400) of the service's own model, as `ResourceNotFoundException`.
    pub fn client(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(code, 400, message)
    }

    /// A client error (400) of the framework, as those about signatures.
    pub fn framework(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::client(code, message).in_namespace(Namespace::Framework)
    }

    pub fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::client("ValidationException", message).in_namespace(Namespace::Validation)
    }

    /// The body can't be read as the operation's request. AWS sends no message for text that isn't JSON: pass "".
    pub fn serialization(message: impl Into<Cow<'static, str>>) -> Self {
        AwsError { capital_message: true, ..Self::framework("SerializationException", message) }
    }

    pub fn access_denied(message: impl Into<Cow<'static, str>>) -> Self {
        AwsError { capital_message: true, ..Self::framework("AccessDeniedException", message) }
    }

    /// The credentials are nobody's, or no longer anybody's.
    pub fn invalid_token() -> Self {
        Self::framework("UnrecognizedClientException", "The security token included in the request is invalid.")
    }

    pub fn unknown_operation() -> Self {
        Self::framework("UnknownOperationException", "")
    }

    /// A bound is reached and nothing was done; SDKs wait and try again.
    pub fn throttling() -> Self {
        Self::client("ThrottlingException", "Rate of requests exceeds the allowed throughput.")
            .in_namespace(Namespace::Availability)
    }

    /// Something of ours went wrong, or its outcome is unknown. `cause` goes to the log only.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new("InternalServerError", 500, "Internal server error").with_cause(cause)
    }

    /// Nothing was done, and a later try may succeed: no quorum, no leader. `cause` goes to the log only.
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        Self::new("ServiceUnavailable", 503, "The service is unavailable. Please retry.").with_cause(cause)
    }

    pub fn in_namespace(mut self, namespace: Namespace) -> Self {
        self.namespace = namespace;
        self
    }

    pub fn with_cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// A further member of the error's body.
    pub fn with_extra(mut self, name: &str, value: Value) -> Self {
        self.extra.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    pub fn fault(&self) -> Fault {
        if self.status >= 500 { Fault::Server } else { Fault::Client }
    }

    /// The body of awsJson1.0 and 1.1. `model` is the service's shape namespace, as `com.amazonaws.dynamodb.v20120810`,
    /// empty for services that send the bare code.
    pub fn to_json(&self, model: &str) -> Vec<u8> {
        let namespace = match self.namespace {
            Namespace::Model => model,
            Namespace::Framework => "com.amazon.coral.service",
            Namespace::Validation => "com.amazon.coral.validate",
            Namespace::Availability => "com.amazon.coral.availability",
        };
        let kind =
            if namespace.is_empty() { self.code.clone().into_owned() } else { format!("{namespace}#{}", self.code) };
        let mut body = Map::new();
        body.insert("__type".to_owned(), Value::String(kind));
        if !self.message.is_empty() {
            let name = if self.capital_message { "Message" } else { "message" };
            body.insert(name.to_owned(), Value::String(self.message.clone().into_owned()));
        }
        if let Some(extra) = &self.extra {
            body.extend(extra.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        Value::Object(body).to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "com.amazonaws.dynamodb.v20120810";

    fn json(e: &AwsError) -> String {
        String::from_utf8(e.to_json(MODEL)).unwrap()
    }

    #[test]
    fn bodies_read_as_aws_writes_them() {
        assert_eq!(
            json(&AwsError::client("ResourceNotFoundException", "Requested resource not found")),
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException","message":"Requested resource not found"}"#
        );
        assert_eq!(
            json(&AwsError::serialization("")),
            r#"{"__type":"com.amazon.coral.service#SerializationException"}"#
        );
        assert_eq!(
            json(&AwsError::serialization("x")),
            r#"{"__type":"com.amazon.coral.service#SerializationException","Message":"x"}"#
        );
        let e = AwsError::client("ConditionalCheckFailedException", "The conditional request failed")
            .with_extra("Item", serde_json::json!({"k": {"S": "a"}}));
        assert_eq!(
            json(&e),
            r#"{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"The conditional request failed","Item":{"k":{"S":"a"}}}"#
        );
    }

    #[test]
    fn the_cause_stays_inside() {
        let e = AwsError::internal("disk /dev/sda died");
        assert!(!json(&e).contains("sda"));
        assert!(!e.to_string().contains("sda"));
        assert_eq!(e.fault(), Fault::Server);
    }
}
