//! AssumeRoleWithSAML: for who has nothing but an assertion of a SAML provider that the account trusts.
//!
//! Anybody may call it. So what is wrong at first sight is refused first, the provider's metadata is read once and not for
//! each call, and few responses are verified at once, where they keep nobody else from working.

mod known;

use super::federated::{self, Assumed, Vouched};
use super::session::{self, PolicyArn};
use super::target::{self, Target};
use super::{denied, invalid_token, token_refused};
use crate::iam::{Context, check, errors, saml_providers};
use base64::Engine as _;
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Federated, Operation, Plane, ResourcePolicy};
use breakwater_federation::saml::{self, Assertion, Response};
use breakwater_iam::providers::SamlProvider;
use breakwater_iam::records::{self, Kind};
use breakwater_policy::{Caller, CallerKind};
use breakwater_types::AccountId;
use breakwater_types::formats::TRAILS;
use serde::Deserialize;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Each takes milliseconds of a core.
const VERIFYING_MAX: usize = 2;
/// Further calls are throttled.
const WAITING_MAX: usize = 64;

static VERIFYING: Semaphore = Semaphore::const_new(VERIFYING_MAX);
static WAITING: Semaphore = Semaphore::const_new(WAITING_MAX);

pub struct AssumeRoleWithSaml;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_arn: Option<String>,
    principal_arn: Option<String>,
    #[serde(rename = "SAMLAssertion")]
    assertion: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    policy_arns: Option<Vec<PolicyArn>>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    #[serde(skip)]
    proof: Option<Proof>,
}

/// Who calls, once the assertion is verified.
struct Proof {
    caller: Federated,
    target: Option<Target>,
    /// `account/provider`.
    document: String,
    assertion: Assertion,
    name_qualifier: String,
    subject_type: String,
    /// What the provider wants the session to be.
    vouched: Vouched,
    lasts_s: Option<i64>,
}

/// The one value of an attribute of AWS's, if it is there.
fn one<'a>(assertion: &'a Assertion, name: &str) -> Result<Option<&'a str>, AwsError> {
    match assertion.values(name) {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(invalid_token(format!("{name} must have one value in the assertion"))),
    }
}

fn session_duration(assertion: &Assertion) -> Result<Option<i64>, AwsError> {
    let Some(text) = one(assertion, "SessionDuration")? else { return Ok(None) };
    let seconds = text.parse().ok().filter(|seconds| (900..=43_200).contains(seconds));
    seconds.map(Some).ok_or_else(|| invalid_token("SessionDuration is not from 900 to 43200"))
}

fn vouched(assertion: &Assertion) -> Result<Vouched, AwsError> {
    let name = one(assertion, "RoleSessionName")?.unwrap_or_default();
    if session::session_name(Some(name), "roleSessionName").is_err() {
        return Err(invalid_token(
            "RoleSessionName is required in AuthnResponse and must match [a-zA-Z_0-9+=,.@-]{2,64}",
        ));
    }
    let prefix = "https://aws.amazon.com/SAML/Attributes/PrincipalTag:";
    let mut tags = Vec::new();
    for (name, values) in &assertion.attributes {
        match (name.strip_prefix(prefix), values.as_slice()) {
            (Some(key), [value]) => tags.push((key.to_owned(), value.clone())),
            (Some(key), _) => return Err(invalid_token(format!("The tag {key} must have one value"))),
            (None, _) => {}
        }
    }
    let vouched = Vouched {
        name: name.to_owned(),
        tags,
        transitive: assertion.values("TransitiveTagKeys").to_vec(),
        source_identity: one(assertion, "SourceIdentity")?.map(str::to_owned),
    };
    vouched.check()?;
    Ok(vouched)
}

/// The account and the name in a provider's ARN.
fn provider_of(arn: &str) -> Option<(AccountId, &str)> {
    let (account, name) = arn.strip_prefix("arn:aws:iam::")?.split_once(":saml-provider/")?;
    Some((AccountId::new(account).ok()?, name))
}

/// `persistent`, `transient`, or the whole format.
fn subject_type(format: &str) -> String {
    let short = format.strip_prefix("urn:oasis:names:tc:SAML:2.0:nameid-format:");
    short.filter(|short| ["persistent", "transient"].contains(short)).unwrap_or(format).to_owned()
}

impl Request {
    async fn verified(&self, ctx: &Context, call: &Call) -> Result<(AccountId, String, Assertion), AwsError> {
        let unknown = || invalid_token("Specified provider doesn't exist");
        let (account, name) = self.principal_arn.as_deref().and_then(provider_of).ok_or_else(unknown)?;
        let entry = ctx.mirror.get(&records::key(&account, Kind::SamlProvider, name)).ok_or_else(unknown)?;
        let provider: SamlProvider = records::read(&entry.value).map_err(AwsError::internal)?;
        if provider.name != name {
            return Err(unknown());
        }
        let now = call.received_unix_ms.div_euclid(1_000);
        if now >= provider.valid_until_unix_s {
            return Err(invalid_token("The provider's metadata is not valid any more"));
        }
        let response = Response::decode(self.assertion.as_deref().unwrap_or_default()).map_err(token_refused)?;
        let _waiting = WAITING.try_acquire().map_err(|_| AwsError::throttling())?;
        let key = saml_providers::metadata_key(&account, name);
        let metadata = known::metadata(ctx, call, key, entry.mod_revision).await?.ok_or_else(unknown)?;
        let turn = VERIFYING.acquire().await.map_err(AwsError::internal)?;
        let verified = tokio::task::spawn_blocking(move || {
            // Kept to the end, also when nobody waits for it any more.
            let _turn = turn;
            response.verify(&metadata, now)
        });
        let assertion = verified.await.map_err(AwsError::internal)?.map_err(token_refused)?;
        Ok((account, provider.name, assertion))
    }
}

impl Operation for AssumeRoleWithSaml {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AssumeRoleWithSAML";
    const ACTION: &'static str = "sts:AssumeRoleWithSAML";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const READ_ONLY: bool = true;
    const TELLS_ANSWER: bool = true;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &[
        "aws:FederatedProvider",
        "aws:RequestTag/${TagKey}",
        "aws:TagKeys",
        "saml:aud",
        "saml:doc",
        "saml:iss",
        "saml:namequalifier",
        "saml:sub",
        "saml:sub_type",
        "sts:RoleSessionName",
        "sts:SourceIdentity",
        "sts:TransitiveTagKeys",
    ];
    const FURTHER_ACTIONS: &'static [&'static str] = session::FURTHER_ACTIONS;
    const UNSIGNED: bool = true;

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        federated::role_arn(request.role_arn.as_deref(), "roleArn")?;
        federated::role_arn(request.principal_arn.as_deref(), "principalArn")?;
        let assertion = check::required(request.assertion.as_deref(), "sAMLAssertion")?;
        if !(4..=saml::RESPONSE_BYTES_MAX).contains(&assertion.len()) {
            let words = "Member must have length between 4 and 100000, inclusive";
            return Err(check::constraint("", "sAMLAssertion", words));
        }
        session::duration(request.duration_seconds, 3_600, 43_200)?;
        session::policies(request.policy.as_deref(), request.policy_arns.as_deref()).map(|_| ())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        ctx.needs_format(TRAILS)?;
        let (account, name, assertion) = request.verified(ctx, call).await?;
        if let Some(audit) = call.audit.as_ref().filter(|_| !assertion.id.is_empty()) {
            audit.adds("sAMLAssertionID", assertion.id.as_str().into());
        }
        let role_arn = request.role_arn.as_deref().unwrap_or_default();
        let provider = saml_providers::arn(&account, &name);
        // The provider says which roles it lets her have: pairs of a role and of itself, in either order.
        let granted = assertion.values("Role").iter().any(|pair| {
            let pair = pair.split_once(',').map(|(a, b)| (a.trim(), b.trim()));
            pair == Some((role_arn, provider.as_str())) || pair == Some((provider.as_str(), role_arn))
        });
        // A provider speaks for roles of its own account.
        if !granted || target::account_of(role_arn).as_ref() != Some(&account) {
            return Err(denied(Self::ACTION));
        }
        let (vouched, lasts_s) = (vouched(&assertion)?, session_duration(&assertion)?);
        vouched.tell(call);
        let hashed = Sha1::digest(format!("{}{account}/{name}", assertion.issuer));
        let name_qualifier = base64::engine::general_purpose::STANDARD.encode(hashed);
        let caller = Federated {
            caller: Caller {
                arn: format!("{provider}:{}", assertion.subject),
                account: account.to_string(),
                kind: CallerKind::Saml { provider },
            },
            principal_id: format!("{name_qualifier}:{}", assertion.subject),
            user_name: assertion.subject.clone(),
            identity_provider: name_qualifier.clone(),
        };
        let target = Target::find(ctx, role_arn);
        let document = format!("{account}/{name}");
        let subject_type = subject_type(&assertion.subject_format);
        let proof = Proof { caller, target, document, assertion, name_qualifier, subject_type, vouched, lasts_s };
        request.proof = Some(proof);
        Ok(())
    }

    fn proven(request: &Request) -> Option<&Federated> {
        request.proof.as_ref().map(|proof| &proof.caller)
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        request.proof.as_ref().map(|proof| proof.vouched.further_actions()).unwrap_or_default()
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let Some(proof) = &request.proof else { return };
        proof.vouched.conditions(keys);
        for (key, value) in [
            ("saml:aud", &proof.assertion.recipient),
            ("saml:doc", &proof.document),
            ("saml:iss", &proof.assertion.issuer),
            ("saml:namequalifier", &proof.name_qualifier),
            ("saml:sub", &proof.assertion.subject),
            ("saml:sub_type", &proof.subject_type),
        ] {
            keys.set(key, value.as_str());
        }
    }

    fn resource_policy(ctx: &Context, _call: &Call, request: &Request) -> Option<ResourcePolicy> {
        Some(target::trust(ctx, request.proof.as_ref().and_then(|proof| proof.target.as_ref())))
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        let target = request.proof.as_ref().and_then(|proof| proof.target.as_ref());
        vec![target::resource(target, request.role_arn.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let proof = request.proof.ok_or_else(|| AwsError::internal("allowed without a proof"))?;
        let target = proof.target.ok_or_else(|| AwsError::internal("allowed without a role"))?;
        let asked = session::duration(request.duration_seconds.or(proof.lasts_s), 3_600, 43_200)?;
        target.may_last(asked)?;
        // The shorter of what is asked for and of what the provider grants.
        let granted = proof.lasts_s.unwrap_or(asked);
        let ends = proof.assertion.session_ends_unix_s.map_or(asked, |ends| ends - ctx.now());
        let lasts_s = asked.min(granted).min(ends);
        if lasts_s < 1 {
            return Err(errors::validation("The provider's session has ended."));
        }
        let assumed = Assumed {
            target,
            vouched: proof.vouched,
            lasts_s,
            policies: session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?,
            provider: match proof.caller.caller.kind {
                CallerKind::Saml { provider } => provider,
                _ => return Err(AwsError::internal("a proof of another kind")),
            },
            keys: vec![
                ("saml:namequalifier".to_owned(), proof.name_qualifier.clone()),
                ("saml:sub".to_owned(), proof.assertion.subject.clone()),
                ("saml:sub_type".to_owned(), proof.subject_type.clone()),
            ],
        };
        let mut answer = assumed.begin(ctx, call)?;
        answer["Subject"] = proof.assertion.subject.into();
        answer["SubjectType"] = proof.subject_type.into();
        answer["Issuer"] = proof.assertion.issuer.into();
        answer["Audience"] = proof.assertion.recipient.into();
        answer["NameQualifier"] = proof.name_qualifier.into();
        Ok(answer)
    }
}
