//! Blobs over three zones: put, get, list, delete, with nodes that are down.

mod region;

use anyhow::Result;
use breakwater_blobs::{Also, BLOB_BYTES_MAX, BlobError};
use breakwater_meta::{Compare, Op};
use breakwater_transport::{CallError, Kind, Refusal};
use breakwater_types::{Formats, NodeKind};
use bytes::Bytes;
use region::{Node, Region, content, patience, peer, quick, until};
use std::collections::BTreeMap;
use std::sync::Arc;

const ZONES: &[&str] = &["az-a", "az-b", "az-c"];

async fn put(node: &Node, key: &str, content: Bytes) -> Result<(), BlobError> {
    node.blobs().put(key, content, BTreeMap::new(), Also::default(), patience()).await.map(|_| ())
}

async fn get(node: &Node, key: &str) -> Result<Option<Bytes>, BlobError> {
    Ok(node.blobs().get(key, patience()).await?.map(|(_, content)| content))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_got_listed_and_deleted_from_every_node() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    let lengths = [0, 1, 1 << 20, (5 << 20) / 2, 3 << 20];
    for (n, bytes) in lengths.iter().enumerate() {
        let metadata = BTreeMap::from([("n".to_owned(), n.to_string())]);
        let key = format!("logs/{n}");
        let info = a.blobs().put(&key, content(n as u8, *bytes), metadata, Also::default(), patience()).await?;
        assert_eq!((info.bytes, info.metadata["n"].as_str()), (*bytes as u64, n.to_string().as_str()));
        for node in &region.nodes {
            let (found, got) = node.blobs().get(&key, patience()).await?.expect("it is there");
            assert_eq!((found, got), (info.clone(), content(n as u8, *bytes)));
        }
    }
    put(b, "other", content(9, 10)).await?;
    let list = async |prefix: &str, after: Option<&str>, max| -> Result<Vec<String>> {
        let found = c.blobs().list(prefix, after, max, patience()).await?;
        Ok(found.into_iter().map(|info| info.key).collect())
    };
    assert_eq!(list("logs/", None, 100).await?, ["logs/0", "logs/1", "logs/2", "logs/3", "logs/4"]);
    assert_eq!(list("logs/", Some("logs/1"), 2).await?, ["logs/2", "logs/3"]);
    assert_eq!(list("logs/", Some("a"), 1).await?, ["logs/0"]);
    assert_eq!(list("", Some("logs/4"), 9).await?, ["other"]);
    assert!(list("logs/", Some("z"), 9).await?.is_empty() && list("x", None, 9).await?.is_empty());

    put(c, "logs/1", content(1, 1)).await?;
    assert_eq!(put(c, "logs/1", content(2, 1)).await, Err(BlobError::Exists));
    assert!(b.blobs().delete("logs/1", patience()).await? && !a.blobs().delete("logs/1", patience()).await?);
    assert_eq!(get(c, "logs/1").await?, None);
    put(c, "logs/1", content(2, 1)).await?;
    assert_eq!(get(a, "logs/1").await?, Some(content(2, 1)));
    for bad in ["", "a\nb", &"k".repeat(1_025)] {
        assert!(matches!(put(a, bad, Bytes::new()).await, Err(BlobError::Invalid(_))));
    }
    let large = Bytes::from(vec![0; BLOB_BYTES_MAX + 1]);
    assert!(matches!(put(a, "large", large).await, Err(BlobError::Invalid(_))));
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_zone_has_every_chunk_soon_and_nobody_reads_it_in_the_clear() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let words = Bytes::from("nobody reads this from a disk ".repeat(50_000));
    put(&region.nodes[0], "words", words).await?;
    for node in &region.nodes {
        node.holds(2).await;
        assert_eq!(node.metric("blob_zones_needed"), 2.0);
        for path in node.chunk_files() {
            let bytes = std::fs::read(path)?;
            assert!(!bytes.windows(14).any(|window| window == b"nobody reads t"));
        }
    }
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_along_is_done_with_the_blob_or_neither_is() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let node = &region.nodes[1];
    let also = |from: &str, to: &str| Also {
        compares: vec![Compare::Value(b"position".to_vec(), from.as_bytes().to_vec())],
        ops: vec![Op::put("position", to)],
    };
    let position = async || node.meta.get(b"position", patience()).await.map(|e| e.map(|e| e.value));
    let put = async |key: &str, also| node.blobs().put(key, content(1, 9), BTreeMap::new(), also, patience()).await;
    assert_eq!(put("a", also("0", "1")).await, Err(BlobError::CompareFailed));
    assert_eq!((get(node, "a").await?, position().await?), (None, None));
    let first = Also { compares: vec![Compare::Absent(b"position".to_vec())], ops: vec![Op::put("position", "0")] };
    put("a", first).await?;
    put("b", also("0", "1")).await?;
    assert_eq!(position().await?, Some("1".into()));
    // A put that is repeated because its outcome wasn't known.
    put("b", also("0", "1")).await?;
    assert_eq!(position().await?, Some("1".into()));
    let many = Also { compares: vec![], ops: vec![Op::put("x", "y"); 1_001] };
    assert!(matches!(put("c", many).await, Err(BlobError::Invalid(_))));
    region.stop().await;
    Ok(())
}

/// Deliverers that don't know of each other: of all that deliver the next piece, one does.
#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_puts_of_one_key_one_wins() -> Result<()> {
    let region = Arc::new(Region::start(ZONES, &quick()).await?);
    for round in 0..5_u8 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..9_u8 {
            let region = region.clone();
            tasks.spawn(async move {
                let counter = format!("done/{round}");
                let also = Also {
                    compares: vec![Compare::Absent(counter.clone().into_bytes())],
                    ops: vec![Op::put(counter, vec![n])],
                };
                // Three of them put the same.
                let (node, content) = (&region.nodes[usize::from(n % 3)], content(n / 3, 2_000_000));
                (n, node.blobs().put(&format!("key/{round}"), content, BTreeMap::new(), also, patience()).await)
            });
        }
        let outcomes = tasks.join_all().await;
        let done = region.nodes[0].meta.get(format!("done/{round}").as_bytes(), patience()).await?.expect("one");
        let winner = done.value[0];
        for (n, outcome) in outcomes {
            let expected = n / 3 == winner / 3;
            assert_eq!(outcome.is_ok(), expected, "{n} of {winner}: {outcome:?}");
            assert!(expected || outcome == Err(BlobError::Exists));
        }
        assert_eq!(get(&region.nodes[1], &format!("key/{round}")).await?, Some(content(winner / 3, 2_000_000)));
    }
    if let Some(region) = Arc::into_inner(region) {
        region.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_down_during_a_put_gets_its_copies_when_it_is_back() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    c.stop_blobs();
    put(a, "k", content(1, 3 << 20)).await?;
    assert_eq!(get(b, "k").await?, Some(content(1, 3 << 20)));
    assert_eq!((a.chunk_files().len(), b.chunk_files().len(), c.chunk_files().len()), (3, 3, 0));
    c.start_blobs(&quick()).await;
    c.holds(3).await;
    assert_eq!(c.metric("blob_chunks_repaired_total"), 3.0);
    // It alone is enough now.
    a.stop_blobs();
    b.stop_blobs();
    assert_eq!(get(c, "k").await?, Some(content(1, 3 << 20)));
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_zone_is_not_enough_where_there_are_three() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let [a, b, c] = &region.nodes[..] else { unreachable!() };
    b.stop_blobs();
    c.stop_blobs();
    assert!(matches!(put(a, "k", content(1, 100)).await, Err(BlobError::NotApplied(_))));
    assert_eq!(get(a, "k").await?, None);
    b.start_blobs(&quick()).await;
    put(a, "k", content(1, 100)).await?;
    assert_eq!(get(b, "k").await?, Some(content(1, 100)));
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_of_one_node_keeps_blobs_once() -> Result<()> {
    let region = Region::start(&["az-a"], &quick()).await?;
    put(&region.nodes[0], "k", content(1, 100)).await?;
    assert_eq!(get(&region.nodes[0], "k").await?, Some(content(1, 100)));
    assert_eq!(region.nodes[0].metric("blob_zones_needed"), 1.0);
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_put_while_a_node_of_before_is_in_the_region() -> Result<()> {
    let mut region = Region::start(&["az-a"], &quick()).await?;
    let node = &mut region.nodes[0];
    node.stop_blobs();
    node.formats = Arc::new(Formats::default());
    node.start_blobs(&quick()).await;
    assert!(matches!(put(node, "k", content(1, 1)).await, Err(BlobError::NotApplied(_))));
    node.formats.raise_to(breakwater_types::formats::TRAILS);
    put(node, "k", content(1, 1)).await?;
    region.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_are_refused_and_only_control_nodes_are_heard() -> Result<()> {
    let region = Region::start(&["az-a"], &quick()).await?;
    let node = &region.nodes[0];
    let ask = async |kind, name: &str, payload: Vec<u8>| -> Result<CallError> {
        let stranger = peer(&region.ca, &region.clock, name, kind).await?;
        stranger.transport.set_address(&node.name, node.address);
        let answer = stranger.transport.call(&node.name, Kind::Blobs, 1, payload.into(), patience()).await;
        Ok(answer.expect_err("it is refused"))
    };
    let stored = |data: Vec<u8>| {
        breakwater_meta::records::to_stored(&(0_u32, 7_u128, [0_u8; 32], Bytes::from(data))).expect("it is small")
    };
    for payload in
        [vec![], vec![1], vec![1; 20], vec![1, 9], vec![2, 0], vec![1; 3 << 20], stored(vec![]), stored(vec![1; 50])]
    {
        let refused = ask(NodeKind::Control, "control-node-9", payload).await?;
        assert!(matches!(refused, CallError::Refused(Refusal::Malformed, _)), "{refused}");
    }
    let refused = ask(NodeKind::Dynamo, "dynamo-node-9", vec![]).await?;
    assert!(matches!(refused, CallError::Refused(Refusal::Forbidden, _)), "{refused}");
    assert!(node.chunk_files().is_empty());
    region.stop().await;
    Ok(())
}

/// A deadline that passes while copies are on their way.
#[tokio::test(flavor = "multi_thread")]
async fn a_put_ends_by_its_deadline_and_leaves_nothing_that_is_named() -> Result<()> {
    let region = Region::start(ZONES, &quick()).await?;
    let node = &region.nodes[0];
    let past = tokio::time::Instant::now();
    let outcome = node.blobs().put("k", content(1, 5 << 20), BTreeMap::new(), Also::default(), past).await;
    assert!(matches!(outcome, Err(BlobError::NotApplied(_))), "{outcome:?}");
    assert_eq!(get(node, "k").await?, None);
    until("the next put", async || put(node, "k", content(1, 5 << 20)).await.ok()).await;
    region.stop().await;
    Ok(())
}
