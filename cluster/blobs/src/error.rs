//! What can go wrong, cut by what the caller can do about it.

use breakwater_meta::MetaError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The request itself is wrong: it will never succeed.
    #[error("invalid: {0}")]
    Invalid(String),
    /// There is a blob of that key with other contents. Nothing was done.
    #[error("there is another blob under this key")]
    Exists,
    /// A compare that was to hold didn't. Nothing was done.
    #[error("not applied: a compare failed")]
    CompareFailed,
    /// Nothing was done, or nothing could be read, for now: it may be tried again.
    #[error("not applied: {0}")]
    NotApplied(String),
    /// It may or may not have been done. A put of the same contents under the same key tells.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The blob is catalogued, and no holder has a whole copy of one of its chunks. All of them were asked.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl From<MetaError> for BlobError {
    fn from(e: MetaError) -> Self {
        match e {
            MetaError::NotApplied(why) => BlobError::NotApplied(why),
            MetaError::Unknown(why) => BlobError::Unknown(why),
            MetaError::Invalid(why) => BlobError::Invalid(why),
        }
    }
}
