//! Who used which service when: told for every call whose signature is good, denied ones too.

use crate::call::Principal;
use crate::operation::Plane;

/// A call, as far as it is noted.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    /// As `dynamodb`.
    pub service: &'static str,
    /// As `CreateTable`.
    pub operation: &'static str,
    pub plane: Plane,
    pub principal: &'a Principal,
    pub region: &'a str,
    pub unix_s: i64,
}

/// Notes uses in memory: it stands in every request's way, so it waits for nothing.
pub trait Usage: Send + Sync + 'static {
    fn used(&self, used: &Used<'_>);
}

/// Notes nothing: for where nobody asks.
#[derive(Debug, Default)]
pub struct Unnoted;

impl Usage for Unnoted {
    fn used(&self, _used: &Used<'_>) {}
}
