//! Instance profiles: what hands a role to code on a host.

mod add_role_to_instance_profile;
mod create_instance_profile;
mod delete_instance_profile;
mod get_instance_profile;
mod list_instance_profiles;
mod list_instance_profiles_for_role;
mod remove_role_from_instance_profile;

pub use add_role_to_instance_profile::AddRoleToInstanceProfile;
pub use create_instance_profile::CreateInstanceProfile;
pub use delete_instance_profile::DeleteInstanceProfile;
pub use get_instance_profile::GetInstanceProfile;
pub use list_instance_profiles::ListInstanceProfiles;
pub use list_instance_profiles_for_role::ListInstanceProfilesForRole;
pub use remove_role_from_instance_profile::RemoveRoleFromInstanceProfile;

use super::prelude::*;

/// Profiles with their roles, as answers have them. A role that is just being deleted is left out.
async fn shapes_of(ctx: &Context, call: &Call, profiles: &[&InstanceProfile]) -> Result<Vec<Value>, AwsError> {
    let account = &call.principal.account;
    let mut all = Vec::new();
    for profile in profiles {
        let role = match &profile.role {
            Some(role) => ctx.find::<Role>(call, records::key(account, Kind::Role, role)).await?,
            None => None,
        };
        all.push(shapes::instance_profile(account, profile, role.as_ref().map(|role| &role.record)));
    }
    Ok(all)
}

/// A page of a list of them.
async fn page_of(
    ctx: &Context,
    call: &Call,
    profiles: Vec<InstanceProfile>,
    marker: Option<&str>,
    max: Option<usize>,
) -> Result<Value, AwsError> {
    let page = store::page(profiles, |profile| profile.name.clone(), marker, max);
    let shapes = shapes_of(ctx, call, &page.items.iter().collect::<Vec<_>>()).await?;
    let page = store::Page { items: shapes, marker: page.marker };
    Ok(page.into_json("InstanceProfiles", |shape| shape))
}
