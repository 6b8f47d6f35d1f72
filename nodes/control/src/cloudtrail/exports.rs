//! Delivered files, for the region's operator, through the admin socket of a control node: until S3 serves them.

use breakwater_blobs::{BlobInfo, Blobs};
use breakwater_node::Pages;
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Shorter than the launcher waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
const PAGE: usize = 500;
/// Under which blobs are S3's objects.
const OBJECTS: &str = "s3/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// `BUCKET` or `BUCKET/BEGINNING`.
    prefix: String,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    /// `BUCKET/OBJECT`.
    path: String,
}

fn shape(info: &BlobInfo) -> Value {
    json!({
        "path": info.key.strip_prefix(OBJECTS).unwrap_or(&info.key),
        "bytes": info.bytes,
        "created_unix_ms": info.created_unix_ms,
        "metadata": info.metadata,
    })
}

async fn list(blobs: Arc<Blobs>, body: Bytes) -> Result<Value, String> {
    let asked: List = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let (prefix, after) = (format!("{OBJECTS}{}", asked.prefix), asked.after.map(|after| format!("{OBJECTS}{after}")));
    let found = blobs.list(&prefix, after.as_deref(), PAGE, Instant::now() + PATIENCE).await;
    let found = found.map_err(|e| e.to_string())?;
    Ok(json!({ "files": found.iter().map(shape).collect::<Vec<_>>(), "more": found.len() == PAGE }))
}

async fn get(blobs: Arc<Blobs>, body: Bytes) -> Result<Value, String> {
    let asked: Get = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    let found = blobs.get(&format!("{OBJECTS}{}", asked.path), Instant::now() + PATIENCE).await;
    let (info, content) = found.map_err(|e| e.to_string())?.ok_or_else(|| format!("there is no {}", asked.path))?;
    let mut answer = shape(&info);
    answer["content"] = BASE64.encode(&content).into();
    Ok(answer)
}

/// `/trail-files/list` and `/trail-files/get` from now on.
pub fn serve(pages: &Pages, blobs: &Arc<Blobs>) {
    let its = blobs.clone();
    pages.action("/trail-files/list", move |body| list(its.clone(), body));
    let its = blobs.clone();
    pages.action("/trail-files/get", move |body| get(its.clone(), body));
}
