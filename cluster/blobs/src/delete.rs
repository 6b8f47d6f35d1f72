//! Removing a blob: from the catalogue now, its chunks later.

use crate::blobs::Blobs;
use crate::error::BlobError;
use crate::model::{catalogue_key, check_key};
use breakwater_meta::{Compare, Op, Txn};
use tokio::time::Instant;

impl Blobs {
    /// Whether there was one. Its chunks are removed by their holders when nobody can be reading them any more.
    pub async fn delete(&self, key: &str, deadline: Instant) -> Result<bool, BlobError> {
        check_key(key)?;
        let key = catalogue_key(key);
        let compares = vec![Compare::Exists(key.clone())];
        let txn = Txn { compares, success: vec![Op::Delete { key }], failure: vec![] };
        Ok(self.meta.txn(txn, deadline).await?.succeeded)
    }
}
