//! Members come, go, and come back without their disks.

mod cluster;

use breakwater_consensus::Settings;
use cluster::{Cluster, until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Written by two of three while the third was away: what the second has forgotten only the first can tell. The third
/// must not become leader with the vote of a node that has lost its disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_never_votes_as_its_former_self() {
    let cluster = Cluster::new(3, Settings::default()).await;
    cluster.found(&[0, 1, 2]).await;
    cluster.put("before", b"1").await;
    cluster.converged(&[0, 1, 2]).await;
    let leader = cluster.leader().await;
    let first = cluster.nodes.iter().position(|n| n.name == leader.name).unwrap();
    let (wiped, away) = ((first + 1) % 3, (first + 2) % 3);
    cluster.nodes[away].stop().await;
    cluster.put("kept", b"1").await;
    cluster.nodes[first].stop().await;
    cluster.wipe(wiped).await;
    let third = cluster.nodes[away].start(Default::default()).await;
    // Several elections long.
    let elected = tokio::time::timeout(Duration::from_secs(4), async {
        while third.lead().await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(elected.await.is_err(), "it leads with the vote of a member that is no more");
    cluster.nodes[first].start(Default::default()).await;
    cluster.settle(&[0, 1, 2]).await;
    let state = cluster.converged(&[0, 1, 2]).await;
    assert!(state.contains_key(&b"kept"[..]), "what was acknowledged is gone");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_replaced_under_load_and_nothing_acknowledged_is_lost() {
    let cluster =
        Arc::new(Cluster::new(3, Settings { snapshot_entries: 50, kept_entries: 20, ..Settings::default() }).await);
    cluster.found(&[0, 1, 2]).await;
    cluster.put("first", b"1").await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (cluster, stop, acknowledged) = (cluster.clone(), stop.clone(), acknowledged.clone());
            tokio::spawn(async move {
                let mut mine = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("{writer}-{}", mine.len());
                    cluster.put(&key, b"v").await;
                    mine.push(key);
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                mine
            })
        })
        .collect();
    let more = async |count: usize| {
        let goal = acknowledged.load(Ordering::Relaxed) + count;
        until("more writes", async || (acknowledged.load(Ordering::Relaxed) >= goal).then_some(())).await;
    };
    // Each in turn, the leader among them.
    for n in 0..3 {
        more(150).await;
        cluster.wipe(n).await;
        cluster.settle(&[0, 1, 2]).await;
        let leader = cluster.leader().await.group().unwrap();
        assert_eq!(leader.member_ids(), cluster.members(&[0, 1, 2]));
    }
    more(100).await;
    stop.store(true, Ordering::Relaxed);
    let mut keys = vec!["first".to_owned()];
    for writer in writers {
        keys.extend(writer.await.unwrap());
    }
    let state = cluster.converged(&[0, 1, 2]).await;
    let lost: Vec<_> = keys.iter().filter(|key| !state.contains_key(key.as_bytes())).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), keys.len());
    Arc::into_inner(cluster).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_replaced_while_another_member_is_down() {
    let cluster = Cluster::new(5, Settings::default()).await;
    cluster.found(&[0, 1, 2, 3, 4]).await;
    cluster.put("a", b"1").await;
    let leader = cluster.leader().await;
    let first = cluster.nodes.iter().position(|n| n.name == leader.name).unwrap();
    let (wiped, down) = ((first + 1) % 5, (first + 2) % 5);
    let before = cluster.members(&[0, 1, 2, 3, 4]);
    cluster.nodes[down].stop().await;
    let name = &cluster.nodes[down].name;
    until("its leader notices", async || {
        let members = cluster.leader().await.group()?.status().members;
        members.iter().find(|m| m.node == *name && m.healthy == Some(false)).map(|_| ())
    })
    .await;
    cluster.wipe(wiped).await;
    let wanted = cluster.members(&[0, 1, 2, 3, 4]);
    let refused = until("a refusal", async || {
        let group = cluster.leader().await.group()?;
        // Lost leadership is another refusal.
        group.settle(&wanted).await.err().filter(|why| why.contains("is down too"))
    })
    .await;
    assert!(refused.contains(cluster.nodes[down].name.as_str()), "{refused}");
    assert_eq!(cluster.leader().await.group().unwrap().voters(), before);
    cluster.nodes[down].start(Default::default()).await;
    cluster.settle(&[0, 1, 2, 3, 4]).await;
    assert_eq!(cluster.leader().await.group().unwrap().voters(), wanted);
    cluster.put("b", b"2").await;
    assert_eq!(cluster.converged(&[0, 1, 2, 3, 4]).await.len(), 2);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_to_each_member_in_turn() {
    let cluster = Cluster::new(3, Settings::default()).await;
    cluster.found(&[0, 1, 2]).await;
    cluster.put("a", b"0").await;
    for round in 0..2 {
        for n in 0..3 {
            let to = &cluster.nodes[n];
            until("the handed over leadership", async || {
                if to.leads() {
                    return Some(());
                }
                // Refused while it isn't caught up.
                let _ = cluster.leader().await.group()?.transfer_leader(&to.name).await;
                None
            })
            .await;
            cluster.put(&format!("{round}-{n}"), b"1").await;
        }
    }
    let leader = cluster.leader().await.group().unwrap();
    assert!(leader.transfer_leader(&"node-9".parse().unwrap()).await.is_err());
    let behind = cluster.nodes.iter().find(|n| !n.leads()).unwrap();
    behind.stop().await;
    cluster.put("without it", b"1").await;
    if let Some(leader) = cluster.leader().await.group() {
        assert!(leader.transfer_leader(&behind.name).await.is_err(), "it lags, so it can't lead");
    }
    behind.start(Default::default()).await;
    assert_eq!(cluster.converged(&[0, 1, 2]).await.len(), 8);
    cluster.stop().await;
}

/// A group that rests notices that a member isn't itself any more, also where that one led it.
#[tokio::test(flavor = "multi_thread")]
async fn a_resting_group_wakes_for_its_repair() {
    let settings = Settings { rest_after_ms: 300, ..Settings::default() };
    let cluster = Cluster::new(3, settings).await;
    cluster.found(&[0, 1, 2]).await;
    cluster.put("a", b"1").await;
    until("rest", async || cluster.nodes.iter().all(|n| n.group().is_some_and(|g| !g.is_awake())).then_some(())).await;
    let led = cluster.nodes.iter().position(|n| n.leads()).unwrap();
    cluster.wipe(led).await;
    let wanted = cluster.members(&[0, 1, 2]);
    until("repair", async || {
        for node in &cluster.nodes {
            let group = node.group()?;
            if group.differs(&wanted) && group.is_leader() {
                let _ = group.settle(&wanted).await;
            }
        }
        cluster.nodes.iter().all(|n| n.group().is_some_and(|g| g.voters() == wanted)).then_some(())
    })
    .await;
    assert_eq!(cluster.converged(&[0, 1, 2]).await.len(), 1);
    cluster.stop().await;
}
