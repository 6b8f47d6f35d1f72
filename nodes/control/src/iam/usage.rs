//! What managed policies are used for: attached to users, groups and roles, or as a boundary.

use super::store::Context;
use breakwater_aws::Call;
use breakwater_iam::records::{self, Group, Kind, Role, User};
use breakwater_types::AccountId;
use std::collections::HashMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub attached: usize,
    pub bounds: usize,
}

impl Context {
    /// By the policies' ARNs, as this node has heard; a policy that isn't used is left out.
    pub fn usage(&self, call: &Call) -> HashMap<String, Usage> {
        usage_of(self, &call.principal.account)
    }
}

fn usage_of(ctx: &Context, account: &AccountId) -> HashMap<String, Usage> {
    let mut all: HashMap<String, Usage> = HashMap::new();
    let mut count = |policies: records::Policies, boundary: Option<String>| {
        for arn in policies.attached {
            all.entry(arn).or_default().attached += 1;
        }
        if let Some(arn) = boundary {
            all.entry(arn).or_default().bounds += 1;
        }
    };
    for entry in ctx.mirror.scan_prefix(&records::prefix(account, Kind::User)) {
        if let Ok(user) = records::read::<User>(&entry.value) {
            count(user.policies, user.boundary);
        }
    }
    for entry in ctx.mirror.scan_prefix(&records::prefix(account, Kind::Group)) {
        if let Ok(group) = records::read::<Group>(&entry.value) {
            count(group.policies, None);
        }
    }
    for entry in ctx.mirror.scan_prefix(&records::prefix(account, Kind::Role)) {
        if let Ok(role) = records::read::<Role>(&entry.value) {
            count(role.policies, role.boundary);
        }
    }
    all
}
