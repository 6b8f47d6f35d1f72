//! What identity providers say of people: OpenID Connect's tokens and SAML's assertions, read and verified.
//!
//! This crate must not: fetch anything, know a clock, or decide who may do what; read on after a signature that isn't good;
//! hold to be true what stands outside the signed part.
//!
//! Invariants: what it doesn't know it refuses, be it an algorithm, a transform or a condition; a provider's keys come
//! from its metadata alone, never from what is to be verified; nothing that somebody sends makes it panic or run away.
//!
//! Start reading at [`jwt::Token::parse`] and [`saml::verify`].

pub mod jwks;
pub mod jwt;
pub mod saml;

/// Why what a provider is said to have said isn't believed. The texts may be shown: they hold nothing of what was sent
/// but names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Expired(String),
    /// The provider itself says that signing in failed.
    #[error("{0}")]
    Rejected(String),
    /// Signed with a key that isn't among the provider's as they are known: it may have a new one.
    #[error("there is no such key")]
    UnknownKey,
}

pub(crate) fn invalid(message: impl Into<String>) -> Refused {
    Refused::Invalid(message.into())
}
