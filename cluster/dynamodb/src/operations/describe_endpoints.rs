//! DescribeEndpoints.

use crate::node::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct DescribeEndpoints;

#[derive(Deserialize)]
pub struct Request {}

impl Operation for DescribeEndpoints {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DescribeEndpoints";
    const ACTION: &'static str = "dynamodb:DescribeEndpoints";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::any()]
    }

    async fn handle(_ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let address = format!("dynamodb.{}.amazonaws.com", call.scope.region);
        Ok(json!({"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1_440}]}))
    }
}
