//! Who calls, when, from where, and until when an answer is of use.

use crate::audit::Pending;
use crate::sigv4::Session;
use breakwater_types::{AccountId, Scope, SharedClock};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::time::Instant;

/// 52 upper-case letters and digits, as DynamoDB's. Rendered once; `Copy`, so it costs no allocation to pass on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 52]);

impl RequestId {
    pub fn random() -> Self {
        // Base32 of 260 random bits; the alphabet's 32 signs keep every sign equally likely.
        const SIGNS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
        let mut bytes = [0u8; 52];
        rand::Rng::fill(&mut rand::rng(), &mut bytes[..]);
        for b in &mut bytes {
            *b = SIGNS[usize::from(*b & 31)];
        }
        RequestId(bytes)
    }
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of principal it is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The account itself.
    Root,
    /// By name, without the path.
    User(String),
    /// A session of the role with this name.
    Role(String),
    /// A federated user of this name, with at most the rights of who vouched for it.
    Federated(String),
    /// Who sent an unsigned request, to an operation that AWS leaves open.
    Anonymous,
}

/// Somebody whom an identity provider vouched for, as an open operation has proved. It has no identity here yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federated {
    /// As policies see it: [`breakwater_policy::CallerKind::WebIdentity`] or `Saml`.
    pub caller: breakwater_policy::Caller,
    /// As events have it: the provider and its name for the caller.
    pub principal_id: String,
    pub user_name: String,
    pub identity_provider: String,
}

impl Identity {
    /// From an ARN of IAM, as access keys and the sessions of users keep it.
    pub fn of_arn(arn: &str) -> Option<Identity> {
        let mut parts = arn.splitn(6, ':');
        let (service, resource) = (parts.nth(2)?, parts.nth(2)?);
        match (service, resource.split_once('/')) {
            ("iam", None) if resource == "root" => Some(Identity::Root),
            ("iam", Some(("user", path))) => path.rsplit('/').next().map(|name| Identity::User(name.to_owned())),
            ("sts", Some(("federated-user", name))) => Some(Identity::Federated(name.to_owned())),
            _ => None,
        }
    }
}

/// Whose access key signed the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub access_key_id: String,
    pub account: AccountId,
    /// `arn:aws:iam::111122223333:user/administrator`.
    pub arn: String,
    pub identity: Identity,
    /// Where the credentials are temporary.
    pub session: Option<Arc<Session>>,
}

impl Principal {
    /// Who signed nothing. Events of what can't be told whose it is stand in this account's trail.
    pub fn anonymous(account: AccountId) -> Principal {
        Principal {
            access_key_id: String::new(),
            account,
            arn: "anonymous".to_owned(),
            identity: Identity::Anonymous,
            session: None,
        }
    }
}

/// One request, after its signature was found good.
#[derive(Clone, Debug)]
pub struct Call {
    pub request_id: RequestId,
    /// Account and region that the call acts in.
    pub scope: Arc<Scope>,
    pub principal: Arc<Principal>,
    /// Past it the caller has been answered with an error: work that can still be given up should be.
    pub deadline: Instant,
    pub source: SocketAddr,
    /// Whether the client spoke TLS.
    pub secure: bool,
    pub user_agent: Option<http::HeaderValue>,
    /// Wall time at which the request was read, in milliseconds since 1970.
    pub received_unix_ms: i64,
    pub clock: SharedClock,
    /// The request's span: handlers run inside it.
    pub span: tracing::Span,
    /// What its event will tell: of management calls, where the region has events.
    pub audit: Option<Arc<Pending>>,
}

impl Call {
    /// The time left, zero when the deadline has passed.
    pub fn time_left(&self) -> std::time::Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_52_capitals_and_digits_and_differ() {
        let (a, b) = (RequestId::random(), RequestId::random());
        assert_ne!(a, b);
        assert_eq!(a.as_str().len(), 52);
        assert!(a.as_str().bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
    }
}
