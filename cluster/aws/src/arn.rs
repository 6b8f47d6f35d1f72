//! The name that IAM policies know a resource by.

use breakwater_types::Scope;
use std::fmt;

/// An Amazon Resource Name; `*` where an operation has no resource of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn(String);

impl Arn {
    /// `arn:aws:dynamodb:us-east-1:111122223333:table/t` from `("dynamodb", "table/t")`.
    pub fn new(scope: &Scope, service: &str, resource: &str) -> Self {
        Arn(scope.arn(service, resource))
    }
    /// An ARN as a caller wrote it; whether it names anything is the operation's matter.
    pub fn raw(text: impl Into<String>) -> Self {
        Arn(text.into())
    }
    /// For operations that act on no resource that could be named, as ListTables.
    pub fn any() -> Self {
        Arn("*".to_owned())
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
