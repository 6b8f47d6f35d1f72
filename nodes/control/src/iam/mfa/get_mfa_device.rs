//! GetMFADevice.

use super::device;
use crate::iam::prelude::*;

pub struct GetMfaDevice;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    serial_number: Option<String>,
}

impl Operation for GetMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetMFADevice";
    const ACTION: &'static str = "iam:GetMFADevice";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let serial = mfa::serial(request.serial_number.as_deref())?;
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let device = device::device_of(ctx, call, name, serial).await?;
        let mut answer = json!({"SerialNumber": serial});
        if let (Some(user), Some(enabled)) = (&device.record.user, device.record.enabled_unix_s) {
            answer["UserName"] = user.as_str().into();
            answer["EnableDate"] = shapes::time(enabled).into();
        }
        Ok(answer)
    }
}
