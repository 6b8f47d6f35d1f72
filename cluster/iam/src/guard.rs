//! May this caller do this? Decided from what this node has heard of users, groups and policies.

use crate::kept::Kept;
use crate::managed::aws_managed;
use crate::records::{self, Group, Kind, ManagedPolicy, Policies, Role, User};
use breakwater_aws::{
    About, Arn, Authorizer, AwsError, Call, ConditionKeys, Federated, Identity, Principal, Session, not_authorized,
    sigv4::GLOBAL_REGION,
};
use breakwater_meta::{Entry, Mirror};
use breakwater_policy::{Asked, Caller, CallerKind, Named, Outcome, Policy, Question, Sources, Use, Why, decide};
use breakwater_types::{AccountId, rfc3339};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// All that holds for one user, read and compiled.
struct Compiled {
    /// The mirror's revision up to which this was seen to be current.
    seen: AtomicU64,
    /// What it was made of: keys with the revisions that they had, 0 where there was nothing.
    made_of: Vec<(Vec<u8>, u64)>,
    who: Who,
    caller: Caller,
    /// Ids of temporary access keys may come twice.
    of: Option<Arc<Session>>,
    /// Of the session that asks, if it was made with any.
    session: Option<Vec<(String, Arc<Policy>)>>,
    identity: Vec<(String, Arc<Policy>)>,
    boundary: Option<(String, Arc<Policy>)>,
    /// Of policies that only this session has.
    own_bytes: usize,
    /// The condition keys that any of these looks at.
    asked: Asked,
    /// Whether there are any.
    asks: bool,
    /// Whether any of these looks at tags of resources.
    asks_for_tags: bool,
    /// There is no such user or role any more: it may do nothing, whoever's policy trusts its name.
    gone: bool,
}

impl Compiled {
    fn is_of(&self, principal: &Principal) -> bool {
        match (&self.of, &principal.session) {
            (Some(known), Some(session)) => Arc::ptr_eq(known, session) || known == session,
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// About the memory that it takes beside the policies that it shares with others.
    fn bytes(&self) -> usize {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.len() + size_of::<String>()).sum::<usize>();
        let tags = self.who.tags.iter().map(|(tag, value)| texts(&[tag, value])).sum::<usize>();
        let keys = self.made_of.iter().map(|(key, _)| key.len() + size_of::<(Vec<u8>, u64)>()).sum::<usize>();
        let session = self.session.iter().flatten();
        let named = self.identity.iter().chain(&self.boundary).chain(session);
        let names = named.map(|(name, _)| texts(&[name]) + size_of::<Arc<Policy>>()).sum::<usize>();
        size_of::<Compiled>() + texts(&[&self.caller.arn]) + tags + keys + names + self.own_bytes + self.asked.bytes()
    }
}

/// What is known of the identity itself; nothing where its record is gone.
#[derive(Default)]
struct Who {
    id: String,
    tags: BTreeMap<String, String>,
}

type TagsOf = Box<dyn Fn(&str) -> Option<BTreeMap<String, String>> + Send + Sync>;

fn asks_for_tags(policy: &Policy) -> bool {
    let is_tag = |key: &str| key.to_ascii_lowercase().contains(":resourcetag/");
    policy.keys().any(is_tag)
}

pub struct Guard {
    mirror: Arc<Mirror>,
    region: String,
    /// What is older decides nothing.
    stale_ms_max: Option<u64>,
    tags_of: OnceLock<TagsOf>,
    compiled: Kept<Compiled>,
    allowed: Counter,
    denied: Counter,
}

fn everything() -> Arc<Policy> {
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    let policy = Policy::parse(document, Use::Identity);
    Arc::new(policy.unwrap_or(Policy { id: None, statements: Vec::new() }))
}

/// Whose rights a federated user's session has at most.
fn issuer_of(session: Option<&Session>) -> Option<&(String, String)> {
    session?.more.issuer.as_ref()
}

/// A policy that can't be read allows nothing, and denies everything: it may have been meant to deny.
fn unreadable() -> Arc<Policy> {
    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let policy = Policy::parse(document, Use::Identity);
    Arc::new(policy.unwrap_or(Policy { id: None, statements: Vec::new() }))
}

/// A record that has policies written into it.
struct Holder {
    key: Vec<u8>,
    revision: u64,
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Option<T> {
    match records::read(value) {
        Ok(record) => Some(record),
        Err(e) => {
            tracing::error!(error = e, "a record of IAM can't be read");
            None
        }
    }
}

struct Reader<'a> {
    mirror: &'a Mirror,
    compiled: &'a Kept<Compiled>,
    account: &'a AccountId,
    made_of: Vec<(Vec<u8>, u64)>,
}

impl Reader<'_> {
    /// What a key has, noted as looked at.
    fn entry(&mut self, key: &[u8]) -> Option<Arc<Entry>> {
        let entry = self.mirror.get(key);
        self.made_of.push((key.to_vec(), entry.as_ref().map_or(0, |e| e.mod_revision)));
        entry
    }

    fn record<T: serde::de::DeserializeOwned>(&mut self, key: &[u8]) -> Option<T> {
        read(&self.entry(key)?.value)
    }

    /// The record, with the key and revision that its policies are known by.
    fn holder<T: serde::de::DeserializeOwned>(&mut self, key: Vec<u8>) -> Option<(T, Holder)> {
        let entry = self.entry(&key)?;
        Some((read(&entry.value)?, Holder { key, revision: entry.mod_revision }))
    }

    fn compile(name: &str, document: &str) -> Arc<Policy> {
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
            None => match records::policy_key(self.account, arn).and_then(|key| Some((self.entry(&key)?, key))) {
                // Read only if nobody has read this revision of it.
                Some((entry, key)) => self.compiled.shared((key, String::new()), entry.mod_revision, || {
                    let record = read::<ManagedPolicy>(&entry.value);
                    let document = record.as_ref().and_then(ManagedPolicy::default_document);
                    document.map_or_else(unreadable, |document| Self::compile(arn, document))
                }),
                // A policy can't be deleted while it is attached: its record is on its way, or damaged.
                None => unreadable(),
            },
        };
        (arn.to_owned(), policy)
    }

    fn policies(&mut self, policies: &Policies, of: &Holder, into: &mut Vec<(String, Arc<Policy>)>) {
        for (name, document) in &policies.inline {
            let source = (of.key.clone(), name.clone());
            let policy = self.compiled.shared(source, of.revision, || Self::compile(name, document));
            into.push((name.clone(), policy));
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
        Self::bounded(mirror, region, None)
    }

    /// The same, but once the mirror is older than this it refuses everybody; without a bound it goes on with what it
    /// knows for as long as it hears nothing.
    pub fn bounded(mirror: Arc<Mirror>, region: impl Into<String>, stale_ms_max: Option<u64>) -> Arc<Guard> {
        Arc::new(Guard {
            mirror,
            region: region.into(),
            stale_ms_max,
            tags_of: OnceLock::new(),
            compiled: Kept::new(),
            allowed: Counter::default(),
            denied: Counter::default(),
        })
    }

    fn is_fresh_enough(&self) -> Result<(), AwsError> {
        let Some(most) = self.stale_ms_max else { return Ok(()) };
        match self.mirror.age_ms() {
            Some(age) if age <= most => Ok(()),
            _ => Err(AwsError::unavailable("what this node knows of identities and policies is older than it may be")),
        }
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

    fn compiled(&self, principal: &Principal) -> Arc<Compiled> {
        // Sessions of one identity differ in their policies; their access keys are their own.
        let name = if principal.session.is_some() { &principal.access_key_id } else { &principal.arn };
        if let Some(known) = self.compiled.get(name)
            && known.is_of(principal)
            && self.is_current(&known)
        {
            return known;
        }
        let made = Arc::new(self.compile(principal));
        self.compiled.put(name, made.clone(), made.bytes());
        made
    }

    fn compile(&self, principal: &Principal) -> Compiled {
        let account = &principal.account;
        let session = principal.session.as_deref();
        // Read before the records: what changes meanwhile is looked at again.
        let seen = self.mirror.revision();
        let mut reader = Reader { mirror: &self.mirror, compiled: &self.compiled, account, made_of: Vec::new() };
        let kind = match &principal.identity {
            Identity::Root => CallerKind::Root,
            Identity::User(_) => CallerKind::User,
            Identity::Federated(_) | Identity::Anonymous => CallerKind::FederatedUser,
            Identity::Role(_) => {
                let role = session.and_then(|s| s.role.as_ref()).map(|(_, arn)| arn.clone());
                CallerKind::Role { role: role.unwrap_or_default() }
            }
        };
        let caller = Caller { arn: principal.arn.clone(), account: account.to_string(), kind };
        let mut compiled = Compiled {
            seen: AtomicU64::new(seen),
            made_of: Vec::new(),
            who: Who::default(),
            caller,
            of: principal.session.clone(),
            session: None,
            identity: Vec::new(),
            boundary: None,
            own_bytes: 0,
            asked: Asked::default(),
            asks: false,
            asks_for_tags: false,
            gone: !matches!(principal.identity, Identity::Root),
        };
        match &principal.identity {
            Identity::Root | Identity::Anonymous => {}
            Identity::Federated(_) if issuer_of(session).is_some_and(|(arn, _)| arn.ends_with(":root")) => {
                compiled.identity.push(("the account's root user".to_owned(), everything()));
                compiled.gone = false;
            }
            Identity::User(_) | Identity::Federated(_) => {
                // A federated user has the rights of who made its session.
                let of_issuer = issuer_of(session).and_then(|(arn, _)| Identity::of_arn(arn));
                let name = match (&principal.identity, &of_issuer) {
                    (Identity::User(name), _) | (_, Some(Identity::User(name))) => name.as_str(),
                    _ => "",
                };
                let user = reader.holder::<User>(records::key(account, Kind::User, name));
                // A user who was deleted and made again is another one: sessions have her id.
                let id = issuer_of(session).map(|(_, id)| id).or(session.map(|s| &s.user_id));
                let same = |(user, _): &(User, Holder)| id.is_none_or(|id| *id == user.id);
                let user = user.filter(same).or_else(|| {
                    let name = reader.record::<String>(&records::renamed_key(account, id?))?;
                    reader.holder::<User>(records::key(account, Kind::User, &name)).filter(same)
                });
                if let Some((user, holder)) = user {
                    if matches!(principal.identity, Identity::User(_)) {
                        compiled.caller.arn = records::arn(account, Kind::User, &user.path, &user.name);
                    }
                    reader.policies(&user.policies, &holder, &mut compiled.identity);
                    for group in &user.groups {
                        match reader.holder::<Group>(records::key(account, Kind::Group, group)) {
                            Some((group, holder)) => {
                                reader.policies(&group.policies, &holder, &mut compiled.identity);
                            }
                            // A group can't be deleted while it has members: its record is on its way, or damaged.
                            None => compiled.identity.push((group.clone(), unreadable())),
                        }
                    }
                    compiled.boundary = user.boundary.as_ref().map(|arn| reader.managed(arn));
                    compiled.who = Who { id: user.id, tags: user.tags };
                    compiled.gone = false;
                }
            }
            Identity::Role(name) => {
                let role = reader.holder::<Role>(records::key(account, Kind::Role, name));
                // A role that was deleted and made again is another one: its sessions have its id.
                let same =
                    |(role, _): &(Role, Holder)| session.is_some_and(|s| s.user_id.split(':').next() == Some(&role.id));
                if let Some((role, holder)) = role.filter(same) {
                    reader.policies(&role.policies, &holder, &mut compiled.identity);
                    compiled.boundary = role.boundary.as_ref().map(|arn| reader.managed(arn));
                    compiled.who = Who { id: role.id, tags: role.tags };
                    compiled.gone = false;
                }
            }
        }
        let federated = matches!(principal.identity, Identity::Federated(_));
        if let Some(session) = session.filter(|s| federated || !s.policies.is_empty() || !s.policy_arns.is_empty()) {
            let mut all = Vec::new();
            for document in &session.policies {
                let policy = Reader::compile("session policy", document);
                compiled.own_bytes += policy.bytes();
                all.push(("session policy".to_owned(), policy));
            }
            for arn in &session.policy_arns {
                all.push(reader.managed(arn));
            }
            compiled.session = Some(all);
        }
        let session = compiled.session.iter().flatten();
        let all = compiled.identity.iter().chain(&compiled.boundary).chain(session).map(|(_, policy)| policy);
        let (asks, for_tags) =
            (all.clone().any(|policy| policy.asks()), all.clone().any(|policy| asks_for_tags(policy)));
        let asked = Asked::by(all.map(|policy| &**policy));
        (compiled.asks, compiled.asks_for_tags, compiled.asked) = (asks, for_tags, asked);
        compiled.made_of = reader.made_of;
        compiled
    }

    /// For who has no identity here yet: the policy of what it asks for decides alone.
    fn authorize_federated(
        &self,
        call: &Call,
        federated: &Federated,
        action: &'static str,
        resource: &Arn,
        about: &About<'_>,
    ) -> Result<(), AwsError> {
        let mut keys = self.request_keys(call, action, &Asked::default());
        let account = owner(resource.as_str(), &federated.caller.account);
        keys.set("aws:ResourceAccount", account);
        if about.policy.as_ref().is_some_and(|p| asks_for_tags(&p.policy)) {
            self.resource_tags(resource.as_str(), &mut keys);
        }
        if let CallerKind::WebIdentity { provider } | CallerKind::Saml { provider } = &federated.caller.kind {
            keys.set("aws:FederatedProvider", provider.as_str());
        }
        (about.conditions)(&mut keys);
        let sources = Sources {
            resource: about.policy.as_ref().map(|p| Named { name: "resource policy", policy: &p.policy }),
            resource_must_allow: true,
            ..Sources::default()
        };
        let caller = &federated.caller;
        let question =
            Question { caller, action, resource: resource.as_str(), account: &caller.account, context: &keys };
        let is_open = UNSIGNED.contains(&action);
        if is_open && decide(&question, &sources).is_allowed() {
            self.allowed.inc();
            return Ok(());
        }
        self.denied.inc();
        Err(not_yet(action))
    }

    /// The condition keys of the request alone.
    fn request_keys(&self, call: &Call, action: &str, asked: &Asked) -> ConditionKeys {
        let mut keys = ConditionKeys::of(asked);
        let seconds = call.received_unix_ms.div_euclid(1_000);
        keys.set_with("aws:CurrentTime", || rfc3339(seconds));
        keys.set_with("aws:EpochTime", || seconds.to_string());
        keys.set_with("aws:SourceIp", || call.source.ip().to_canonical().to_string());
        keys.set_with("aws:SecureTransport", || call.secure.to_string());
        keys.set("aws:RequestedRegion", requested_region(action, &self.region));
        keys.set("aws:ViaAWSService", "false");
        keys.set("aws:PrincipalIsAWSService", "false");
        if let Some(Ok(agent)) = call.user_agent.as_ref().map(http_text) {
            keys.set("aws:UserAgent", agent);
        }
        keys
    }

    /// The condition keys that every signed request has.
    fn keys(&self, call: &Call, action: &str, compiled: &Compiled, asked: &Asked) -> ConditionKeys {
        let mut keys = self.request_keys(call, action, asked);
        let seconds = call.received_unix_ms.div_euclid(1_000);
        keys.set("aws:PrincipalAccount", call.principal.account.as_str());
        keys.set("aws:PrincipalArn", compiled.caller.arn.as_str());
        match &call.principal.identity {
            Identity::Root => {
                keys.set("aws:PrincipalType", "Account");
                keys.set("aws:userid", call.principal.account.as_str());
            }
            Identity::User(name) => {
                keys.set("aws:PrincipalType", "User");
                // As she is called now: sessions know her former name.
                keys.set("aws:username", compiled.caller.arn.rsplit('/').next().unwrap_or(name));
                keys.set("aws:userid", compiled.who.id.as_str());
            }
            Identity::Federated(_) => keys.set("aws:PrincipalType", "FederatedUser"),
            Identity::Anonymous => keys.set("aws:PrincipalType", "Anonymous"),
            Identity::Role(_) => {
                keys.set("aws:PrincipalType", "AssumedRole");
                if let CallerKind::Role { role } = &compiled.caller.kind {
                    keys.set("aws:PrincipalArn", role.as_str());
                }
            }
        }
        for (tag, value) in &compiled.who.tags {
            keys.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
        }
        if let Some(session) = &call.principal.session {
            keys.set("aws:userid", session.user_id.as_str());
            keys.set_with("aws:TokenIssueTime", || rfc3339(session.issued_unix_s));
            for (tag, value) in &session.tags {
                keys.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
            }
            if let Some(provider) = &session.more.provider {
                keys.set("aws:FederatedProvider", provider.as_str());
            }
            for (key, value) in &session.more.keys {
                keys.set(key.clone(), value.as_str());
            }
            if let Some(source) = &session.source_identity {
                keys.set("aws:SourceIdentity", source.as_str());
            }
            // Long-lived credentials have no such key at all.
            keys.set_with("aws:MultiFactorAuthPresent", || session.mfa_unix_s.is_some().to_string());
            if let Some(mfa) = session.mfa_unix_s {
                keys.set_with("aws:MultiFactorAuthAge", || (seconds - mfa).max(0).to_string());
            }
        }
        keys
    }

    /// Where tags of other services' resources are found, by ARN.
    pub fn know_tags(&self, of: impl Fn(&str) -> Option<BTreeMap<String, String>> + Send + Sync + 'static) {
        // The first one stays: a node says it once.
        let _ = self.tags_of.set(Box::new(of));
    }

    /// The tags of the resource itself, as this node has heard of them.
    fn resource_tags(&self, resource: &str, keys: &mut ConditionKeys) {
        let of_iam = records::tags_of(resource, |key| self.mirror.get(key).map(|entry| entry.value.to_vec()));
        if let Some(tags) = of_iam {
            for (tag, value) in tags {
                keys.set(format!("aws:ResourceTag/{tag}"), value.as_str());
                keys.set(format!("iam:ResourceTag/{tag}"), value);
            }
            return;
        }
        for (tag, value) in self.tags_of.get().and_then(|of| of(resource)).unwrap_or_default() {
            keys.set(format!("aws:ResourceTag/{tag}"), value);
        }
    }

    /// What this node has heard of IAM, for its metrics.
    pub fn mirror(&self) -> &Arc<Mirror> {
        &self.mirror
    }
}

/// AWS: IAM has one endpoint, in `us-east-1`, and all its requests are made to that region.
fn requested_region<'a>(action: &str, region: &'a str) -> &'a str {
    if action.starts_with("iam:") { GLOBAL_REGION } else { region }
}

fn http_text(value: &breakwater_aws::HeaderValue) -> Result<&str, ()> {
    value.to_str().map_err(|_| ())
}

/// All that can be allowed to who has no credentials yet.
const UNSIGNED: [&str; 4] =
    ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"];

/// AWS's words for who is refused without credentials.
fn not_yet(action: &str) -> AwsError {
    AwsError::new("AccessDenied", 403, format!("Not authorized to perform {action}"))
}

/// What credentials of GetSessionToken may ask of STS.
const SESSION_STS: [&str; 4] = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:GetCallerIdentity"];

/// The account in an ARN; the caller's own where there is none, as for `*` and for IAM's AWS-owned policies.
fn owner<'a>(resource: &'a str, own: &'a str) -> &'a str {
    match resource.split(':').nth(4) {
        Some(account) if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => account,
        _ => own,
    }
}

impl Authorizer for Guard {
    fn unique_id(&self, principal: &Principal) -> String {
        match (&principal.session, &principal.identity) {
            (Some(session), _) => session.user_id.clone(),
            (None, Identity::Root) => principal.account.to_string(),
            (None, Identity::Anonymous) => String::new(),
            (None, _) => self.compiled(principal).who.id.clone(),
        }
    }

    fn authorize(&self, call: &Call, action: &'static str, resource: &Arn, about: &About<'_>) -> Result<(), AwsError> {
        self.is_fresh_enough()?;
        let principal = &call.principal;
        if let Some(caller) = about.caller {
            return self.authorize_federated(call, caller, action, resource, about);
        }
        if principal.identity == Identity::Anonymous {
            self.denied.inc();
            return Err(not_yet(action));
        }
        if matches!(principal.identity, Identity::Federated(_))
            && (action.starts_with("iam:") || action.starts_with("sts:"))
        {
            // As AWS: federated users can't be used for these.
            return Err(AwsError::invalid_token());
        }
        if let Some(session) = &principal.session
            && session.role.is_none()
            && !session.is_signed_in()
            && (session.mfa_unix_s.is_none() && action.starts_with("iam:")
                || action.starts_with("sts:") && !SESSION_STS.contains(&action))
        {
            // As AWS: what GetSessionToken made can't be used for these.
            return Err(AwsError::invalid_token());
        }
        let compiled = self.compiled(principal);
        if compiled.gone {
            self.denied.inc();
            return Err(AwsError::invalid_token());
        }
        let of_resource = about.policy.as_ref().is_some_and(|p| p.policy.asks());
        let keys = if compiled.asks || of_resource {
            // Whatever a policy of the resource may ask for beside.
            let asked = if of_resource { &Asked::default() } else { &compiled.asked };
            let mut keys = self.keys(call, action, &compiled, asked);
            keys.set("aws:ResourceAccount", owner(resource.as_str(), principal.account.as_str()));
            if compiled.asks_for_tags || about.policy.as_ref().is_some_and(|p| asks_for_tags(&p.policy)) {
                self.resource_tags(resource.as_str(), &mut keys);
            }
            (about.conditions)(&mut keys);
            keys
        } else {
            ConditionKeys::default()
        };
        let named = |(name, policy)| Named { name, policy };
        let identity: Vec<Named<'_>> = compiled.identity.iter().map(|(name, policy)| named((name, policy))).collect();
        let session: Option<Vec<Named<'_>>> =
            compiled.session.as_ref().map(|all| all.iter().map(|(name, policy)| named((name, policy))).collect());
        let sources = Sources {
            identity: &identity,
            boundary: compiled.boundary.as_ref().map(|(name, policy)| named((name, policy))),
            session: session.as_deref(),
            resource: about.policy.as_ref().map(|p| Named { name: "resource policy", policy: &p.policy }),
            resource_must_allow: about.policy.as_ref().is_some_and(|p| p.must_allow),
        };
        let question = Question {
            caller: &compiled.caller,
            action,
            resource: resource.as_str(),
            account: owner(resource.as_str(), principal.account.as_str()),
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
                if sources.resource_must_allow {
                    return Err(not_trusted(call, action, resource));
                }
                Err(not_authorized(call, action, resource, &words(why)))
            }
        }
    }
}

/// As AWS refuses who would assume a role: a reason would tell which roles there are, and whom they trust.
fn not_trusted(call: &Call, action: &str, resource: &Arn) -> AwsError {
    let who = &call.principal.arn;
    AwsError::access_denied(format!("User: {who} is not authorized to perform: {action} on resource: {resource}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy that denies all but one region, IAM excepted by `us-east-1`, shut everybody out of IAM.
    #[test]
    fn iam_is_asked_in_its_own_region() {
        assert_eq!(requested_region("iam:GetUser", "eu-west-3"), "us-east-1");
        for action in ["sts:AssumeRole", "dynamodb:GetItem", "iamb:GetUser"] {
            assert_eq!(requested_region(action, "eu-west-3"), "eu-west-3");
        }
    }

    #[test]
    fn a_resource_belongs_to_the_account_in_its_arn() {
        assert_eq!(owner("arn:aws:iam::111122223333:role/r", "444455556666"), "111122223333");
        for nobodys in ["*", "arn:aws:s3:::b", "arn:aws:iam::aws:policy/ReadOnlyAccess"] {
            assert_eq!(owner(nobodys, "444455556666"), "444455556666");
        }
    }
}
