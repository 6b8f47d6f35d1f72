//! What can go wrong, cut by what the caller can do about it.

use std::io;
use std::sync::Arc;

/// Cloneable, because one failed sync is the answer to everybody who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// What lies on the disk isn't what was written. The replica must be repaired from its peers; never served.
    #[error("corrupt: {place}: {what}")]
    Corrupt { place: String, what: String },
    /// A write or a sync failed before: this store takes no more writes until it is opened again.
    #[error("the store has stopped: {reason}")]
    Stopped { reason: String },
    /// The operating system refused. After a write or a sync the store has stopped too.
    #[error("{doing}: {source}")]
    Io {
        doing: String,
        #[source]
        source: Arc<io::Error>,
    },
    /// The store is whole, but not ours to open: another format, another engine, another root key, another process.
    #[error("the store can't be opened: {reason}")]
    Refused { reason: String },
    /// The caller asked for something that has no meaning, as a gap in a log.
    #[error("invalid: {0}")]
    Invalid(String),
    /// A snapshot view fell too far behind the writes that came after it. Take another.
    #[error("the snapshot has expired")]
    SnapshotExpired,
}

impl StorageError {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        StorageError::Io { doing: doing.into(), source: Arc::new(source) }
    }
    pub(crate) fn corrupt(place: impl Into<String>, what: impl Into<String>) -> Self {
        StorageError::Corrupt { place: place.into(), what: what.into() }
    }
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        StorageError::Invalid(what.into())
    }
    pub(crate) fn refused(reason: impl Into<String>) -> Self {
        StorageError::Refused { reason: reason.into() }
    }
    pub(crate) fn stopped(reason: impl Into<String>) -> Self {
        StorageError::Stopped { reason: reason.into() }
    }

    pub fn is_corrupt(&self) -> bool {
        matches!(self, StorageError::Corrupt { .. })
    }
}

impl From<breakwater_types::faults::Injected> for StorageError {
    fn from(e: breakwater_types::faults::Injected) -> Self {
        StorageError::io("a durable step", io::Error::other(e.to_string()))
    }
}
