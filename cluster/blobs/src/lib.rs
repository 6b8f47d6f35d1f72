//! What is large and immutable: blobs in encrypted chunks in two zones or more, with a catalogue in the control store.

mod blobs;
mod error;
mod model;

pub use blobs::{Blobs, Parts, Settings};
pub use error::BlobError;
pub use model::{ALSO_MAX, Also, BLOB_BYTES_MAX, BlobInfo, Digest, KEY_BYTES_MAX, METADATA_BYTES_MAX};
