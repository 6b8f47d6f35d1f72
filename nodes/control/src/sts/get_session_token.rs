//! GetSessionToken: temporary credentials with the caller's own rights. Needs no permission.

use super::session;
use crate::iam::{Context, mfa};
use breakwater_aws::query::from_text;
use breakwater_aws::{Access, Arn, AwsError, Call, Identity, Operation, Plane};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub struct GetSessionToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(default, deserialize_with = "from_text")]
    duration_seconds: Option<i64>,
    serial_number: Option<String>,
    token_code: Option<String>,
}

const DEFAULT_S: i64 = 43_200;
const MOST_S: i64 = 129_600;
const ROOT_MOST_S: i64 = 3_600;

impl Operation for GetSessionToken {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetSessionToken";
    const ACTION: &'static str = "sts:GetSessionToken";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const TELLS_ANSWER: bool = true;
    const RESOURCE_TYPE: &'static str = "*";

    /// None: it gives nobody more than she has.
    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        Vec::new()
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if call.principal.session.is_some() {
            return Err(AwsError::new("AccessDenied", 403, "Cannot call GetSessionToken with session credentials"));
        }
        let asked = session::duration(request.duration_seconds, DEFAULT_S, MOST_S)?;
        let user_id = super::user_id(ctx, call)?;
        let lasts_s = if call.principal.identity == Identity::Root { asked.min(ROOT_MOST_S) } else { asked };
        let (serial, token) = (request.serial_number.as_deref(), request.token_code.as_deref());
        let mfa_unix_s = mfa::verify(ctx, call, serial, token).await?;
        let mut session = session::begin(ctx, call, call.principal.arn.clone(), user_id, lasts_s);
        session.mfa_unix_s = mfa_unix_s;
        session::begun(ctx, &session)
    }
}
