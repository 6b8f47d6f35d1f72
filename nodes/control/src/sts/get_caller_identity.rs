//! GetCallerIdentity: the one call that needs no permission.

use crate::iam::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct GetCallerIdentity;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for GetCallerIdentity {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetCallerIdentity";
    const ACTION: &'static str = "sts:GetCallerIdentity";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    /// None: AWS answers it also to who is denied it.
    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        Vec::new()
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let principal = &call.principal;
        let id = super::user_id(ctx, call)?;
        Ok(json!({"UserId": id, "Account": principal.account, "Arn": principal.arn}))
    }
}
