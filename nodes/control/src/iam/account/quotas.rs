//! How many of each an account may have, as AWS's default quotas.

use crate::iam::prelude::*;

/// The quota's name, and the most.
pub fn quota(kind: Kind) -> (&'static str, usize) {
    match kind {
        Kind::User => ("UsersPerAccount", 5_000),
        Kind::Group => ("GroupsPerAccount", 300),
        Kind::Role => ("RolesPerAccount", 1_000),
        Kind::Policy => ("PoliciesPerAccount", 1_500),
        Kind::Mfa => ("VirtualMFADevicesPerAccount", 5_000),
        Kind::InstanceProfile => ("InstanceProfilesPerAccount", 1_000),
        Kind::OidcProvider => ("OpenIdConnectProvidersPerAccount", 100),
        Kind::SamlProvider => ("SAMLProvidersPerAccount", 100),
    }
}

/// As this node has heard: several nodes at once may let in a few more.
pub fn count(ctx: &Context, call: &Call, kind: Kind) -> usize {
    ctx.mirror.count_prefix(&store::prefix(call, kind))
}

/// An error where the account has as many as it may have.
pub fn room_for(ctx: &Context, call: &Call, kind: Kind) -> Result<(), AwsError> {
    let (name, most) = quota(kind);
    if count(ctx, call, kind) < most { Ok(()) } else { Err(errors::quota(name, most)) }
}
