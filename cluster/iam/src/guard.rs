//! May this caller do this? Decided from what this node has heard of users, groups and policies.

use crate::managed::aws_managed;
use crate::records::{self, Group, Kind, ManagedPolicy, Policies, User};
use breakwater_aws::{Arn, Authorizer, AwsError, Call, ConditionKeys, Identity, not_authorized};
use breakwater_meta::Mirror;
use breakwater_policy::{Caller, CallerKind, Named, Outcome, Policy, Question, Sources, Use, Why, decide};
use breakwater_types::AccountId;
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use time::format_description::well_known::Rfc3339;

/// All that holds for one user, read and compiled.
struct Compiled {
    /// The mirror's revision up to which this was seen to be current.
    seen: AtomicU64,
    /// What it was made of: keys with the revisions that they had, 0 where there was nothing.
    made_of: Vec<(Vec<u8>, u64)>,
    user: Option<User>,
    caller: Caller,
    identity: Vec<(String, Arc<Policy>)>,
    boundary: Option<(String, Arc<Policy>)>,
    /// Whether any of these looks at more than action and resource.
    asks: bool,
}

/// Kept compiled at most; beyond it all are made anew.
const COMPILED_MAX: usize = 10_000;

pub struct Guard {
    mirror: Arc<Mirror>,
    region: String,
    compiled: RwLock<HashMap<String, Arc<Compiled>>>,
    allowed: Counter,
    denied: Counter,
}

/// A policy that can't be read allows nothing, and denies everything: it may have been meant to deny.
fn unreadable() -> Arc<Policy> {
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let policy = Policy::parse(document, Use::Identity);
    Arc::new(policy.unwrap_or(Policy { id: None, statements: Vec::new() }))
}

struct Reader<'a> {
    mirror: &'a Mirror,
    account: &'a AccountId,
    made_of: Vec<(Vec<u8>, u64)>,
}

impl Reader<'_> {
    fn record<T: serde::de::DeserializeOwned>(&mut self, key: Vec<u8>) -> Option<T> {
        let entry = self.mirror.get(&key);
        self.made_of.push((key, entry.as_ref().map_or(0, |e| e.mod_revision)));
        match records::read(&entry?.value) {
            Ok(record) => Some(record),
            Err(e) => {
                tracing::error!(error = e, "a record of IAM can't be read");
                None
            }
        }
    }

    fn compile(&self, name: &str, document: &str) -> Arc<Policy> {
        match Policy::parse(document, Use::Identity) {
            Ok(policy) => Arc::new(policy),
            Err(e) => {
                tracing::error!(policy = name, error = %e, "a stored policy can't be read: it denies everything");
                unreadable()
            }
        }
    }

    fn managed(&mut self, arn: &str) -> (String, Arc<Policy>) {
        let policy = match aws_managed(arn) {
            Some(managed) => managed.policy.clone(),
            None => {
                let record = records::policy_key(self.account, arn).and_then(|key| self.record::<ManagedPolicy>(key));
                match record.as_ref().and_then(ManagedPolicy::default_document) {
                    Some(document) => self.compile(arn, document),
                    // A policy can't be deleted while it is attached: its record is on its way, or damaged.
                    None => unreadable(),
                }
            }
        };
        (arn.to_owned(), policy)
    }

    fn policies(&mut self, policies: &Policies, into: &mut Vec<(String, Arc<Policy>)>) {
        for (name, document) in &policies.inline {
            into.push((name.clone(), self.compile(name, document)));
        }
        for arn in &policies.attached {
            let managed = self.managed(arn);
            into.push(managed);
        }
    }
}

impl Guard {
    /// Decides by this mirror of [`records::PREFIX`].
    pub fn new(mirror: Arc<Mirror>, region: impl Into<String>) -> Arc<Guard> {
        Arc::new(Guard {
            mirror,
            region: region.into(),
            compiled: RwLock::default(),
            allowed: Counter::default(),
            denied: Counter::default(),
        })
    }

    fn is_current(&self, compiled: &Compiled) -> bool {
        let now = self.mirror.revision();
        if compiled.seen.load(Ordering::Relaxed) == now {
            return true;
        }
        let revision = |key: &[u8]| self.mirror.get(key).map_or(0, |e| e.mod_revision);
        let current = compiled.made_of.iter().all(|(key, was)| revision(key) == *was);
        if current {
            compiled.seen.store(now, Ordering::Relaxed);
        }
        current
    }

    fn compiled(&self, account: &AccountId, arn: &str, identity: &Identity) -> Arc<Compiled> {
        if let Some(known) = self.compiled.read().get(arn)
            && self.is_current(known)
        {
            return known.clone();
        }
        let made = Arc::new(self.compile(account, arn, identity));
        let mut all = self.compiled.write();
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(arn.to_owned(), made.clone());
        made
    }

    fn compile(&self, account: &AccountId, arn: &str, identity: &Identity) -> Compiled {
        // Read before the records: what changes meanwhile is looked at again.
        let seen = self.mirror.revision();
        let mut reader = Reader { mirror: &self.mirror, account, made_of: Vec::new() };
        let kind = match identity {
            Identity::Root => CallerKind::Root,
            Identity::User(_) => CallerKind::User,
        };
        let caller = Caller { arn: arn.to_owned(), account: account.to_string(), kind };
        let mut compiled = Compiled {
            seen: AtomicU64::new(seen),
            made_of: Vec::new(),
            user: None,
            caller,
            identity: Vec::new(),
            boundary: None,
            asks: false,
        };
        if let Identity::User(name) = identity {
            let user: Option<User> = reader.record(records::key(account, Kind::User, name));
            if let Some(user) = &user {
                reader.policies(&user.policies, &mut compiled.identity);
                for group in &user.groups {
                    if let Some(group) = reader.record::<Group>(records::key(account, Kind::Group, group)) {
                        reader.policies(&group.policies, &mut compiled.identity);
                    }
                }
                compiled.boundary = user.boundary.as_ref().map(|arn| reader.managed(arn));
            }
            compiled.user = user;
        }
        compiled.asks = compiled.identity.iter().chain(&compiled.boundary).any(|(_, policy)| policy.asks());
        compiled.made_of = reader.made_of;
        compiled
    }

    /// The condition keys that every request has.
    fn keys(&self, call: &Call, compiled: &Compiled) -> ConditionKeys {
        let mut keys = ConditionKeys::default();
        let seconds = call.received_unix_ms.div_euclid(1_000);
        if let Ok(Ok(now)) = time::OffsetDateTime::from_unix_timestamp(seconds).map(|t| t.format(&Rfc3339)) {
            keys.set("aws:CurrentTime", now);
        }
        keys.set("aws:EpochTime", seconds.to_string());
        keys.set("aws:SourceIp", call.source.ip().to_canonical().to_string());
        keys.set("aws:SecureTransport", call.secure.to_string());
        keys.set("aws:RequestedRegion", self.region.as_str());
        keys.set("aws:ViaAWSService", "false");
        if let Some(Ok(agent)) = call.user_agent.as_ref().map(http_text) {
            keys.set("aws:UserAgent", agent);
        }
        keys.set("aws:PrincipalAccount", call.principal.account.as_str());
        keys.set("aws:PrincipalArn", call.principal.arn.as_str());
        match &call.principal.identity {
            Identity::Root => {
                keys.set("aws:PrincipalType", "Account");
                keys.set("aws:userid", call.principal.account.as_str());
            }
            Identity::User(name) => {
                keys.set("aws:PrincipalType", "User");
                keys.set("aws:username", name.as_str());
                if let Some(user) = &compiled.user {
                    keys.set("aws:userid", user.id.as_str());
                    for (tag, value) in &user.tags {
                        keys.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
                    }
                }
            }
        }
        keys
    }

    /// What this node has heard of IAM, for its metrics.
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.mirror
    }
}

fn http_text(value: &breakwater_aws::HeaderValue) -> Result<&str, ()> {
    value.to_str().map_err(|_| ())
}

/// The account in an ARN; the caller's own where there is none, as for `*` and for IAM's AWS-owned policies.
fn owner<'a>(resource: &'a str, own: &'a AccountId) -> &'a str {
    match resource.split(':').nth(4) {
        Some(account) if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => account,
        _ => own.as_str(),
    }
}

impl Authorizer for Guard {
    fn authorize(
        &self,
        call: &Call,
        action: &'static str,
        resource: &Arn,
        conditions: &dyn Fn(&mut ConditionKeys),
    ) -> Result<(), AwsError> {
        let principal = &call.principal;
        let compiled = self.compiled(&principal.account, &principal.arn, &principal.identity);
        let keys = if compiled.asks {
            let mut keys = self.keys(call, &compiled);
            conditions(&mut keys);
            keys
        } else {
            ConditionKeys::default()
        };
        let named = |(name, policy)| Named { name, policy };
        let identity: Vec<Named<'_>> = compiled.identity.iter().map(|(name, policy)| named((name, policy))).collect();
        let sources = Sources {
            identity: &identity,
            boundary: compiled.boundary.as_ref().map(|(name, policy)| named((name, policy))),
            ..Sources::default()
        };
        let question = Question {
            caller: &compiled.caller,
            action,
            resource: resource.as_str(),
            account: owner(resource.as_str(), &principal.account),
            context: &keys,
        };
        let decision = decide(&question, &sources);
        match decision.outcome {
            Outcome::Allowed => {
                self.allowed.inc();
                Ok(())
            }
            Outcome::Denied(why) => {
                self.denied.inc();
                tracing::debug!(request_id = %call.request_id, action, %resource, by = ?decision.by, "denied");
                Err(not_authorized(call, action, resource, &words(why)))
            }
        }
    }
}

fn words(why: Why) -> String {
    match why {
        Why::Explicit(layer) => {
            let article = if layer.words().starts_with('i') { "an" } else { "a" };
            format!("with an explicit deny in {article} {}", layer.words())
        }
        Why::Silent(layer) => format!("because no {} allows", layer.words()),
    }
}

/// Decisions, and how old what they stand on is.
pub struct GuardMetrics(pub Arc<Guard>);

impl std::fmt::Debug for GuardMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuardMetrics")
    }
}

impl Collector for GuardMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, counter) in [
            ("iam_allowed", "Decisions that allowed", &self.0.allowed),
            ("iam_denied", "Decisions that denied", &self.0.denied),
        ] {
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let age = ConstGauge::new(self.0.mirror.age_ms().map_or(-1.0, |ms| ms as f64 / 1_000.0));
        let help = "How long ago the identities and policies that this node decides by were heard of, -1 before the first time";
        age.encode(encoder.encode_descriptor("iam_age_seconds", help, None, age.metric_type())?)
    }
}
