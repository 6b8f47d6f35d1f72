//! What Prometheus reads of all groups of a process, computed when it asks: the hot path counts nothing but proposals.

use crate::groups::Groups;
use openraft::async_runtime::WatchReceiver;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Holds no replica alive.
pub struct GroupMetrics(Weak<Groups>);

impl GroupMetrics {
    pub fn new(groups: &Arc<Groups>) -> Self {
        GroupMetrics(Arc::downgrade(groups))
    }
}

impl fmt::Debug for GroupMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupMetrics")
    }
}

#[derive(Default)]
struct Sums {
    groups: u64,
    leading: u64,
    resting: u64,
    stopped: u64,
    terms: u64,
    /// Of what this process leads: the entries that the follower furthest behind lacks, by follower.
    lag: BTreeMap<String, u64>,
}

fn sums(groups: &Groups) -> Sums {
    let mut sums = Sums::default();
    for group in groups.all() {
        let receiver = group.raft.metrics();
        let metrics = receiver.borrow_watched();
        sums.groups += 1;
        sums.leading += u64::from(metrics.state == openraft::ServerState::Leader);
        sums.resting += u64::from(!group.is_awake());
        sums.stopped += u64::from(metrics.running_state.is_err());
        sums.terms += metrics.current_term;
        let Some(replication) = &metrics.replication else { continue };
        let last = metrics.last_log_index.map_or(0, |index| index + 1);
        for (id, matched) in replication {
            let Some(member) = metrics.membership_config.membership().get_node(id) else { continue };
            let matched = matched.as_ref().map_or(0, |id| id.index + 1);
            let lag = sums.lag.entry(member.name.to_string()).or_default();
            *lag = (*lag).max(last.saturating_sub(matched));
        }
    }
    // A leader's own log is no replica that lags.
    sums.lag.remove(groups.transport.name().as_str());
    sums
}

impl Collector for GroupMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(groups) = self.0.upgrade() else { return Ok(()) };
        let sums = sums(&groups);
        let gauges = [
            ("raft_groups", "Groups with a replica here", sums.groups),
            ("raft_groups_leading", "Groups that this process leads", sums.leading),
            ("raft_groups_resting", "Groups that exchange no heartbeats for want of work", sums.resting),
            ("raft_groups_stopped", "Replicas that stopped because of an error", sums.stopped),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let log = groups.log.stats();
        let proposals = groups.proposals.load(Ordering::Relaxed);
        let counters = [
            ("raft_terms", "Sum of the terms of all groups here: grows by one with an election", sums.terms as f64),
            ("raft_proposals", "Commands proposed here", proposals as f64),
            ("raft_log_syncs", "Syncs of the log that all groups share", log.syncs as f64),
            ("raft_log_sync_seconds", "Time spent in syncs of the log", log.sync_ns as f64 / 1e9),
            ("raft_log_records", "Records written to the log", log.records as f64),
            ("raft_log_written_bytes", "Bytes written to the log", log.written_bytes as f64),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauge = ConstGauge::new(0.0);
        let help = "Entries that a follower lacks, at most over the groups led here";
        let mut family = encoder.encode_descriptor("raft_replication_lag_entries", help, None, gauge.metric_type())?;
        for (peer, lag) in &sums.lag {
            ConstGauge::new(*lag as f64).encode(family.encode_family(&[("peer", peer.as_str())])?)?;
        }
        Ok(())
    }
}
