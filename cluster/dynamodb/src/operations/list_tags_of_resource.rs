//! ListTagsOfResource.

use super::errors::from_meta;
use super::validate::Constraints;
use crate::node::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct ListTagsOfResource;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_arn: Option<String>,
    next_token: Option<String>,
}

/// Tags in one answer.
const PAGE: usize = 10;

impl Operation for ListTagsOfResource {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListTagsOfResource";
    const ACTION: &'static str = "dynamodb:ListTagsOfResource";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        if request.resource_arn.is_none() {
            constraints.null("resourceArn");
        }
        constraints.finish()
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.resource_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = request.resource_arn.unwrap_or_default();
        let name = super::update_table::name_of_arn(call, &arn)?;
        let found = ctx.table_now(&call.scope, name).await.map_err(from_meta)?;
        let (table, _) = found.ok_or_else(|| super::update_table::no_resource(&arn))?;
        let after = request.next_token.unwrap_or_default();
        let mut tags: Vec<_> = table.tags.iter().filter(|(key, _)| **key > after).take(PAGE + 1).collect();
        let more = tags.len() > PAGE;
        tags.truncate(PAGE);
        let listed: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let mut answer = json!({"Tags": listed});
        if more {
            answer["NextToken"] = tags.last().map(|(key, _)| (*key).clone()).into();
        }
        Ok(answer)
    }
}
