//! AssumeRole: the caller's policies and the role's trust policy decide, as AWS documents it.

use super::federated::Vouched;
use super::session::{self, PolicyArn};
use super::target::{self, Target};
use crate::iam::check::{self, Tag};
use crate::iam::{Context, errors, mfa};
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Identity, Operation, Plane, ResourcePolicy};
use breakwater_types::formats::TRAILS;
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

pub struct AssumeRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_arn: Option<String>,
    role_session_name: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    policy_arns: Option<Vec<PolicyArn>>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
    #[serde(default, deserialize_with = "check::list")]
    transitive_tag_keys: Option<Vec<String>>,
    external_id: Option<String>,
    serial_number: Option<String>,
    token_code: Option<String>,
    source_identity: Option<String>,
    provided_contexts: Option<Value>,
    /// When the caller has proven that she holds her MFA device.
    #[serde(skip)]
    mfa_unix_s: Option<i64>,
    #[serde(skip)]
    role: OnceLock<Option<Target>>,
    /// What the caller's session hands on: a source identity, and tags that no other may replace.
    #[serde(skip)]
    inherited_source: Option<String>,
    #[serde(skip)]
    inherited_tags: Vec<(String, String)>,
}

/// Sessions that a role's session makes last an hour at most.
const CHAINED_MAX_S: i64 = 3_600;

impl Request {
    /// The role, as this node has heard of it when it was first asked for: what is authorized is what is assumed.
    fn role(&self, ctx: &Context) -> Option<&Target> {
        self.role.get_or_init(|| Target::find(ctx, self.role_arn.as_deref()?)).as_ref()
    }

    /// Tags of the caller's session that go on, and what keeps the request's own from being set.
    fn inherit(&mut self, call: &Call) -> Result<(), AwsError> {
        let Some(before) = call.principal.session.as_deref() else { return Ok(()) };
        let is = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        let goes_on = |key: &str| before.more.transitive_tag_keys.iter().any(|known| is(known, key));
        self.inherited_tags = before.tags.iter().filter(|(key, _)| goes_on(key)).cloned().collect();
        if let Some(audit) = call.audit.as_ref().filter(|_| !self.inherited_tags.is_empty()) {
            audit.adds("incomingTransitiveTags", session::told_tags(&self.inherited_tags));
        }
        if self.tags.iter().flatten().any(|tag| goes_on(&tag.key)) {
            return Err(errors::validation(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key \
                 from the calling session.",
            ));
        }
        // Once set it stays, whatever roles follow.
        self.inherited_source = before.source_identity.clone();
        if let (Some(audit), Some(source), None) = (&call.audit, &self.inherited_source, &self.source_identity) {
            audit.adds("sourceIdentity", source.as_str().into());
        }
        match (&self.inherited_source, &self.source_identity) {
            (Some(set), Some(other)) if set != other => Err(AwsError::new(
                "AccessDenied",
                403,
                "Source identity can't be changed: it is set in the calling session.",
            )),
            _ => Ok(()),
        }
    }
}

impl Operation for AssumeRole {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AssumeRole";
    const ACTION: &'static str = "sts:AssumeRole";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const READ_ONLY: bool = true;
    const TELLS_ANSWER: bool = true;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &[
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:RequestTag/${TagKey}",
        "aws:TagKeys",
        "sts:ExternalId",
        "sts:RoleSessionName",
        "sts:SourceIdentity",
        "sts:TransitiveTagKeys",
    ];
    const FURTHER_ACTIONS: &'static [&'static str] = session::FURTHER_ACTIONS;

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let arn = check::required(request.role_arn.as_deref(), "roleArn")?;
        session::session_name(request.role_session_name.as_deref(), "roleSessionName")?;
        if arn.len() < 20 || !arn.starts_with("arn:") {
            return Err(errors::validation(format!("{arn} is invalid")));
        }
        if let Some(source) = &request.source_identity {
            session::session_name(Some(source), "sourceIdentity")?;
        }
        session::external_id(request.external_id.as_deref())?;
        if request.provided_contexts.is_some() {
            // A caller who means to be bound by a context must not get a session without it.
            return Err(errors::validation(
                "ProvidedContexts is not supported: this region knows no context providers.",
            ));
        }
        session::duration(request.duration_seconds, 3_600, 43_200)?;
        let transitive = request.transitive_tag_keys.as_deref().unwrap_or_default();
        session::tags(request.tags.as_deref().unwrap_or_default(), transitive)?;
        session::unbounded_policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        mfa::given(request.serial_number.as_deref(), request.token_code.as_deref())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        let (serial, token) = (request.serial_number.as_deref(), request.token_code.as_deref());
        request.mfa_unix_s = mfa::verify(ctx, call, serial, token).await?;
        request.inherit(call)
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        let tags = request.tags.as_ref().is_some_and(|tags| !tags.is_empty());
        session::further_actions(tags, request.source_identity.is_some() || request.inherited_source.is_some())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        for (key, value) in [
            ("sts:ExternalId", &request.external_id),
            ("sts:RoleSessionName", &request.role_session_name),
            ("sts:SourceIdentity", &request.inherited_source),
            ("sts:SourceIdentity", &request.source_identity),
        ] {
            if let Some(value) = value {
                keys.set(key, value.as_str());
            }
        }
        check::request_tags(keys, request.tags.as_deref());
        if let Some(transitive) = request.transitive_tag_keys.as_ref().filter(|keys| !keys.is_empty()) {
            keys.set_many("sts:TransitiveTagKeys", transitive.clone());
        }
        if request.mfa_unix_s.is_some() {
            keys.set("aws:MultiFactorAuthPresent", "true");
            keys.set("aws:MultiFactorAuthAge", "0");
        }
    }

    fn resource_policy(ctx: &Context, _call: &Call, request: &Request) -> Option<ResourcePolicy> {
        Some(target::trust(ctx, request.role(ctx)))
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.role_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if call.principal.identity == Identity::Root {
            return Err(AwsError::new("AccessDenied", 403, "Roles may not be assumed by root accounts."));
        }
        let target = request.role(ctx).cloned().ok_or_else(|| AwsError::internal("allowed without a role"))?;
        let chained = matches!(call.principal.identity, Identity::Role(_));
        let lasts_s = session::duration(request.duration_seconds, 3_600, 43_200)?;
        if chained && lasts_s > CHAINED_MAX_S {
            return Err(errors::validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            ));
        }
        target.may_last(lasts_s)?;
        let name = session::session_name(request.role_session_name.as_deref(), "roleSessionName")?;
        let policies = session::unbounded_policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        let transitive = request.transitive_tag_keys.unwrap_or_default();
        if !transitive.is_empty() {
            ctx.needs_format(TRAILS)?;
        }
        let inherited = request.inherited_tags.iter().map(|(key, _)| key.clone());
        let transitive = inherited.chain(transitive).collect();
        let own = request.tags.unwrap_or_default().into_iter().map(|t| (t.key, t.value));
        let vouched = Vouched {
            name: name.to_owned(),
            tags: request.inherited_tags.into_iter().chain(own).collect(),
            transitive,
            source_identity: request.inherited_source.or(request.source_identity),
        };
        session::assumed(ctx, call, &target, vouched, lasts_s, policies, |session| {
            session.mfa_unix_s = request.mfa_unix_s;
        })
    }
}
