//! The role that is to be assumed, and whom it trusts.

use crate::iam::roles::trusted;
use crate::iam::{Context, errors};
use breakwater_aws::{Arn, AwsError, ResourcePolicy};
use breakwater_iam::records::{self, Kind, Role};
use breakwater_policy::{Policy, Use};
use breakwater_types::AccountId;
use std::sync::Arc;

#[derive(Clone)]
pub struct Target {
    pub account: AccountId,
    pub role: Role,
}

/// The account in a role's ARN.
pub fn account_of(role_arn: &str) -> Option<AccountId> {
    let (account, _) = role_arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    AccountId::new(account).ok()
}

impl Target {
    /// As this node has heard of it.
    pub fn find(ctx: &Context, role_arn: &str) -> Option<Target> {
        let account = account_of(role_arn)?;
        let entry = ctx.mirror.get(&records::key(&account, Kind::Role, role_arn.rsplit('/').next()?))?;
        let role: Role = records::read(&entry.value).ok()?;
        (records::arn(&account, Kind::Role, &role.path, &role.name) == role_arn).then_some(Target { account, role })
    }

    /// An error where a session of this role may not last so long.
    pub fn may_last(&self, lasts_s: i64) -> Result<(), AwsError> {
        match lasts_s <= i64::from(self.role.max_session_s) {
            true => Ok(()),
            false => Err(errors::validation(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )),
        }
    }
}

/// Its trust policy. A role that isn't there trusts nobody.
pub fn trust(ctx: &Context, target: Option<&Target>) -> ResourcePolicy {
    let meant = target.map(|target| trusted::meant(&ctx.mirror, &target.account, &target.role));
    let unreadable = |e: &_| tracing::error!(error = ?e, "a role's trust policy can't be read: it trusts nobody");
    let trust = meant.and_then(|meant| Policy::parse(&meant, Use::Trust).inspect_err(unreadable).ok());
    let policy = trust.unwrap_or(Policy { id: None, statements: Vec::new() });
    ResourcePolicy { policy: Arc::new(policy), must_allow: true }
}

/// What is asked for without credentials: nothing of another's account is told of a role that isn't there.
pub fn resource(target: Option<&Target>, role_arn: Option<&str>) -> Arn {
    Arn::raw(target.and(role_arn).unwrap_or("*").to_owned())
}
