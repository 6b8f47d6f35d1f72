//! The devices that a user has to show a code of when she signs in.

use super::device;
use crate::iam::prelude::*;
use breakwater_meta::{MetaClient, MetaError, RangeRequest};
use breakwater_types::AccountId;
use tokio::time::Instant;

/// More than a user may have.
const DEVICES_MAX: usize = 20;

async fn read(meta: &MetaClient, account: &AccountId, user: &str, deadline: Instant) -> Result<Vec<String>, MetaError> {
    let names = RangeRequest::prefix(&store::user_mfa_prefix(account, user), DEVICES_MAX);
    let names = meta.range(names, deadline).await?.entries;
    let mut serials = Vec::new();
    for entry in names {
        let name: String = records::read(&entry.value).map_err(MetaError::Unknown)?;
        let Some(entry) = meta.get(&records::key(account, Kind::Mfa, &name), deadline).await? else { continue };
        let device: MfaDevice = records::read(&entry.value).map_err(MetaError::Unknown)?;
        if device.user.is_some() {
            serials.push(device::arn(account, &device));
        }
    }
    Ok(serials)
}

/// Their serial numbers; the root user has none. Linearizable.
pub async fn enabled(
    ctx: &Context,
    account: &AccountId,
    user: Option<&str>,
    deadline: Instant,
) -> Result<Vec<String>, AwsError> {
    let Some(user) = user else { return Ok(Vec::new()) };
    read(&ctx.meta, account, user, deadline).await.map_err(|e| errors::unavailable(&e.to_string()))
}
