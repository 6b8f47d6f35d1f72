//! Managed policies and their versions.

mod create_policy;
mod create_policy_version;
mod delete_policy;
mod delete_policy_version;
mod get_policy;
mod get_policy_version;
mod list_entities_for_policy;
mod list_policies;
mod list_policy_versions;
mod set_default_policy_version;

pub use create_policy::CreatePolicy;
pub use create_policy_version::CreatePolicyVersion;
pub use delete_policy::DeletePolicy;
pub use delete_policy_version::DeletePolicyVersion;
pub use get_policy::GetPolicy;
pub use get_policy_version::GetPolicyVersion;
pub use list_entities_for_policy::ListEntitiesForPolicy;
pub use list_policies::ListPolicies;
pub use list_policy_versions::ListPolicyVersions;
pub use set_default_policy_version::SetDefaultPolicyVersion;

use crate::iam::check;
use breakwater_aws::AwsError;

/// Characters of a managed policy, white space not counted.
pub const DOCUMENT_MAX: usize = 6_144;

/// 3 from `v3`.
fn version_number(id: Option<&str>) -> Result<u32, AwsError> {
    let id = check::required(id, "versionId")?;
    let number = id.strip_prefix('v').and_then(|n| n.parse().ok()).filter(|n| *n > 0);
    let words = "Member must satisfy regular expression pattern: v[1-9][0-9]*(\\.[A-Za-z0-9-]*)?";
    number.ok_or_else(|| check::constraint(id, "versionId", words))
}

fn no_such_version(arn: &str, version: u32) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("Policy {arn} version v{version} does not exist or is not attachable."))
}
