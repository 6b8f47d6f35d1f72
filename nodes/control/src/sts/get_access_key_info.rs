//! GetAccessKeyInfo: whose account an access key belongs to.

use crate::iam::{Context, check, errors, secrets, shapes};
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct GetAccessKeyInfo;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    access_key_id: Option<String>,
}

impl Operation for GetAccessKeyInfo {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetAccessKeyInfo";
    const ACTION: &'static str = "sts:GetAccessKeyInfo";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let id = check::required(request.access_key_id.as_deref(), "accessKeyId")?;
        let is_id = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if !(16..=128).contains(&id.len()) || !id.bytes().all(is_id) {
            let words = "Member must have length between 16 and 128, inclusive";
            return Err(check::constraint(id, "accessKeyId", words));
        }
        // Temporary ones are kept nowhere: their account stands in them.
        let account = match id.starts_with("ASIA") {
            true => shapes::account_in(id),
            false => secrets::account_of(ctx, call, id).await?,
        };
        let account = account.ok_or_else(|| errors::validation(format!("Access key {id} is not valid.")))?;
        Ok(json!({"Account": account}))
    }
}
