//! EnableMFADevice.

use super::device;
use crate::iam::prelude::*;

/// A user may have so many.
const DEVICES_MAX: usize = 8;

pub struct EnableMfaDevice;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    serial_number: Option<String>,
    #[serde(rename = "AuthenticationCode1")]
    authentication_code1: Option<String>,
    #[serde(rename = "AuthenticationCode2")]
    authentication_code2: Option<String>,
}

impl Operation for EnableMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "EnableMFADevice";
    const ACTION: &'static str = "iam:EnableMFADevice";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, request.user_name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.user_name.as_deref(), "userName", 128)?;
        let serial = mfa::serial(request.serial_number.as_deref())?;
        let codes = device::codes(request.authentication_code1.as_deref(), request.authentication_code2.as_deref())?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            let user = ctx.named::<User>(call, Kind::User, name).await?;
            let mut device = mfa::device(ctx, call, serial).await?;
            if device.record.user.is_some() {
                let message = format!("MFA Device is already in use: {serial}");
                return Err(AwsError::new("EntityAlreadyExists", 409, message));
            }
            let others: Vec<String> = ctx.all(call, &store::user_mfa_prefix(account, name)).await?;
            if others.len() >= DEVICES_MAX {
                return Err(errors::quota("MFADevicesPerUser", DEVICES_MAX));
            }
            let now = ctx.now();
            let mut seed = device::seed(ctx, call, &device.record).await?;
            if !seed.record.enable(codes, now) {
                return Err(device::wrong_codes());
            }
            device.record.user = Some(user.record.name.clone());
            device.record.enabled_unix_s = Some(now);
            let index = store::user_mfa_key(account, name, &device.record.name);
            // The user is written too: whoever deletes her meanwhile, or enables another device, notices.
            let ops = vec![user.put()?, device.put()?, seed.put()?, put(index, &device.record.name)?];
            let compares = vec![user.unchanged(), device.unchanged(), seed.unchanged()];
            Ok(Change { compares, ops, answer: json!({}) })
        })
        .await
    }
}
