//! DeleteVirtualMFADevice.

use super::device;
use crate::iam::prelude::*;

pub struct DeleteVirtualMfaDevice;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    serial_number: Option<String>,
}

impl Operation for DeleteVirtualMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteVirtualMFADevice";
    const ACTION: &'static str = "iam:DeleteVirtualMFADevice";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "mfa";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.serial_number.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let serial = mfa::serial(request.serial_number.as_deref())?;
        ctx.change(call, || async {
            let device = mfa::device(ctx, call, serial).await?;
            if device.record.user.is_some() {
                return Err(AwsError::new("DeleteConflict", 409, "MFA VirtualDevice in use. Must deactivate first."));
            }
            let seed = Op::Delete { key: device::seed_key(&call.principal.account, &device.record.name) };
            Ok(Change { compares: vec![device.unchanged()], ops: vec![device.delete(), seed], answer: json!({}) })
        })
        .await
    }
}
