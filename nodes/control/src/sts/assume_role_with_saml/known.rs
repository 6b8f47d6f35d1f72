//! SAML providers' metadata, parsed: read once for each revision of a provider.

use crate::iam::Context;
use breakwater_aws::{AwsError, Call};
use breakwater_federation::saml::Metadata;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Some kilobytes each.
const KEPT_MAX: usize = 1_000;
/// A document that is read and parsed may have half a megabyte.
const READING_MAX: usize = 2;

static KNOWN: LazyLock<Mutex<Known<Metadata>>> = LazyLock::new(|| Mutex::new(Known::new(KEPT_MAX)));
static READING: Semaphore = Semaphore::const_new(READING_MAX);

/// The latest revisions of the keys that were asked for last.
struct Known<T> {
    max: usize,
    /// Counts what was asked, so that what wasn't for longest can give way.
    asked: u64,
    of: HashMap<Vec<u8>, Kept<T>>,
}

struct Kept<T> {
    revision: u64,
    asked: u64,
    value: Arc<T>,
}

impl<T> Known<T> {
    fn new(max: usize) -> Known<T> {
        Known { max, asked: 0, of: HashMap::new() }
    }

    fn get(&mut self, key: &[u8], revision: u64) -> Option<Arc<T>> {
        self.asked += 1;
        let kept = self.of.get_mut(key).filter(|kept| kept.revision == revision)?;
        kept.asked = self.asked;
        Some(kept.value.clone())
    }

    fn keep(&mut self, key: Vec<u8>, revision: u64, value: Arc<T>) {
        if self.of.len() >= self.max && !self.of.contains_key(&key) {
            let oldest = self.of.iter().min_by_key(|(_, kept)| kept.asked).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| self.of.remove(&oldest));
        }
        self.of.insert(key, Kept { revision, asked: self.asked, value });
    }
}

/// The metadata at this key of a provider whose record has this revision: it changes together with the metadata.
pub async fn metadata(
    ctx: &Context,
    call: &Call,
    key: Vec<u8>,
    revision: u64,
) -> Result<Option<Arc<Metadata>>, AwsError> {
    let known = || KNOWN.lock().get(&key, revision);
    if let Some(metadata) = known() {
        return Ok(Some(metadata));
    }
    let turn = READING.acquire().await.map_err(AwsError::internal)?;
    // Somebody who was faster may have read it.
    if let Some(metadata) = known() {
        return Ok(Some(metadata));
    }
    let Some(stored) = ctx.find::<String>(call, key.clone()).await? else { return Ok(None) };
    let parsed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        Metadata::parse(&stored.record)
    });
    let metadata = Arc::new(parsed.await.map_err(AwsError::internal)?.map_err(AwsError::internal)?);
    KNOWN.lock().keep(key, revision, metadata.clone());
    Ok(Some(metadata))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_read_once_and_what_was_asked_longest_ago_gives_way() {
        let mut known = Known::new(2);
        assert_eq!(known.get(b"a", 1), None);
        known.keep(b"a".to_vec(), 1, Arc::new("a1"));
        known.keep(b"b".to_vec(), 1, Arc::new("b1"));
        assert_eq!(known.get(b"a", 1).as_deref(), Some(&"a1"));
        // Another revision is another document.
        assert_eq!(known.get(b"a", 2), None);
        known.keep(b"a".to_vec(), 2, Arc::new("a2"));
        assert_eq!(known.get(b"a", 1), None);
        assert_eq!(known.get(b"a", 2).as_deref(), Some(&"a2"));
        known.keep(b"c".to_vec(), 1, Arc::new("c1"));
        assert_eq!(known.get(b"b", 1), None);
        assert_eq!(known.get(b"a", 2).as_deref(), Some(&"a2"));
        assert_eq!(known.get(b"c", 1).as_deref(), Some(&"c1"));
    }
}
