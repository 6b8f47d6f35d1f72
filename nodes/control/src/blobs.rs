//! This node's part in keeping blobs.

use crate::settings::Settings;
use anyhow::{Context, Result};
use breakwater_blobs::{Blobs, Parts};
use breakwater_meta::{MetaClient, Mirror};
use breakwater_storage::disk::HeldBackDisk;
use breakwater_storage::{DevKeyFile, Disk, OsDisk};
use breakwater_transport::Transport;
use breakwater_types::Formats;
use std::sync::Arc;

/// Every control node holds chunks.
pub async fn start(
    settings: &Settings,
    transport: &Arc<Transport>,
    meta: &MetaClient,
    nodes: Arc<Mirror>,
    formats: Arc<Formats>,
) -> Result<Arc<Blobs>> {
    let common = &settings.common;
    let disk: Arc<dyn Disk> = if settings.hold_back_unsynced { Arc::new(HeldBackDisk) } else { Arc::new(OsDisk) };
    let parts = Parts {
        transport: transport.clone(),
        meta: meta.clone(),
        nodes,
        holders: common.control.iter().map(|control| control.name.clone()).collect(),
        formats,
        clock: common.clock(),
        dir: common.data_dir.join("blobs"),
        disk,
        provider: Arc::new(DevKeyFile::open(common.identity_dir.join("dev.key")).context("the root key")?),
    };
    Blobs::start(parts, Default::default()).await.context("the blobs' chunks on this node")
}
