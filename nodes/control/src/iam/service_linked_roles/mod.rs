//! Roles that belong to a service: it says who they trust and what they may do, and nobody else changes that.

mod create_service_linked_role;
mod delete_service_linked_role;
mod get_service_linked_role_deletion_status;
mod known;
mod task;

pub use create_service_linked_role::CreateServiceLinkedRole;
pub use delete_service_linked_role::DeleteServiceLinkedRole;
pub use get_service_linked_role_deletion_status::GetServiceLinkedRoleDeletionStatus;

use super::prelude::*;

/// Before the paths of all of them.
pub const PATH: &str = "/aws-service-role/";

/// Refuses changes of a role that its service alone makes.
pub fn protect(role: &Role) -> Result<(), AwsError> {
    if !role.path.starts_with(PATH) {
        return Ok(());
    }
    let message = format!(
        "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS",
        role.name
    );
    Err(AwsError::new("UnmodifiableEntity", 400, message))
}

/// Refuses to give a service's own policy to anything but its role.
pub fn check_attachable(arn: &str) -> Result<(), AwsError> {
    if !arn.starts_with("arn:aws:iam::aws:policy/aws-service-role/") {
        return Ok(());
    }
    Err(AwsError::new("PolicyNotAttachable", 400, "Cannot attach a Service Role Policy to a Customer Role."))
}
