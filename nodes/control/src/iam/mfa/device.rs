//! Finding a device by its serial number, and its seed.

use super::seed::{SEED_BYTES, Seed};
use crate::iam::prelude::*;
use crate::iam::store::Found;
use breakwater_types::AccountId;

/// A device's serial number is its ARN.
pub fn serial(value: Option<&str>) -> Result<&str, AwsError> {
    let value = check::required(value, "serialNumber")?;
    match value.len() {
        0..9 => Err(check::constraint(value, "serialNumber", "Member must have length greater than or equal to 9")),
        9..=256 => Ok(value),
        _ => Err(check::constraint("", "serialNumber", "Member must have length less than or equal to 256")),
    }
}

pub fn arn(account: &AccountId, device: &MfaDevice) -> String {
    records::arn(account, Kind::Mfa, &device.path, &device.name)
}

fn no_such(serial: &str) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("VirtualMFADevice with serial number {serial} does not exist."))
}

/// Linearizable.
pub async fn device(ctx: &Context, call: &Call, serial: &str) -> Result<Found<MfaDevice>, AwsError> {
    let account = &call.principal.account;
    let name = serial.rsplit('/').next().unwrap_or_default();
    let found = ctx.find::<MfaDevice>(call, records::key(account, Kind::Mfa, name)).await?;
    found.filter(|found| arn(account, &found.record) == serial).ok_or_else(|| no_such(serial))
}

/// The one that this user has enabled.
pub async fn device_of(ctx: &Context, call: &Call, user: &str, serial: &str) -> Result<Found<MfaDevice>, AwsError> {
    let found = device(ctx, call, serial).await?;
    if found.record.user.as_ref().is_some_and(|owner| owner.eq_ignore_ascii_case(user)) {
        return Ok(found);
    }
    Err(AwsError::new("NoSuchEntity", 404, format!("MFA Device {serial} invalid for user {user}.")))
}

/// Where only control nodes read.
pub fn seed_key(account: &AccountId, device: &str) -> Vec<u8> {
    format!("control/mfa-seed/{account}/{}", device.to_lowercase()).into_bytes()
}

pub async fn seed(ctx: &Context, call: &Call, device: &MfaDevice) -> Result<Found<Seed>, AwsError> {
    let found = ctx.find::<Seed>(call, seed_key(&call.principal.account, &device.name)).await?;
    found.ok_or_else(|| AwsError::internal("a device without a seed"))
}

pub fn new_seed() -> zeroize::Zeroizing<[u8; SEED_BYTES]> {
    zeroize::Zeroizing::new(rand::random())
}

/// The two codes that enabling and synchronising ask for.
pub fn codes(first: Option<&str>, second: Option<&str>) -> Result<[u32; 2], AwsError> {
    Ok([code(first, "authenticationCode1")?, code(second, "authenticationCode2")?])
}

/// Six digits.
pub fn code(value: Option<&str>, at: &str) -> Result<u32, AwsError> {
    let value = check::required(value, at)?;
    super::totp::parse(value).ok_or_else(|| {
        let words = match value.len() {
            0..6 => "Member must have length greater than or equal to 6",
            6 => "Member must satisfy regular expression pattern: [\\d]+",
            _ => "Member must have length less than or equal to 6",
        };
        // A code is a secret for as long as it counts.
        check::constraint("******", at, words)
    })
}

pub fn wrong_codes() -> AwsError {
    AwsError::new("InvalidAuthenticationCode", 403, "Authentication code for device is not valid.")
}
