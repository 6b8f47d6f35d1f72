//! UntagResource.

use super::errors::invalid;
use super::validate::Constraints;
use crate::node::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub struct UntagResource;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Operation for UntagResource {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UntagResource";
    const ACTION: &'static str = "dynamodb:UntagResource";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        if request.resource_arn.is_none() {
            constraints.null("resourceArn");
        }
        if request.tag_keys.is_none() {
            constraints.null("tagKeys");
        }
        constraints.finish()
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        if let Some(tag_keys) = &request.tag_keys {
            keys.set_many("aws:TagKeys", tag_keys.clone());
        }
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.resource_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let keys = request.tag_keys.unwrap_or_default();
        if keys.is_empty() {
            return Err(invalid("Atleast one Tag Key needs to be provided as Input."));
        }
        super::update_table::change(ctx, call, request.resource_arn.as_deref(), |table| {
            table.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }
}
