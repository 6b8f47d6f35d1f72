//! What assuming a role has in common for those whom an identity provider vouches for.

use super::session;
use super::target::Target;
use crate::iam::check::{self, Tag};
use crate::iam::{Context, errors};
use breakwater_aws::{AwsError, Call, ConditionKeys};
use serde_json::{Value, json};

pub fn role_arn<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    let arn = check::required(value, at)?;
    match (20..=2_048).contains(&arn.len()) && arn.starts_with("arn:") {
        true => Ok(arn),
        false => Err(errors::validation(format!("{} is invalid", arn.chars().take(2_048).collect::<String>()))),
    }
}

/// What a provider says of the session, and where it leaves that to the caller, she.
#[derive(Default)]
pub struct Vouched {
    pub name: String,
    pub tags: Vec<(String, String)>,
    pub transitive: Vec<String>,
    pub source_identity: Option<String>,
}

impl Vouched {
    fn session_tags(&self) -> Vec<Tag> {
        self.tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
    }

    /// Whether what the provider says of the session fits into one.
    pub fn check(&self) -> Result<(), AwsError> {
        let fits = session::tags(&self.session_tags(), &self.transitive).and_then(|()| {
            let source = self.source_identity.as_deref();
            source.map_or(Ok(()), |name| session::session_name(Some(name), "sourceIdentity").map(|_| ()))
        });
        fits.map_err(|e| super::invalid_token(e.message))
    }

    pub fn further_actions(&self) -> Vec<&'static str> {
        let tags = (!self.tags.is_empty()).then_some("sts:TagSession");
        tags.into_iter().chain(self.source_identity.as_ref().map(|_| "sts:SetSourceIdentity")).collect()
    }

    pub fn conditions(&self, keys: &mut ConditionKeys) {
        check::request_tags(keys, Some(&self.session_tags()));
        if !self.transitive.is_empty() {
            keys.set_many("sts:TransitiveTagKeys", self.transitive.clone());
        }
        keys.set("sts:RoleSessionName", self.name.as_str());
        if let Some(source) = &self.source_identity {
            keys.set("sts:SourceIdentity", source.as_str());
        }
    }
}

/// A session to be made.
pub struct Assumed {
    pub target: Target,
    pub vouched: Vouched,
    pub lasts_s: i64,
    /// Documents and ARNs.
    pub policies: (Vec<String>, Vec<String>),
    pub provider: String,
    /// Condition keys that go on with it.
    pub keys: Vec<(String, String)>,
}

impl Assumed {
    /// Its credentials and its user, as answers begin.
    pub fn begin(self, ctx: &Context, call: &Call) -> Result<Value, AwsError> {
        let (mut session, user) = session::of_role(ctx, call, &self.target, &self.vouched.name, self.lasts_s);
        (session.policies, session.policy_arns) = self.policies;
        session.tags = self.vouched.tags;
        session.source_identity = self.vouched.source_identity;
        session.more.transitive_tag_keys = self.vouched.transitive;
        session.more.provider = Some(self.provider);
        session.more.keys = self.keys;
        let mut answer = json!({"Credentials": session::credentials(ctx, &session)?, "AssumedRoleUser": user});
        if let Some(source) = &session.source_identity {
            answer["SourceIdentity"] = source.as_str().into();
        }
        Ok(answer)
    }
}
