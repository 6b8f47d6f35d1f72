//! ResyncMFADevice.

use super::device;
use crate::iam::prelude::*;

pub struct ResyncMfaDevice;

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

impl Operation for ResyncMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ResyncMFADevice";
    const ACTION: &'static str = "iam:ResyncMFADevice";
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
        ctx.commit(call, || async {
            ctx.named::<User>(call, Kind::User, name).await?;
            let device = device::device_of(ctx, call, name, serial).await?;
            let mut seed = device::seed(ctx, call, &device.record).await?;
            if !seed.record.resynchronise(codes, ctx.now()) {
                return Err(device::wrong_codes());
            }
            let compares = vec![device.unchanged(), seed.unchanged()];
            Ok(Change { compares, ops: vec![seed.put()?], answer: json!({}) })
        })
        .await
        .map(|(answer, _)| answer)
    }
}
