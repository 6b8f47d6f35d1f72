//! What nodes do with their chunks behind the scenes: repair, scrub, collect.

mod region;

use anyhow::Result;
use breakwater_blobs::{Also, BlobError, Settings};
use region::{Node, Region, content, damage, patience, quick, until};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const ZONES: &[&str] = &["az-a", "az-b", "az-c"];

async fn put(node: &Node, key: &str, number: u8, bytes: usize) -> Result<(), BlobError> {
    let content = content(number, bytes);
    node.blobs().put(key, content, BTreeMap::new(), Also::default(), patience()).await.map(|_| ())
}

/// A region of three in which every node has the chunks of one blob.
async fn filled(settings: &Settings, chunks: usize) -> Result<Region> {
    let region = Region::start(ZONES, settings).await?;
    put(&region.nodes[0], "k", 1, chunks << 20).await?;
    for node in &region.nodes {
        node.holds(chunks).await;
    }
    Ok(region)
}

async fn gets(node: &Node, chunks: usize) -> Result<bool, BlobError> {
    Ok(node.blobs().get("k", patience()).await?.is_some_and(|(_, got)| got == content(1, chunks << 20)))
}

fn bytes_of(files: &[PathBuf]) -> Vec<Vec<u8>> {
    files.iter().map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_is_found_by_who_reads_it_and_repaired() -> Result<()> {
    let region = filled(&quick(), 3).await?;
    let node = &region.nodes[1];
    let files = node.chunk_files();
    damage(&files[0]);
    std::fs::write(&files[1], b"cut off")?;
    std::fs::remove_file(&files[2])?;
    let broken = bytes_of(&files);
    assert!(gets(node, 3).await?);
    until("three repairs", async || (node.metric("blob_chunks_repaired_total") == 3.0).then_some(())).await;
    assert_eq!(node.metric("blob_chunks_damaged_total"), 3.0);
    node.holds(3).await;
    let repaired = bytes_of(&files);
    assert!(broken.iter().zip(&repaired).all(|(before, after)| before != after));
    // Its own copies are good again: alone it has all.
    region.nodes[0].stop_blobs();
    region.nodes[2].stop_blobs();
    assert!(gets(node, 3).await?);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_chunk_that_another_node_asks_for_is_repaired_too() -> Result<()> {
    let region = filled(&quick(), 1).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    b.stop_blobs();
    // Every byte of it that was there is gone from b; c is damaged; a has the only good copy.
    damage(&c.chunk_files()[0]);
    b.wipe_blobs().await;
    b.start_blobs(&quick()).await;
    b.holds(1).await;
    assert!(gets(c, 1).await?);
    until("the repair", async || (c.metric("blob_chunks_repaired_total") == 1.0).then_some(())).await;
    a.stop_blobs();
    assert!(gets(b, 1).await? && gets(c, 1).await?);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scrubber_finds_damage_that_nobody_reads() -> Result<()> {
    let settings = Settings { scrub_every: Duration::from_millis(20), ..quick() };
    let region = filled(&settings, 2).await?;
    let node = &region.nodes[2];
    let files = node.chunk_files();
    let before = bytes_of(&files);
    damage(&files[1]);
    until("the repair", async || (node.metric("blob_chunks_repaired_total") == 1.0).then_some(())).await;
    node.holds(2).await;
    let after = bytes_of(&files);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1], "sealed anew");
    assert_eq!(node.metric("blob_chunks_damaged_total"), 1.0);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_gets_its_chunks_back() -> Result<()> {
    let region = filled(&quick(), 4).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    b.wipe_blobs().await;
    put(c, "other", 7, 10).await?;
    b.start_blobs(&quick()).await;
    b.holds(5).await;
    a.stop_blobs();
    c.stop_blobs();
    assert!(gets(b, 4).await?);
    region.stop().await;
    Ok(())
}

/// Without its header a node can't read any of its chunks; that mustn't keep the node from starting.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_chunks_can_not_be_opened_gets_them_back() -> Result<()> {
    let region = filled(&quick(), 2).await?;
    let node = &region.nodes[1];
    let store = node.chunk_files()[0].ancestors().nth(2).expect("the store").to_owned();
    node.stop_blobs();
    damage(&store.join("STORE"));
    node.start_blobs(&quick()).await;
    node.holds(2).await;
    assert_eq!(node.metric("blob_chunks_repaired_total"), 2.0);
    let mut names = std::fs::read_dir(store.parent().expect("the node's"))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert!(names.any(|name| name.starts_with("blobs.damaged-")), "nothing is thrown away");
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_whole_copy_is_damage_and_one_that_can_not_be_asked_is_not() -> Result<()> {
    let region = filled(&quick(), 1).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    damage(&a.chunk_files()[0]);
    damage(&b.chunk_files()[0]);
    c.stop_blobs();
    assert!(matches!(gets(a, 1).await, Err(BlobError::NotApplied(_))));
    damage(&c.chunk_files()[0]);
    c.start_blobs(&quick()).await;
    until("that it is damaged", async || matches!(gets(a, 1).await, Err(BlobError::Damaged(_))).then_some(())).await;
    assert_eq!(a.metric("blob_chunks_damaged_total"), 1.0);
    assert_eq!(a.metric("blob_chunks_missing"), 1.0);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_blob_names_is_collected_and_what_one_names_stays() -> Result<()> {
    let settings = Settings { collect_after: Duration::from_millis(200), ..quick() };
    let region = Region::start(ZONES, &settings).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    put(a, "kept", 1, 2 << 20).await?;
    put(b, "gone", 2, 3 << 20).await?;
    for node in &region.nodes {
        node.holds(5).await;
    }
    assert!(c.blobs().delete("gone", patience()).await?);
    for node in &region.nodes {
        node.holds(2).await;
        assert_eq!(node.metric("blob_chunks_collected_total"), 3.0);
    }
    // A put that comes to nothing leaves a copy in one zone.
    b.stop_blobs();
    c.stop_blobs();
    assert!(put(a, "nothing", 3, 100).await.is_err());
    a.holds(2).await;
    b.start_blobs(&settings).await;
    c.start_blobs(&settings).await;
    for node in &region.nodes {
        let (_, kept) = node.blobs().get("kept", patience()).await?.expect("it stays");
        assert_eq!(kept, content(1, 2 << 20));
    }
    region.stop().await;
    Ok(())
}

/// An hour is long for a test: as long as a chunk is not old enough it stays.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_blob_names_stays_for_as_long_as_a_put_may_take() -> Result<()> {
    let region = filled(&quick(), 1).await?;
    assert!(region.nodes[0].blobs().delete("k", patience()).await?);
    // Nodes look many times while the others' chunks come and are repaired.
    for n in 0..3 {
        put(&region.nodes[n], &format!("k{n}"), n as u8, 10).await?;
        region.nodes[n].wipe_blobs().await;
        region.nodes[n].start_blobs(&quick()).await;
        region.nodes[n].holds(n + 1).await;
    }
    assert_eq!(region.nodes[0].metric("blob_chunks_collected_total"), 0.0);
    region.stop().await;
    Ok(())
}
