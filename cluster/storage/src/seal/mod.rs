//! Envelope encryption: a root key that somebody else keeps wraps the data key of each store; keys derived from the
//! data key seal what is stored.

mod header;
mod key;
mod provider;
mod sealer;

pub(crate) use header::StoreHeader;
pub(crate) use key::{DataKey, SealKey, TAG_BYTES};
pub use provider::{DevKeyFile, KeyError, KeyProvider, WrappedKey};
pub(crate) use sealer::{SEAL_BYTES, Sealer};
