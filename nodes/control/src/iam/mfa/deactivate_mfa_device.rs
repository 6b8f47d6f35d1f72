//! DeactivateMFADevice.

use super::device;
use crate::iam::prelude::*;

pub struct DeactivateMfaDevice;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    serial_number: Option<String>,
}

impl Operation for DeactivateMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeactivateMFADevice";
    const ACTION: &'static str = "iam:DeactivateMFADevice";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let serial = mfa::serial(request.serial_number.as_deref())?;
        let account = &call.principal.account;
        ctx.change(call, || async {
            ctx.named::<User>(call, Kind::User, name).await?;
            let mut device = device::device_of(ctx, call, name, serial).await?;
            device.record.user = None;
            device.record.enabled_unix_s = None;
            let index = Op::Delete { key: store::user_mfa_key(account, name, &device.record.name) };
            Ok(Change { compares: vec![device.unchanged()], ops: vec![device.put()?, index], answer: json!({}) })
        })
        .await
    }
}
