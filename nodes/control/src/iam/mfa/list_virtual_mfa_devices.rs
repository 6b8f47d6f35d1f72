//! ListVirtualMFADevices.

use super::device;
use crate::iam::prelude::*;

pub struct ListVirtualMfaDevices;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    assignment_status: Option<String>,
    marker: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
}

impl Operation for ListVirtualMfaDevices {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListVirtualMFADevices";
    const ACTION: &'static str = "iam:ListVirtualMFADevices";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![any_arn(call, "mfa/")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let wanted = match request.assignment_status.as_deref() {
            None | Some("Any") => None,
            Some("Assigned") => Some(true),
            Some("Unassigned") => Some(false),
            Some(other) => {
                let words = "Member must satisfy enum value set: [Assigned, Unassigned, Any]";
                return Err(check::constraint(other, "assignmentStatus", words));
            }
        };
        let account = &call.principal.account;
        let mut devices: Vec<MfaDevice> = ctx.all(call, &store::prefix(call, Kind::Mfa)).await?;
        devices.retain(|device| wanted.is_none_or(|assigned| device.user.is_some() == assigned));
        let page = store::page(devices, |d| device::arn(account, d), request.marker.as_deref(), max);
        let mut shown = Vec::new();
        for device in &page.items {
            let mut shape = json!({"SerialNumber": device::arn(account, device)});
            if let (Some(user), Some(enabled)) = (&device.user, device.enabled_unix_s) {
                shape["EnableDate"] = shapes::time(enabled).into();
                let user = ctx.find::<User>(call, records::key(account, Kind::User, user)).await?;
                if let Some(user) = user {
                    shape["User"] = shapes::user(account, &user.record, false);
                }
            }
            shown.push(shape);
        }
        Ok(store::Page { items: shown, marker: page.marker }.into_json("VirtualMFADevices", |shape| shape))
    }
}
