//! The cluster's format in the control store: what each node reads, and what all write (see
//! [`breakwater_types::formats`]).

use crate::client::{MetaClient, MetaError};
use crate::mirror::Mirror;
use crate::model::{Compare, Entry, Op, RangeRequest, Txn};
use crate::prefix_end;
use crate::records::{NODES, NodeRecord, from_stored, to_stored};
use breakwater_types::NodeName;
use breakwater_types::formats::{Formats, NEWEST, OLDEST};
use std::sync::Arc;
use tokio::time::Instant;

pub const FORMATS: &[u8] = b"cluster/format/";
const ACTIVE: &[u8] = b"cluster/format/active";
const READS: &[u8] = b"cluster/format/reads/";
/// Written with every declaration: whoever raises the format sees by it that nobody came in between.
const DECLARED: &[u8] = b"cluster/format/declared";
/// Nodes of a region at most, as far as one answer tells them.
const NODES_MAX: usize = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    #[error(
        "the region writes format {active}, and this build reads none newer than {NEWEST}: a build that was there before \
         an upgrade can't come back after it"
    )]
    TooOld { active: u32 },
    #[error(transparent)]
    Meta(#[from] MetaError),
    #[error("a format's record can't be read: {0}")]
    Unreadable(String),
}

fn reads_key(name: &NodeName) -> Vec<u8> {
    [READS, name.as_str().as_bytes()].concat()
}

fn number(entry: &Entry) -> Result<u32, FormatError> {
    from_stored(&entry.value).map_err(FormatError::Unreadable)
}

fn stored(format: u32) -> Result<Vec<u8>, FormatError> {
    to_stored(&format).map_err(FormatError::Unreadable)
}

/// That a key is still as it was read.
fn unchanged(key: &[u8], entry: Option<&Entry>) -> Compare {
    match entry {
        Some(entry) => Compare::ModRevision(key.to_vec(), entry.mod_revision),
        None => Compare::Absent(key.to_vec()),
    }
}

async fn all(meta: &MetaClient, prefix: &[u8], deadline: Instant) -> Result<Vec<Entry>, MetaError> {
    let request = RangeRequest { start: prefix.to_vec(), end: prefix_end(prefix), limit: NODES_MAX };
    Ok(meta.range(request, deadline).await?.entries)
}

/// Says what this build reads, before the node does anything else; refused where that is too little.
pub async fn declare(meta: &MetaClient, name: &NodeName, deadline: Instant) -> Result<(), FormatError> {
    loop {
        let entry = meta.get(ACTIVE, deadline).await?;
        let active = entry.as_ref().map(number).transpose()?.unwrap_or(OLDEST);
        if active > NEWEST {
            return Err(FormatError::TooOld { active });
        }
        let reads = stored(NEWEST)?;
        let mut compares = vec![unchanged(ACTIVE, entry.as_ref())];
        let mut success = vec![Op::put(reads_key(name), reads.clone()), Op::put(DECLARED, reads.clone())];
        // The first node of a new region has nobody to wait for.
        let founds = entry.is_none()
            && meta.get(DECLARED, deadline).await?.is_none()
            && all(meta, NODES, deadline).await?.is_empty();
        if founds {
            compares.push(Compare::Absent(DECLARED.to_vec()));
            success.push(Op::put(ACTIVE, reads));
        }
        if meta.txn(Txn { compares, success, failure: vec![] }, deadline).await?.succeeded {
            return Ok(());
        }
    }
}

/// Whether this build reads what was active when the mirror heard last. False where it never heard.
pub fn is_readable(mirror: &Mirror) -> Result<bool, FormatError> {
    match mirror.get(ACTIVE).map(|entry| number(&entry)).transpose()? {
        Some(active) if active > NEWEST => Err(FormatError::TooOld { active }),
        active => Ok(active.is_some()),
    }
}

/// Follows what is active, from a mirror of [`FORMATS`].
pub fn follow(mirror: Arc<Mirror>, formats: Arc<Formats>) {
    let mut changed = mirror.changed();
    tokio::spawn(async move {
        loop {
            if let Some(entry) = mirror.get(ACTIVE) {
                match number(&entry) {
                    Ok(active) => formats.raise_to(active),
                    Err(e) => tracing::error!(error = %e, "the older format is written on"),
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    });
}

/// Raises the active format to what all nodes of the region read, those that are down included.
pub async fn raise(meta: &MetaClient, deadline: Instant) -> Result<(), FormatError> {
    // In this order: a node declares itself before it is recorded, and a declaration after this reading fails the
    // transaction.
    let known = all(meta, FORMATS, deadline).await?;
    let nodes = all(meta, NODES, deadline).await?;
    let find = |key: &[u8]| known.iter().find(|entry| entry.key == key);
    let mut common = NEWEST;
    // Also of nodes that aren't recorded yet.
    for declared in known.iter().filter(|entry| entry.key.starts_with(READS)) {
        common = common.min(number(declared)?);
    }
    for node in &nodes {
        let node: NodeRecord = from_stored(&node.value).map_err(FormatError::Unreadable)?;
        let reads = find(&reads_key(&node.name)).map(number).transpose()?;
        common = common.min(reads.unwrap_or(OLDEST));
    }
    let active = find(ACTIVE);
    if nodes.is_empty() || common <= active.map(number).transpose()?.unwrap_or(OLDEST) {
        return Ok(());
    }
    let compares = vec![unchanged(ACTIVE, active), unchanged(DECLARED, find(DECLARED))];
    let txn = Txn { compares, success: vec![Op::put(ACTIVE, stored(common)?)], failure: vec![] };
    if meta.txn(txn, deadline).await?.succeeded {
        tracing::info!(format = common, "every node reads this format: it is written from now on");
    }
    Ok(())
}
