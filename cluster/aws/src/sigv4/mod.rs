//! AWS Signature Version 4, as the server sees it: header form and presigned query form.
//!
//! Order of checks and wording of errors follow what DynamoDB answers; the canonical form follows
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.
//!
//! Start reading at [`Verifier::verify`].

mod canonical;
mod claim;
mod credentials;
mod key;
mod key_parts;
mod key_set;
mod sessions;
mod timestamp;
mod verify;

pub use claim::service_of;
pub use credentials::{Credentials, DerivedKeys, Found, Lookup, SecretKey, SecretKeys};
pub use key::{SigningKey, derive_signing_key};
pub use key_parts::{KEY_PARTS, KeysAsked, KeysPart, KeysTold, SESSIONS_PART, part_of};
pub use key_set::KeySet;
pub use sessions::{More as SessionMore, Opened, Session, SessionKeys, TOKEN_BYTES_MAX};
pub use verify::{GLOBAL_REGION, SignedRequest, Verifier};

/// The only algorithm.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's time may be off, either way.
pub const SKEW_S_MAX: i64 = 15 * 60;

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod oracle_tests;
