//! Roles.

mod create_role;
mod delete_role;
mod delete_role_permissions_boundary;
mod get_role;
mod list_roles;
mod put_role_permissions_boundary;
pub(crate) mod trusted;
mod update_assume_role_policy;
mod update_role;
mod update_role_description;

pub use create_role::CreateRole;
pub use delete_role::DeleteRole;
pub use delete_role_permissions_boundary::DeleteRolePermissionsBoundary;
pub use get_role::GetRole;
pub use list_roles::ListRoles;
pub use put_role_permissions_boundary::PutRolePermissionsBoundary;
pub use update_assume_role_policy::UpdateAssumeRolePolicy;
pub use update_role::UpdateRole;
pub use update_role_description::UpdateRoleDescription;
