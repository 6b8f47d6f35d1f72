//! Which blobs there are.

use crate::blobs::Blobs;
use crate::error::BlobError;
use crate::model::{Blob, BlobInfo, CATALOGUE, KEY_BYTES_MAX, catalogue_key};
use breakwater_meta::{RangeRequest, prefix_end};
use tokio::time::Instant;

/// Of one call.
const LIST_MAX: usize = 1_000;

impl Blobs {
    /// At most `max` (1,000 at most) whose keys begin with `prefix` and come after `after`, in the order of their keys.
    /// Linearizable page by page.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        if prefix.len() > KEY_BYTES_MAX || after.is_some_and(|after| after.len() > KEY_BYTES_MAX) {
            return Err(BlobError::Invalid("a key that is too long".to_owned()));
        }
        let max = max.min(LIST_MAX);
        let first = catalogue_key(prefix);
        let end = prefix_end(&first);
        let mut start = after.map_or(first.clone(), |after| first.max(next(catalogue_key(after))));
        let mut found = Vec::new();
        while found.len() < max && start < end {
            let request = RangeRequest { start: start.clone(), end: end.clone(), limit: max - found.len() };
            let page = self.meta.range(request, deadline).await.map_err(|e| BlobError::NotApplied(e.to_string()))?;
            for entry in &page.entries {
                found.push(info(&entry.key, &entry.value).map_err(BlobError::NotApplied)?);
            }
            match page.entries.last() {
                Some(last) if page.more => start = next(last.key.to_vec()),
                _ => break,
            }
        }
        Ok(found)
    }
}

/// The key that comes right after.
fn next(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

fn info(key: &[u8], value: &[u8]) -> Result<BlobInfo, String> {
    let name = key.strip_prefix(CATALOGUE).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.ok_or("a key in the catalogue that isn't one")?;
    Blob::from_stored(value).map(|blob| blob.info(name)).map_err(|why| format!("the entry of {name}: {why}"))
}
