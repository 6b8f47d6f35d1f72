//! What assuming a role has in common for those whom an identity provider vouches for.

use super::session;
use super::target::Target;
use crate::iam::check::{self, Tag};
use crate::iam::{Context, errors};
use breakwater_aws::{AwsError, Call, ConditionKeys};
use serde_json::Value;

pub fn role_arn<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    let arn = check::required(value, at)?;
    match (20..=2_048).contains(&arn.len()) && arn.starts_with("arn:") {
        true => Ok(arn),
        false => Err(errors::validation(format!("{} is invalid", arn.chars().take(2_048).collect::<String>()))),
    }
}

/// What a session is to be: as a provider says, and where it leaves that to the caller, she.
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

    /// Of the event: what the provider says of the session.
    pub fn tell(&self, call: &Call) {
        let Some(audit) = &call.audit else { return };
        audit.adds("roleSessionName", self.name.as_str().into());
        if !self.tags.is_empty() {
            audit.adds("principalTags", session::told_tags(&self.tags));
        }
        if !self.transitive.is_empty() {
            audit.adds("transitiveTagKeys", self.transitive.clone().into());
        }
        if let Some(source) = &self.source_identity {
            audit.adds("sourceIdentity", source.as_str().into());
        }
    }

    pub fn further_actions(&self) -> Vec<&'static str> {
        session::further_actions(!self.tags.is_empty(), self.source_identity.is_some())
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
        session::assumed(ctx, call, &self.target, self.vouched, self.lasts_s, self.policies, |session| {
            session.more.provider = Some(self.provider);
            session.more.keys = self.keys;
        })
    }
}
