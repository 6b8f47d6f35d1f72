//! What a host's profile comes to now: its role, and whether that lets EC2 assume it.

use super::Instances;
use super::association::Association;
use breakwater_aws::ConditionKeys;
use breakwater_iam::records::{self, InstanceProfile, Kind, Role};
use breakwater_policy::{Caller, CallerKind, Named, Policy, Question, Sources, Use, decide};
use breakwater_types::instance::instance_id;
use breakwater_types::{AccountId, NodeName};

/// On whose behalf hosts get credentials.
pub const SERVICE: &str = "ec2.amazonaws.com";

pub struct View {
    pub account: AccountId,
    pub profile: Option<InstanceProfile>,
    pub role: Option<Role>,
    /// The role's trust policy lets EC2 assume it for this host.
    pub trusted: bool,
}

impl View {
    pub fn of(ctx: &Instances, host: &NodeName) -> View {
        let association = Association::of(&ctx.mirror, host);
        let account = association.as_ref().map_or_else(|| ctx.account.clone(), |a| a.account.clone());
        let profile = association.and_then(|a| {
            let entry = ctx.mirror.get(&records::key(&account, Kind::InstanceProfile, &a.profile))?;
            records::read::<InstanceProfile>(&entry.value).ok().filter(|profile| profile.id == a.profile_id)
        });
        let role = profile.as_ref().and_then(|profile| {
            let entry = ctx.mirror.get(&records::key(&account, Kind::Role, profile.role.as_ref()?))?;
            records::read::<Role>(&entry.value).ok()
        });
        let trusted = role.as_ref().is_some_and(|role| trusts(ctx, &account, role, host));
        View { account, profile, role, trusted }
    }

    pub fn role_arn(&self, role: &Role) -> String {
        records::arn(&self.account, Kind::Role, &role.path, &role.name)
    }

    /// Another one whenever the host has to hear of it.
    pub fn digest(&self) -> u64 {
        let profile = self.profile.as_ref().map_or("", |p| &p.id);
        let (id, name) = self.role.as_ref().map_or(("", ""), |r| (&r.id, &r.name));
        let text = format!("{} {profile} {id} {name} {}", self.account, self.trusted);
        // FNV-1a: the same in every build. Never 0, which is what a host knows that has heard nothing.
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)).max(1)
    }
}

/// As EC2 asks STS: the trust policy alone decides, since a service has no policies of its own.
fn trusts(ctx: &Instances, account: &AccountId, role: &Role, host: &NodeName) -> bool {
    let Ok(policy) = Policy::parse(&role.trust, Use::Trust) else { return false };
    let arn = records::arn(account, Kind::Role, &role.path, &role.name);
    let now = ctx.clock.unix_s();
    let mut keys = ConditionKeys::default();
    keys.set("aws:PrincipalIsAWSService", "true");
    keys.set("aws:PrincipalServiceName", SERVICE);
    keys.set("aws:SourceAccount", account.as_str());
    keys.set("aws:SourceArn", instance_arn(ctx, account, host));
    keys.set("aws:RequestedRegion", ctx.region.as_str());
    keys.set("aws:CurrentTime", crate::iam::shapes::time(now));
    keys.set("aws:EpochTime", now.to_string());
    keys.set("aws:SecureTransport", "true");
    keys.set("sts:RoleSessionName", instance_id(&ctx.region, host));
    for (tag, value) in &role.tags {
        keys.set(format!("aws:ResourceTag/{tag}"), value.as_str());
        keys.set(format!("iam:ResourceTag/{tag}"), value.as_str());
    }
    let caller = Caller {
        arn: SERVICE.to_owned(),
        account: String::new(),
        kind: CallerKind::Service { name: SERVICE.to_owned() },
    };
    let question = Question {
        caller: &caller,
        action: "sts:AssumeRole",
        resource: &arn,
        account: account.as_str(),
        context: &keys,
    };
    let sources = Sources {
        resource: Some(Named { name: "trust policy", policy: &policy }),
        resource_must_allow: true,
        ..Sources::default()
    };
    decide(&question, &sources).is_allowed()
}

/// `arn:aws:ec2:us-east-1:111122223333:instance/i-…`.
pub fn instance_arn(ctx: &Instances, account: &AccountId, host: &NodeName) -> String {
    format!("arn:aws:ec2:{}:{account}:instance/{}", ctx.region, instance_id(&ctx.region, host))
}
