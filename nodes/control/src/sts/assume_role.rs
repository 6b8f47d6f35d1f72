//! AssumeRole: the caller's policies and the role's trust policy decide, as AWS documents it.

use super::session::{self, PolicyArn};
use crate::iam::check::{self, Tag};
use crate::iam::{Context, errors, mfa};
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Identity, Operation, Plane, ResourcePolicy};
use breakwater_iam::records::{self, Kind, Role};
use breakwater_policy::{Policy, Use};
use breakwater_types::AccountId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub struct AssumeRole;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_arn: Option<String>,
    role_session_name: Option<String>,
    policy_arns: Option<Vec<PolicyArn>>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    tags: Option<Vec<Tag>>,
    transitive_tag_keys: Option<Vec<String>>,
    external_id: Option<String>,
    serial_number: Option<String>,
    token_code: Option<String>,
    source_identity: Option<String>,
    /// When the caller has proven that she holds her MFA device.
    #[serde(skip)]
    mfa_unix_s: Option<i64>,
    #[serde(skip)]
    role: OnceLock<Option<(AccountId, Role)>>,
}

/// Sessions that a role's session makes last an hour at most.
const CHAINED_MAX_S: i64 = 3_600;

impl Request {
    /// The role, as this node has heard of it when it was first asked for: what is authorized is what is assumed.
    fn role(&self, ctx: &Context) -> Option<&(AccountId, Role)> {
        self.role.get_or_init(|| self.find_role(ctx)).as_ref()
    }

    fn find_role(&self, ctx: &Context) -> Option<(AccountId, Role)> {
        let arn = self.role_arn.as_deref()?;
        let (account, path) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
        let account = AccountId::new(account).ok()?;
        let entry = ctx.mirror.get(&records::key(&account, Kind::Role, path.rsplit('/').next()?))?;
        let role: Role = records::read(&entry.value).ok()?;
        (records::arn(&account, Kind::Role, &role.path, &role.name) == arn).then_some((account, role))
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
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &[
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:RequestTag/${TagKey}",
        "aws:TagKeys",
        "sts:ExternalId",
        "sts:RoleSessionName",
        "sts:SourceIdentity",
    ];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let arn = check::required(request.role_arn.as_deref(), "roleArn")?;
        session::session_name(request.role_session_name.as_deref(), "roleSessionName")?;
        if arn.len() < 20 || !arn.starts_with("arn:") {
            return Err(errors::validation(format!("{arn} is invalid")));
        }
        if let Some(source) = &request.source_identity {
            session::session_name(Some(source), "sourceIdentity")?;
        }
        if let Some(id) = &request.external_id
            && !(2..=1_224).contains(&id.chars().count())
        {
            return Err(check::constraint(id, "externalId", "Member must have length between 2 and 1224, inclusive"));
        }
        session::duration(request.duration_seconds, 3_600, 43_200)?;
        if request.transitive_tag_keys.as_ref().is_some_and(|keys| !keys.is_empty()) {
            // Rather than a session whose tags get lost on the way.
            return Err(errors::validation("TransitiveTagKeys are not supported by this region yet."));
        }
        check::tag(&mut BTreeMap::new(), request.tags.as_deref().unwrap_or_default())?;
        session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        mfa::given(request.serial_number.as_deref(), request.token_code.as_deref())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        let (serial, token) = (request.serial_number.as_deref(), request.token_code.as_deref());
        request.mfa_unix_s = mfa::verify(ctx, call, serial, token).await?;
        Ok(())
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        let tags = request.tags.as_ref().is_some_and(|tags| !tags.is_empty());
        let tags = tags.then_some("sts:TagSession");
        let source = request.source_identity.is_some().then_some("sts:SetSourceIdentity");
        tags.into_iter().chain(source).collect()
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        for (key, value) in [
            ("sts:ExternalId", &request.external_id),
            ("sts:RoleSessionName", &request.role_session_name),
            ("sts:SourceIdentity", &request.source_identity),
        ] {
            if let Some(value) = value {
                keys.set(key, value.as_str());
            }
        }
        check::request_tags(keys, request.tags.as_deref());
        if request.mfa_unix_s.is_some() {
            keys.set("aws:MultiFactorAuthPresent", "true");
            keys.set("aws:MultiFactorAuthAge", "0");
        }
    }

    fn resource_policy(ctx: &Context, _call: &Call, request: &Request) -> Option<ResourcePolicy> {
        let trust = request.role(ctx).and_then(|(_, role)| Policy::parse(&role.trust, Use::Trust).ok());
        // A role that isn't there trusts nobody.
        let policy = trust.unwrap_or(Policy { id: None, statements: Vec::new() });
        Some(ResourcePolicy { policy: Arc::new(policy), must_allow: true })
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.role_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if call.principal.identity == Identity::Root {
            return Err(AwsError::new("AccessDenied", 403, "Roles may not be assumed by root accounts."));
        }
        let role = request.role(ctx).cloned();
        let (account, role) = role.ok_or_else(|| AwsError::internal("allowed without a role"))?;
        let chained = matches!(call.principal.identity, Identity::Role(_));
        let lasts_s = session::duration(request.duration_seconds, 3_600, 43_200)?;
        if chained && lasts_s > CHAINED_MAX_S {
            return Err(errors::validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
            ));
        }
        if lasts_s > i64::from(role.max_session_s) {
            return Err(errors::validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let name = session::session_name(request.role_session_name.as_deref(), "roleSessionName")?;
        let (policies, policy_arns) = session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?;
        let role_arn = records::arn(&account, Kind::Role, &role.path, &role.name);
        let arn = format!("arn:aws:sts::{account}:assumed-role/{}/{name}", role.name);
        let id = format!("{}:{name}", role.id);
        let before = call.principal.session.as_deref();
        let mut session = session::begin(ctx, call, arn.clone(), id.clone(), lasts_s);
        session.account = account;
        session.role = Some((role.name, role_arn));
        session.mfa_unix_s = request.mfa_unix_s;
        session.policies = policies;
        session.policy_arns = policy_arns;
        session.tags = request.tags.unwrap_or_default().into_iter().map(|t| (t.key, t.value)).collect();
        // Once set it stays, whatever roles follow.
        session.source_identity = before.and_then(|s| s.source_identity.clone()).or(request.source_identity);
        let mut answer = json!({
            "Credentials": session::credentials(ctx, &session)?,
            "AssumedRoleUser": {"AssumedRoleId": id, "Arn": arn},
        });
        if let Some(source) = &session.source_identity {
            answer["SourceIdentity"] = source.as_str().into();
        }
        Ok(answer)
    }
}
