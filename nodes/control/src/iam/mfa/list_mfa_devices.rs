//! ListMFADevices.

use super::device;
use crate::iam::prelude::*;

pub struct ListMfaDevices;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    user_name: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListMfaDevices {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListMFADevices";
    const ACTION: &'static str = "iam:ListMFADevices";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![ctx.arn(call, Kind::User, named_or_self(call, request.user_name.as_deref()))]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = user_or_caller(call, request.user_name.as_deref(), 128)?;
        let max = check::max_items(request.max_items)?;
        let account = &call.principal.account;
        ctx.named::<User>(call, Kind::User, name).await?;
        let names: Vec<String> = ctx.all(call, &store::user_mfa_prefix(account, name)).await?;
        let mut devices = Vec::new();
        for device in names {
            let found = ctx.find::<MfaDevice>(call, records::key(account, Kind::Mfa, &device)).await?;
            devices.extend(found.map(|found| found.record).filter(|device| device.user.is_some()));
        }
        let page = store::page(devices, |d| device::arn(account, d), request.marker.as_deref(), max);
        Ok(page.into_json("MFADevices", |device| {
            json!({
                "UserName": device.user,
                "SerialNumber": device::arn(account, &device),
                "EnableDate": shapes::time(device.enabled_unix_s.unwrap_or_default()),
            })
        }))
    }
}
