//! CreateVirtualMFADevice.

use super::seed::Seed;
use super::{device, picture};
use crate::iam::prelude::*;
use data_encoding::{BASE32_NOPAD, BASE64};
use zeroize::Zeroizing;

pub struct CreateVirtualMfaDevice;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    path: Option<String>,
    #[serde(rename = "VirtualMFADeviceName")]
    name: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    tags: Option<Vec<Tag>>,
}

impl Operation for CreateVirtualMfaDevice {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateVirtualMFADevice";
    const ACTION: &'static str = "iam:CreateVirtualMFADevice";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "mfa";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];
    const FURTHER_ACTIONS: &'static [&'static str] = &["iam:TagMFADevice"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tag_lengths(request.tags.as_deref())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        check::request_tags(keys, request.tags.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        check::tagging("iam:TagMFADevice", request.tags.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![new_arn(call, Kind::Mfa, request.path.as_deref(), request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = check::name(request.name.as_deref(), "virtualMFADeviceName", 226)?;
        let path = check::path(request.path.as_deref())?;
        let mut tags = BTreeMap::new();
        check::tag(&mut tags, request.tags.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        room_for(ctx, call, Kind::Mfa)?;
        let bytes = device::new_seed();
        let text = Zeroizing::new(BASE32_NOPAD.encode(&*bytes));
        let device = MfaDevice {
            name: name.to_owned(),
            path: path.to_owned(),
            created_unix_s: ctx.now(),
            user: None,
            enabled_unix_s: None,
            tags,
        };
        let serial = device::arn(account, &device);
        let mut shape = json!({"SerialNumber": serial});
        if !device.tags.is_empty() {
            shape["Tags"] = shapes::tags(&device.tags);
        }
        let mut answer = ctx
            .change(call, || async {
                let key = records::key(account, Kind::Mfa, name);
                if ctx.find::<MfaDevice>(call, key.clone()).await?.is_some() {
                    return Err(AwsError::new(
                        "EntityAlreadyExists",
                        409,
                        "MFADevice entity at the same path and name already exists.",
                    ));
                }
                let seed = put(device::seed_key(account, name), &Seed::new(&bytes))?;
                let ops = vec![put(key.clone(), &device)?, seed];
                Ok(Change { compares: vec![Compare::Absent(key)], ops, answer: json!({"VirtualMFADevice": shape}) })
            })
            .await?;
        let picture = picture::qr_png(&Zeroizing::new(picture::address(name, account.as_str(), &text)))?;
        let shape = &mut answer["VirtualMFADevice"];
        shape["Base32StringSeed"] = BASE64.encode(text.as_bytes()).into();
        shape["QRCodePNG"] = BASE64.encode(&picture).into();
        Ok(answer)
    }
}
