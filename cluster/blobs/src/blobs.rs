//! A node's access to blobs.

use crate::error::BlobError;
use crate::model::{Also, BlobInfo};
use breakwater_meta::{MetaClient, Mirror};
use breakwater_storage::{Disk, KeyProvider, StorageError};
use breakwater_transport::Transport;
use breakwater_types::{Formats, NodeName, SharedClock};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub struct Settings {
    /// A chunk that no blob names is removed when it has been so for so long: far longer than a put takes.
    pub collect_after: Duration,
    /// Every chunk is read once in so long.
    pub scrub_every: Duration,
    /// How often what is missing here is looked for, and what is too much.
    pub look_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            collect_after: Duration::from_secs(3_600),
            scrub_every: Duration::from_secs(7 * 86_400),
            look_every: Duration::from_secs(5),
        }
    }
}

/// What blobs are made of on this node.
pub struct Parts {
    pub transport: Arc<Transport>,
    pub meta: MetaClient,
    /// Of the nodes' records.
    pub nodes: Arc<Mirror>,
    /// The nodes that hold chunks, this one among them.
    pub holders: Vec<NodeName>,
    pub formats: Arc<Formats>,
    pub clock: SharedClock,
    /// Where this node's chunks lie.
    pub dir: PathBuf,
    pub disk: Arc<dyn Disk>,
    pub provider: Arc<dyn KeyProvider>,
}

pub struct Blobs;

impl Blobs {
    pub async fn start(_parts: Parts, _settings: Settings) -> Result<Arc<Blobs>, StorageError> {
        Ok(Arc::new(Blobs))
    }

    /// Keeps a blob under a key that is written once. When it says so, the chunks are durable in two zones (in one where
    /// the region has one) and one transaction has catalogued the blob and done what `also` says.
    ///
    /// Where the key has these very contents already, that is success, and `also` isn't done again: it was with the put
    /// that made it. So whoever doesn't know the outcome of a put repeats it.
    pub async fn put(
        &self,
        _key: &str,
        _content: Bytes,
        _metadata: BTreeMap<String, String>,
        _also: Also,
        _deadline: Instant,
    ) -> Result<BlobInfo, BlobError> {
        Err(BlobError::NotApplied("blobs aren't kept yet".to_owned()))
    }

    /// None where there is no such blob. What it returns has the checksums that it was put with.
    pub async fn get(&self, _key: &str, _deadline: Instant) -> Result<Option<(BlobInfo, Bytes)>, BlobError> {
        Err(BlobError::NotApplied("blobs aren't kept yet".to_owned()))
    }

    /// At most `max` (1,000 at most) whose keys begin with `prefix` and come after `after`, in the order of their keys.
    pub async fn list(
        &self,
        _prefix: &str,
        _after: Option<&str>,
        _max: usize,
        _deadline: Instant,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        Err(BlobError::NotApplied("blobs aren't kept yet".to_owned()))
    }

    /// Whether there was one. Its chunks go later.
    pub async fn delete(&self, _key: &str, _deadline: Instant) -> Result<bool, BlobError> {
        Err(BlobError::NotApplied("blobs aren't kept yet".to_owned()))
    }
}
