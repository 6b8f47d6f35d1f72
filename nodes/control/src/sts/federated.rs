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

fn as_tags(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Whether what the provider says of the session fits into one.
pub fn check_vouched(
    tags: &[(String, String)],
    transitive: &[String],
    source_identity: Option<&str>,
) -> Result<(), AwsError> {
    let fit = session::tags(&as_tags(tags), transitive).and_then(|()| {
        source_identity.map_or(Ok(()), |name| session::session_name(Some(name), "sourceIdentity").map(|_| ()))
    });
    fit.map_err(|e| super::invalid_token(e.message))
}

pub fn further_actions(tags: &[(String, String)], source_identity: Option<&str>) -> Vec<&'static str> {
    let tags = (!tags.is_empty()).then_some("sts:TagSession");
    tags.into_iter().chain(source_identity.map(|_| "sts:SetSourceIdentity")).collect()
}

pub fn conditions(
    keys: &mut ConditionKeys,
    session_name: Option<&str>,
    tags: &[(String, String)],
    transitive: &[String],
    source_identity: Option<&str>,
) {
    check::request_tags(keys, Some(&as_tags(tags)));
    if !transitive.is_empty() {
        keys.set_many("sts:TransitiveTagKeys", transitive.to_vec());
    }
    for (key, value) in [("sts:RoleSessionName", session_name), ("sts:SourceIdentity", source_identity)] {
        if let Some(value) = value {
            keys.set(key, value);
        }
    }
}

/// A session to be made.
pub struct Assumed<'a> {
    pub target: Target,
    pub name: &'a str,
    pub lasts_s: i64,
    /// Documents and ARNs.
    pub policies: (Vec<String>, Vec<String>),
    pub provider: String,
    /// Condition keys that go on with it.
    pub keys: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    pub transitive: Vec<String>,
    pub source_identity: Option<String>,
}

impl Assumed<'_> {
    /// Its credentials and its user, as answers begin.
    pub fn begin(self, ctx: &Context, call: &Call) -> Result<Value, AwsError> {
        let (mut session, user) = session::of_role(ctx, call, &self.target, self.name, self.lasts_s);
        (session.policies, session.policy_arns) = self.policies;
        session.tags = self.tags;
        session.source_identity = self.source_identity;
        session.more.transitive_tag_keys = self.transitive;
        session.more.provider = Some(self.provider);
        session.more.keys = self.keys;
        let mut answer = json!({"Credentials": session::credentials(ctx, &session)?, "AssumedRoleUser": user});
        if let Some(source) = &session.source_identity {
            answer["SourceIdentity"] = source.as_str().into();
        }
        Ok(answer)
    }
}
