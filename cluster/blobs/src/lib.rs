//! What is large and immutable: blobs in encrypted chunks in two zones or more, with a catalogue in the control store.
//!
//! A put cuts the contents into chunks, has them stored durably by holders (control nodes, for now) in two zones at
//! least, and then catalogues the blob in one transaction of the control store, with whatever else the caller wants done
//! in it. Every zone, up to three, is to have each chunk: a node looks by itself for what it lacks and copies it from
//! another, finds what its disk has damaged by reading all of it now and then, and removes what no blob names.
//!
//! Where there is one holder, or one zone, a blob is stored once; it says so in a warning and in the metric
//! `blob_zones_needed`.
//!
//! This crate must not: know what blobs are for, or look into them.
//!
//! Invariants
//! - A catalogued blob's chunks were synced in two zones (where there are two) before it was catalogued.
//! - A chunk is never changed, and its name never used twice; a holder replaces its copy only by one that has the
//!   catalogue's checksum.
//! - A holder removes a chunk only when the control store, asked linearizably, names it in no blob, and this has been so
//!   for longer ([`Settings::collect_after`]) than a put may take ([`PUT_MAX`]).
//! - What `get` returns has the checksums that it was put with.
//!
//! Start reading at [`Blobs::put`]; [`placement`] is who holds what, [`upkeep`] the pure part of what is done behind the
//! scenes.

mod blobs;
mod catalogue;
mod chunks;
mod collect;
mod delete;
mod error;
mod get;
mod list;
mod metrics;
mod model;
mod peers;
mod placement;
mod put;
mod repair;
mod scrub;
mod service;
mod upkeep;
mod wire;

pub use blobs::{Blobs, Parts, Settings};
pub use error::BlobError;
pub use metrics::BlobMetrics;
pub use model::{ALSO_MAX, Also, BLOB_BYTES_MAX, BlobInfo, Digest, KEY_BYTES_MAX, METADATA_BYTES_MAX};
pub use put::PUT_MAX;
