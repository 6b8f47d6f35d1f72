//! One replica of one group, as its node sees it.

use crate::keys::KeyPrefix;
use crate::machine::State;
use crate::network::{Addressed, Request, decode, encode};
use crate::repair::{self, Seen, Step};
use crate::types::{Command, LeaderId, Member, Raft, TypeConfig};
use breakwater_storage::Engine;
use breakwater_transport::{Kind, Transport};
use breakwater_types::{GroupId, NodeName};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::linearizable_read::LinearizerOption;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{ChangeMembers, Instant as _, RaftMetrics, ServerState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A leader that no quorum has acknowledged for so many leases is cut off.
const IN_TOUCH_LEASES: u32 = 3;

/// Who leads, as far as this replica knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderHint {
    pub leader: Option<NodeName>,
    pub term: u64,
}

/// A leadership that was confirmed by a quorum, with everything before it applied here. Commands proposed under it
/// are appended by it or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    pub(crate) id: LeaderId,
}

impl Lead {
    pub fn term(&self) -> u64 {
        self.id.term
    }
}

/// What fits into a message between nodes, with room for what stands around it. An entry that doesn't fit would stop its
/// group for ever: no follower could be brought it.
pub const ENTRY_BYTES_MAX: usize = 12 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// Nothing was appended.
    #[error("not the leader: {0:?}")]
    NotLeader(LeaderHint),
    /// It may or may not come to be applied.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// This replica has stopped; nothing was appended.
    #[error("the replica has stopped: {0}")]
    Stopped(String),
    /// It could not be brought to the other replicas; nothing was appended.
    #[error("{0} bytes are more than an entry may have")]
    TooLarge(usize),
}

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("not the leader: {0:?}")]
    NotLeader(LeaderHint),
    /// No quorum confirmed in time that this is still the leader.
    #[error("leadership was not confirmed: {0}")]
    NotConfirmed(String),
    #[error("the replica has stopped: {0}")]
    Stopped(String),
}

/// For people and for metrics.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    pub group: GroupId,
    /// `leader`, `follower`, `candidate`, `learner`, `resting` or `stopped`.
    pub role: &'static str,
    pub leader: Option<NodeName>,
    pub term: u64,
    pub applied: u64,
    pub last_log: u64,
    /// Why it has stopped.
    pub stopped: Option<String>,
    pub members: Vec<MemberStatus>,
}

/// A member of a group, as the replica that was asked sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    pub node: NodeName,
    pub raft_id: u64,
    pub voter: bool,
    /// It answered lately and has nearly everything; known to a leader that doesn't rest.
    pub healthy: Option<bool>,
}

/// Without a quorum a change would wait for ever.
const CHANGE_MAX: Duration = Duration::from_secs(10);
/// A member that lags by no more has caught up: the rest comes with the next message or two.
const CAUGHT_UP_ENTRIES: u64 = 100;
/// A member that was heard within this time is up: more than a few heartbeats, and a pause of the scheduler.
const HEARD_LATELY: Duration = Duration::from_millis(1_500);
/// What a member has to answer before it is handed leadership.
const SIGN_OF_LIFE: Duration = Duration::from_millis(200);

pub struct Group {
    pub(crate) id: GroupId,
    pub(crate) raft: Raft,
    pub(crate) state: Arc<State>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) resting: AtomicBool,
    /// Milliseconds since `born` when somebody last wanted something of this group.
    pub(crate) touched_ms: AtomicU64,
    pub(crate) born: Instant,
    pub(crate) read_wait: Duration,
    pub(crate) metrics: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>>,
    /// For so long after its sending a heartbeat that a quorum answered excludes other leaders: shorter than what the
    /// followers keep, because no two clocks run alike.
    pub(crate) lease: Duration,
    /// The last term whose leadership this replica wanted to hand on.
    pub(crate) handed_over: AtomicU64,
    pub(crate) staged: AtomicU64,
    /// Held while a snapshot is received and installed, and while the group is removed: one at a time.
    pub(crate) uploading: Arc<tokio::sync::Mutex<()>>,
    /// Whose leadership this group rests under. Held while resting and ticking change together.
    pub(crate) rests_under: parking_lot::Mutex<Option<NodeName>>,
    /// Whether this replica had a log when it was started: then it may have granted a lease before.
    pub(crate) had_log: bool,
    /// Of all groups of the process.
    pub(crate) proposals: Arc<AtomicU64>,
}

impl Group {
    pub fn id(&self) -> GroupId {
        self.id
    }

    pub fn store(&self) -> &Arc<dyn Engine> {
        &self.state.store
    }

    /// Where this replica's state stands now; moves when a snapshot is installed.
    pub fn prefix(&self) -> KeyPrefix {
        self.state.prefix()
    }

    fn hint_of(&self, leader: Option<&Member>) -> LeaderHint {
        let metrics = self.raft.metrics().borrow_watched().clone();
        LeaderHint { leader: leader.map(|m| m.name.clone()), term: metrics.current_term }
    }

    /// Who leads, as far as this replica knows.
    pub fn leader(&self) -> LeaderHint {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        let leader = metrics
            .current_leader
            .and_then(|id| metrics.membership_config.membership().get_node(&id).map(|member| member.name.clone()));
        LeaderHint { leader, term: metrics.current_term }
    }

    pub fn is_leader(&self) -> bool {
        self.raft.is_leader()
    }

    /// Whether this replica belongs to a quorum that works, as far as it can know: one that was cut off finds out
    /// within a few election timeouts. Who rests hears of no trouble.
    pub fn in_touch(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        let acked = || metrics.last_quorum_acked.map(|acked| openraft::Instant::elapsed(&acked.into_inner()));
        match metrics.state {
            ServerState::Leader => !self.is_awake() || acked().is_some_and(|ago| ago < IN_TOUCH_LEASES * self.lease),
            _ => metrics.current_leader.is_some(),
        }
    }

    /// Ends when leader or term differ from `seen`, or this replica stops.
    pub async fn leader_changed(&self, seen: &LeaderHint) -> LeaderHint {
        let mut metrics = self.raft.server_metrics();
        loop {
            let now = self.leader();
            if now != *seen {
                return now;
            }
            if metrics.changed().await.is_err() {
                // The replica has stopped: there will be no change any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Confirms that this replica leads and has applied all that was acknowledged before: the condition for a
    /// strongly consistent read, and for evaluating a write. Costs no log entry; while the lease that a quorum
    /// granted lasts, no message either.
    pub async fn lead(&self) -> Result<Lead, ReadError> {
        self.touch();
        if let Some(lead) = self.lead_by_lease() {
            return Ok(lead);
        }
        let option = LinearizerOption::new(Some(self.lease), true).with_wait_timeout(self.read_wait);
        let linearizer = match self.raft.get_read_linearizer(option).await {
            Ok(linearizer) => linearizer,
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
                return Err(ReadError::NotLeader(self.hint_of(forward.leader_node.as_ref())));
            }
            Err(RaftError::APIError(other)) => return Err(ReadError::NotConfirmed(other.to_string())),
            Err(RaftError::Fatal(fatal)) => return Err(ReadError::Stopped(fatal.to_string())),
        };
        let id = *linearizer.read_log_id().committed_leader_id();
        match linearizer.try_await_ready(&self.raft, Some(self.read_wait)).await {
            Ok(Ok(_)) => Ok(Lead { id }),
            Ok(Err(state)) => Err(ReadError::NotConfirmed(format!("not applied yet: {state}"))),
            Err(fatal) => Err(ReadError::Stopped(fatal.to_string())),
        }
    }

    /// The leadership that the lease alone confirms, without a word to Raft's own task: no other leader can have been
    /// elected while it lasts, and all that this one acknowledged it had applied before.
    fn lead_by_lease(&self) -> Option<Lead> {
        // One borrow: what it says was true at one moment.
        let metrics = self.metrics.borrow_watched();
        let acked = metrics.last_quorum_acked.filter(|_| metrics.state == ServerState::Leader)?;
        if openraft::Instant::elapsed(&acked.into_inner()) >= self.lease
            || metrics.current_term <= self.handed_over.load(Ordering::SeqCst)
        {
            return None;
        }
        // Something of its own term is applied, so everything of earlier ones is.
        let id = *metrics.last_applied.as_ref()?.committed_leader_id();
        (id.term == metrics.current_term && id.node_id == metrics.id).then_some(Lead { id })
    }

    /// Appends a command under a confirmed leadership, and waits until it is applied here.
    pub async fn propose(&self, lead: Lead, data: Bytes) -> Result<Bytes, ProposeError> {
        if data.len() > ENTRY_BYTES_MAX {
            return Err(ProposeError::TooLarge(data.len()));
        }
        self.touch();
        self.proposals.fetch_add(1, Ordering::Relaxed);
        let (responder, done) = ProgressResponder::complete_only();
        let command = Command { traceparent: breakwater_transport::current_traceparent(), data };
        let stopped = |fatal: Fatal<TypeConfig>| ProposeError::Stopped(fatal.to_string());
        self.raft.write(command).with_leader(lead.id).responder(responder).await.map_err(stopped)?;
        match done.await {
            Ok(Ok(response)) => Ok(response.data),
            Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
                Err(ProposeError::NotLeader(self.hint_of(forward.leader_node.as_ref())))
            }
            Ok(Err(ClientWriteError::PreconditionFailed(_))) => Err(ProposeError::NotLeader(self.leader())),
            Ok(Err(ClientWriteError::LogEntryDiscarded(_))) => {
                Err(ProposeError::Unknown("the leader changed".to_owned()))
            }
            Ok(Err(ClientWriteError::ChangeMembershipError(e))) => Err(ProposeError::Unknown(e.to_string())),
            Err(_) => Err(ProposeError::Unknown("the replica has stopped".to_owned())),
        }
    }

    /// Somebody wants something: a resting group wakes.
    pub fn touch(&self) {
        self.touched_ms.store(self.born.elapsed().as_millis() as u64, Ordering::Relaxed);
        if self.resting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    pub fn is_awake(&self) -> bool {
        !self.resting.load(Ordering::Relaxed)
    }

    pub(crate) fn idle(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.touched_ms.load(Ordering::Relaxed)))
    }

    pub(crate) fn wake(&self) {
        let mut under = self.rests_under.lock();
        *under = None;
        if self.resting.swap(false, Ordering::SeqCst) {
            tracing::debug!(group = %self.id, "wakes");
            self.raft.runtime_config().tick(true);
        }
    }

    pub(crate) fn rest(&self) {
        let mut under = self.rests_under.lock();
        *under = self.leader().leader;
        if !self.resting.swap(true, Ordering::SeqCst) {
            tracing::debug!(group = %self.id, "rests");
            self.raft.runtime_config().tick(false);
        }
    }

    fn member_statuses(&self) -> Vec<MemberStatus> {
        let seen = self.seen().filter(|_| self.is_awake());
        let voters = self.voters();
        let healthy = |id: u64| seen.as_ref().map(|s| id == s.me || s.up.contains(&id) && s.caught_up.contains(&id));
        let all = self.member_ids().into_iter();
        all.map(|(id, node)| MemberStatus { node, raft_id: id, voter: voters.contains_key(&id), healthy: healthy(id) })
            .collect()
    }

    pub fn status(&self) -> GroupStatus {
        let hint = self.leader();
        let members = self.member_statuses();
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        let stopped = metrics.running_state.as_ref().err().map(ToString::to_string);
        let role = match metrics.state {
            _ if stopped.is_some() => "stopped",
            _ if self.resting.load(Ordering::Relaxed) => "resting",
            ServerState::Leader => "leader",
            ServerState::Follower => "follower",
            ServerState::Candidate => "candidate",
            ServerState::Learner => "learner",
            ServerState::Shutdown => "stopped",
        };
        GroupStatus {
            group: self.id,
            role,
            leader: hint.leader,
            term: hint.term,
            applied: metrics.last_applied.as_ref().map_or(0, |id| id.index),
            last_log: metrics.last_log_index.unwrap_or(0),
            stopped,
            members,
        }
    }

    /// The voters by name, in no particular order.
    pub fn members(&self) -> Vec<NodeName> {
        self.voters().into_values().collect()
    }

    /// As [`Group::members`], by their Raft ids.
    pub fn voters(&self) -> BTreeMap<u64, NodeName> {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        let membership = metrics.membership_config.membership();
        let named = |id: u64| Some((id, membership.get_node(&id)?.name.clone()));
        membership.voter_ids().filter_map(named).collect()
    }

    /// Whether this replica is one of the voters, as far as it knows: one that only learns may know nothing yet.
    pub fn is_voter(&self) -> bool {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        metrics.membership_config.membership().voter_ids().any(|id| id == metrics.id)
    }

    /// All members by their Raft ids, learners too.
    pub fn member_ids(&self) -> BTreeMap<u64, NodeName> {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        metrics.membership_config.membership().nodes().map(|(id, member)| (*id, member.name.clone())).collect()
    }

    /// The members, as a leader that ticks sees them; none from anybody else.
    pub fn seen(&self) -> Option<Seen> {
        let receiver = self.raft.metrics();
        let metrics = receiver.borrow_watched();
        if metrics.state != ServerState::Leader || metrics.running_state.is_err() {
            return None;
        }
        let membership = metrics.membership_config.membership();
        let last = metrics.last_log_index.unwrap_or(0);
        let near = |matched: &Option<crate::types::LogId>| {
            matched.as_ref().is_some_and(|id| id.index + CAUGHT_UP_ENTRIES >= last)
        };
        let heard = metrics.heartbeat.iter().flatten();
        let lately = heard.filter(|(_, at)| at.as_ref().is_some_and(|at| at.elapsed() < HEARD_LATELY));
        Some(Seen {
            me: metrics.id,
            configs: membership.get_joint_config().clone(),
            names: membership.nodes().map(|(id, member)| (*id, member.name.clone())).collect(),
            committed: metrics.membership_config.log_id() == metrics.committed_membership_config.log_id(),
            up: lately.map(|(id, _)| *id).chain([metrics.id]).collect(),
            caught_up: metrics.replication.iter().flatten().filter(|(_, m)| near(m)).map(|(id, _)| *id).collect(),
        })
    }

    /// Whether the voters are others than these. A group that rests is woken, so that its leader can change them.
    pub fn differs(&self, wanted: &BTreeMap<u64, NodeName>) -> bool {
        let voters = self.voters();
        let differs = voters != *wanted && !voters.is_empty();
        if differs {
            self.touch();
        }
        differs
    }

    async fn repair(&self, wanted: &BTreeMap<u64, NodeName>) -> Result<Step, String> {
        self.touch();
        let Some(seen) = self.seen() else { return Err("this replica doesn't lead".to_owned()) };
        let step = repair::plan(&seen, wanted);
        let done = match &step {
            Step::Settled | Step::Wait(_) | Step::Learning(_) => return Ok(step),
            Step::AddLearner(id, name) => self.raft.add_learner(*id, Member { name: name.clone() }, false).await,
            Step::RemoveLearner(id) => {
                self.raft.change_membership(ChangeMembers::RemoveNodes(BTreeSet::from([*id])), false).await
            }
            Step::SetVoters(voters) => self.raft.change_membership(voters.clone(), false).await,
        };
        done.map_err(|e| e.to_string())?;
        tracing::info!(group = %self.id, ?step, "members changed");
        Ok(step)
    }

    /// On the leader: makes these the voters, step by step, as long as each step is safe. To be tried again where it
    /// fails: what was done until then stays, and is gone on with.
    pub async fn settle(&self, wanted: &BTreeMap<u64, NodeName>) -> Result<(), String> {
        let mut moved = Instant::now();
        loop {
            let step = tokio::time::timeout(CHANGE_MAX, self.repair(wanted)).await;
            match step.map_err(|_| "a change of members got no quorum in time".to_owned())?? {
                Step::Settled => return Ok(()),
                // A moment ago it may not have been seen yet that the last step was done.
                Step::Wait(why) if moved.elapsed() > HEARD_LATELY * 2 => return Err(why),
                Step::Wait(_) => {}
                // However long that takes: it answers, and what it lacks is on the way.
                Step::Learning(_) | Step::AddLearner(..) | Step::RemoveLearner(_) | Step::SetVoters(_) => {
                    moved = Instant::now();
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Hands leadership to a member, if it is caught up.
    pub async fn transfer_leader(&self, to: &NodeName) -> Result<(), String> {
        self.wake();
        let id = self
            .voters()
            .into_iter()
            .find_map(|(id, name)| (name == *to).then_some(id))
            .ok_or_else(|| format!("{to} is not a member"))?;
        let caught_up = {
            let receiver = self.raft.metrics();
            let metrics = receiver.borrow_watched();
            let last = metrics.last_log_index;
            metrics.replication.as_ref().and_then(|r| r.get(&id)?.as_ref().map(|l| l.index)).or(None) >= last
        };
        if !caught_up {
            return Err(format!("{to} is not caught up"));
        }
        // Who hands over to a node that has just died leaves the group without a leader for an election's time.
        let sign_of_life = self.transport.call(to, Kind::Ping, 0, Bytes::new(), Instant::now() + SIGN_OF_LIFE);
        sign_of_life.await.map_err(|e| format!("{to} doesn't answer: {e}"))?;
        // The lease is given away with it: followers that hear of the transfer vote at once.
        let term = self.raft.metrics().borrow_watched().current_term;
        self.handed_over.fetch_max(term, Ordering::SeqCst);
        self.raft.trigger().transfer_leader(id).await.map_err(|e| e.to_string())
    }

    pub(crate) async fn answer(&self, request: Request) -> Result<Bytes, String> {
        fn shaped<T: serde::Serialize, E: std::fmt::Display>(answer: Result<T, E>) -> Result<Bytes, String> {
            answer.map_err(|e| e.to_string()).and_then(|a| encode(&a))
        }
        match request {
            Request::Append(append) => {
                if !append.entries.is_empty() {
                    self.touch();
                }
                shaped(self.raft.append_entries(append).await)
            }
            Request::Vote(_) | Request::PreVote(_) if self.had_log && self.born.elapsed() < self.read_wait => {
                // openraft forgets at a restart which lease it granted: until the longest one has passed, no vote.
                Err("just started: a lease granted before may be alive".to_owned())
            }
            Request::Vote(vote) => {
                self.wake();
                shaped(self.raft.vote(vote).await)
            }
            Request::PreVote(vote) => {
                self.wake();
                shaped(self.raft.pre_vote(vote).await)
            }
            Request::TransferLeader(transfer) => {
                self.wake();
                shaped(self.raft.handle_transfer_leader(transfer).await)
            }
            Request::Rest { term, last_index } => {
                let have = self.raft.metrics().borrow_watched().last_log_index;
                let agreed = self.leader().term == term && !self.is_leader() && have == Some(last_index);
                if agreed {
                    self.rest();
                }
                encode(&agreed)
            }
        }
    }

    /// Asks the followers to rest, then rests. Only a leader with nothing outstanding does.
    pub(crate) async fn try_rest(&self) {
        let me = self.transport.name().clone();
        let (term, last, settled) = {
            let receiver = self.raft.metrics();
            let metrics = receiver.borrow_watched();
            let last = metrics.last_log_index;
            let applied = metrics.last_applied.as_ref().map(|id| id.index);
            let replicated = metrics
                .replication
                .as_ref()
                .is_some_and(|r| r.values().all(|matched| matched.as_ref().map(|id| id.index) == last));
            (metrics.current_term, last, applied == last && replicated && metrics.state == ServerState::Leader)
        };
        let Some(last_index) = last.filter(|_| settled) else { return };
        self.rest();
        let deadline = Instant::now() + Duration::from_millis(500);
        for (to, member) in self.member_ids().into_iter().filter(|(_, name)| *name != me) {
            let kind = Kind::Raft;
            let Ok(payload) = encode(&Addressed { to, request: Request::Rest { term, last_index } }) else {
                return self.wake();
            };
            let answer = self.transport.call(&member, kind, self.id.0, payload, deadline).await;
            let agreed = answer.ok().and_then(|bytes| decode::<bool>(&bytes).ok()).unwrap_or(false);
            if !agreed {
                // Somebody is away or disagrees: a follower that ticks would start an election.
                self.wake();
                return;
            }
        }
    }
}
