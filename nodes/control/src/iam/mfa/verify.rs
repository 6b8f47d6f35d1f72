//! The code that comes with a request for temporary credentials.

use super::device::{code, device_of, seed};
use crate::iam::prelude::*;
use breakwater_aws::Identity;

fn failed(message: &'static str) -> AwsError {
    AwsError::new("AccessDenied", 403, message)
}

/// Checked as they are spelt: both or neither.
pub fn given(serial: Option<&str>, token: Option<&str>) -> Result<(), AwsError> {
    match (serial, token) {
        (None, None) => Ok(()),
        (Some(serial), Some(token)) => {
            super::serial(Some(serial))?;
            code(Some(token), "tokenCode").map(|_| ())
        }
        _ => {
            Err(failed("MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code."))
        }
    }
}

/// When the caller has proven that she holds the device; none where she doesn't say so. A code counts once, on whatever
/// node it is used.
pub async fn verify(
    ctx: &Context,
    call: &Call,
    serial: Option<&str>,
    token: Option<&str>,
) -> Result<Option<i64>, AwsError> {
    given(serial, token)?;
    let (Some(serial), Some(_)) = (serial, token) else { return Ok(None) };
    let code = code(token, "tokenCode")?;
    let unknown = || {
        failed(
            "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid \
             and associated with this user.",
        )
    };
    let Identity::User(user) = &call.principal.identity else { return Err(unknown()) };
    let (right, _) = ctx
        .note(call, || async {
            let device = device_of(ctx, call, user, serial).await.map_err(|e| match &*e.code {
                "NoSuchEntity" => unknown(),
                _ => e,
            })?;
            let mut seed = seed(ctx, call, &device.record).await?;
            let right = seed.record.accept(code, ctx.now());
            Ok(Change { compares: vec![device.unchanged(), seed.unchanged()], ops: vec![seed.put()?], answer: right })
        })
        .await?;
    if right {
        return Ok(Some(ctx.now()));
    }
    Err(failed("MultiFactorAuthentication failed with invalid MFA one time pass code."))
}
