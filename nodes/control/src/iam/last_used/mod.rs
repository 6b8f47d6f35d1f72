//! When keys, users and roles were last used, and for what.

mod entities;
mod generate_service_last_accessed_details;
mod get_access_key_last_used;
mod get_service_last_accessed_details;
mod get_service_last_accessed_details_with_entities;
mod job;
mod list_policies_granting_service_access;

pub use generate_service_last_accessed_details::GenerateServiceLastAccessedDetails;
pub use get_access_key_last_used::GetAccessKeyLastUsed;
pub use get_service_last_accessed_details::GetServiceLastAccessedDetails;
pub use get_service_last_accessed_details_with_entities::GetServiceLastAccessedDetailsWithEntities;
pub use list_policies_granting_service_access::ListPoliciesGrantingServiceAccess;

use super::prelude::*;
use crate::usage::{self, LastUsed};

/// Older uses aren't told, as AWS's tracking period.
const TRACKED_S: i64 = 400 * 86_400;

impl Context {
    /// Of an access key.
    pub async fn key_last_used(&self, call: &Call, id: &str) -> Result<Option<LastUsed>, AwsError> {
        let found = self.find::<LastUsed>(call, usage::access_key(&call.principal.account, id)).await?;
        Ok(found.map(|found| found.record))
    }

    /// Of a user or role: each service's last use.
    async fn services_last_used(&self, call: &Call, id: &str) -> Result<Vec<LastUsed>, AwsError> {
        let since = self.now() - TRACKED_S;
        let mut all: Vec<LastUsed> = self.all(call, &usage::services(&call.principal.account, id)).await?;
        all.retain(|last| last.unix_s >= since);
        Ok(all)
    }

    /// A role's `RoleLastUsed`: empty where it wasn't.
    pub async fn role_last_used(&self, call: &Call, id: &str) -> Result<Value, AwsError> {
        let last = self.services_last_used(call, id).await?.into_iter().max_by_key(|last| last.unix_s);
        Ok(match last {
            Some(last) => json!({"LastUsedDate": shapes::time(last.unix_s), "Region": last.region}),
            None => json!({}),
        })
    }
}
