//! AssumeRoleWithWebIdentity: for who has nothing but a token of an OpenID Connect provider that the account trusts.

use super::federated::{self, Assumed, Vouched};
use super::session::{self, PolicyArn};
use super::target::{self, Target};
use super::{denied, invalid_token, token_refused};
use crate::iam::{Context, check};
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Federated, Operation, Plane, ResourcePolicy};
use breakwater_federation::Refused;
use breakwater_federation::jwt::{Claims, Token};
use breakwater_iam::providers::OidcProvider;
use breakwater_iam::records::{self, Kind};
use breakwater_policy::{Caller, CallerKind};
use breakwater_types::formats::TRAILS;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub struct AssumeRoleWithWebIdentity;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    role_arn: Option<String>,
    role_session_name: Option<String>,
    web_identity_token: Option<String>,
    provider_id: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    policy_arns: Option<Vec<PolicyArn>>,
    policy: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    #[serde(skip)]
    proof: Option<Proof>,
}

/// Who calls, once the token is verified.
struct Proof {
    caller: Federated,
    target: Option<Target>,
    provider: String,
    url: String,
    audience: String,
    claims: Claims,
    vouched: Vouched,
}

impl Request {
    /// The claims of the token, which the provider's key has signed.
    async fn verified(&self, ctx: &Context, call: &Call) -> Result<(OidcProvider, Claims), AwsError> {
        let token = Token::parse(self.web_identity_token.as_deref().unwrap_or_default()).map_err(token_refused)?;
        let issuer = token.issuer();
        let unknown = || invalid_token(format!("No OpenIDConnect provider found in your account for {issuer}"));
        let account = self.role_arn.as_deref().and_then(target::account_of);
        let account = account.ok_or_else(|| denied("sts:AssumeRoleWithWebIdentity"))?;
        let url = issuer.strip_prefix("https://").map(|url| url.strip_suffix('/').unwrap_or(url));
        let entry = url.and_then(|url| ctx.mirror.get(&records::key(&account, Kind::OidcProvider, url)));
        let provider: Option<OidcProvider> = entry.and_then(|entry| records::read(&entry.value).ok());
        let provider = provider.filter(|p| Some(p.url.as_str()) == url).ok_or_else(unknown)?;
        let known = ctx.issuers.keys(&account, &provider, None).await?;
        let claims = match token.verify(&known.keys) {
            // It may have a new one.
            Err(Refused::UnknownKey) => {
                token.verify(&ctx.issuers.keys(&account, &provider, Some(known.at)).await?.keys)
            }
            verified => verified,
        };
        let claims = claims.map_err(token_refused)?;
        claims.check_times(call.received_unix_ms.div_euclid(1_000)).map_err(token_refused)?;
        Ok((provider, claims))
    }
}

impl Operation for AssumeRoleWithWebIdentity {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "AssumeRoleWithWebIdentity";
    const ACTION: &'static str = "sts:AssumeRoleWithWebIdentity";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const READ_ONLY: bool = true;
    const TELLS_ANSWER: bool = true;
    const RESOURCE_TYPE: &'static str = "role";
    const CONDITION_KEYS: &'static [&'static str] = &[
        "sts:RoleSessionName",
        "sts:SourceIdentity",
        "sts:TransitiveTagKeys",
        "aws:FederatedProvider",
        "aws:RequestTag/${TagKey}",
        "aws:TagKeys",
        "${OIDCProvider}:amr",
        "${OIDCProvider}:aud",
        "${OIDCProvider}:oaud",
        "${OIDCProvider}:sub",
    ];
    const FURTHER_ACTIONS: &'static [&'static str] = session::FURTHER_ACTIONS;
    const UNSIGNED: bool = true;

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        federated::role_arn(request.role_arn.as_deref(), "roleArn")?;
        session::session_name(request.role_session_name.as_deref(), "roleSessionName")?;
        let token = check::required(request.web_identity_token.as_deref(), "webIdentityToken")?;
        if !(4..=20_000).contains(&token.len()) {
            return Err(check::constraint(
                "",
                "webIdentityToken",
                "Member must have length between 4 and 20000, inclusive",
            ));
        }
        if request.provider_id.is_some() {
            // Access tokens of OAuth 2.0 are for two companies of the Internet alone.
            return Err(invalid_token("The provider id is not supported for OpenID Connect ID tokens"));
        }
        session::duration(request.duration_seconds, 3_600, 43_200)?;
        session::policies(request.policy.as_deref(), request.policy_arns.as_deref()).map(|_| ())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        ctx.needs_format(TRAILS)?;
        let (provider, mut claims) = request.verified(ctx, call).await?;
        let audience = claims.audience(&provider.client_ids).map_err(token_refused)?.to_owned();
        let vouched = Vouched {
            name: request.role_session_name.clone().unwrap_or_default(),
            tags: std::mem::take(&mut claims.tags),
            transitive: std::mem::take(&mut claims.transitive_tag_keys),
            source_identity: claims.source_identity.take(),
        };
        vouched.check()?;
        vouched.tell(call);
        let role_arn = request.role_arn.as_deref().unwrap_or_default();
        let account = target::account_of(role_arn).ok_or_else(|| denied(Self::ACTION))?;
        let arn = records::arn(&account, Kind::OidcProvider, "/", &provider.url);
        let caller = Federated {
            caller: Caller {
                arn: format!("{arn}:{}", claims.subject),
                account: account.to_string(),
                kind: CallerKind::WebIdentity { provider: arn.clone() },
            },
            principal_id: format!("{arn}:{audience}:{}", claims.subject),
            user_name: claims.subject.clone(),
            identity_provider: arn.clone(),
        };
        let target = Target::find(ctx, role_arn);
        request.proof = Some(Proof { caller, target, provider: arn, url: provider.url, audience, claims, vouched });
        Ok(())
    }

    fn proven(request: &Request) -> Option<&Federated> {
        request.proof.as_ref().map(|proof| &proof.caller)
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        request.proof.as_ref().map(|proof| proof.vouched.further_actions()).unwrap_or_default()
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let Some(Proof { claims, url, audience, vouched, .. }) = &request.proof else { return };
        vouched.conditions(keys);
        keys.set(format!("{url}:aud"), audience.as_str());
        keys.set(format!("{url}:sub"), claims.subject.as_str());
        if claims.authorized_party.is_some() {
            keys.set_many(format!("{url}:oaud"), claims.audiences.clone());
        }
        if !claims.methods.is_empty() {
            keys.set_many(format!("{url}:amr"), claims.methods.clone());
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
        let lasts_s = session::duration(request.duration_seconds, 3_600, 43_200)?;
        target.may_last(lasts_s)?;
        let assumed = Assumed {
            target,
            vouched: proof.vouched,
            lasts_s,
            policies: session::policies(request.policy.as_deref(), request.policy_arns.as_deref())?,
            provider: proof.provider.clone(),
            keys: vec![
                (format!("{}:aud", proof.url), proof.audience.clone()),
                (format!("{}:sub", proof.url), proof.claims.subject.clone()),
            ],
        };
        let mut answer = assumed.begin(ctx, call)?;
        answer["SubjectFromWebIdentityToken"] = proof.claims.subject.into();
        answer["Provider"] = proof.provider.into();
        answer["Audience"] = proof.audience.into();
        Ok(answer)
    }
}
