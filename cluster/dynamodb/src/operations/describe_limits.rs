//! DescribeLimits.

use crate::node::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct DescribeLimits;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for DescribeLimits {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DescribeLimits";
    const ACTION: &'static str = "dynamodb:DescribeLimits";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    /// AWS's default quotas of an account and of a table.
    async fn handle(_ctx: &Arc<Context>, _call: &Call, _request: Request) -> Result<Value, AwsError> {
        Ok(json!({
            "AccountMaxReadCapacityUnits": 80_000,
            "AccountMaxWriteCapacityUnits": 80_000,
            "TableMaxReadCapacityUnits": 40_000,
            "TableMaxWriteCapacityUnits": 40_000,
        }))
    }
}
