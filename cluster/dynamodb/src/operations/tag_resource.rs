//! TagResource.

use super::conditions::request_tags;
use super::errors::invalid;
use super::shapes::Tag;
use super::validate::Constraints;
use crate::node::Context;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

pub struct TagResource;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    resource_arn: Option<String>,
    tags: Option<Vec<Tag>>,
}

const TAGS_MAX: usize = 50;

impl Operation for TagResource {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "TagResource";
    const ACTION: &'static str = "dynamodb:TagResource";
    const ACCESS: Access = Access::Tagging;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        if request.resource_arn.is_none() {
            constraints.null("resourceArn");
        }
        match &request.tags {
            None => constraints.null("tags"),
            Some(tags) => {
                for (n, tag) in tags.iter().enumerate() {
                    let at = |field: &str| format!("tags.{}.member.{field}", n + 1);
                    if tag.key.is_empty() {
                        constraints.fail("", &at("key"), "Member must have length greater than or equal to 1");
                    }
                    if tag.key.chars().count() > 128 {
                        constraints.fail(&tag.key, &at("key"), "Member must have length less than or equal to 128");
                    }
                    if tag.value.chars().count() > 256 {
                        constraints.fail(&tag.value, &at("value"), "Member must have length less than or equal to 256");
                    }
                }
            }
        }
        constraints.finish()
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        request_tags(request.tags.as_deref(), keys);
    }

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.resource_arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let tags = request.tags.unwrap_or_default();
        if tags.is_empty() {
            return Err(invalid("Atleast one Tag needs to be provided as Input."));
        }
        super::update_table::change(ctx, call, request.resource_arn.as_deref(), |table| {
            for tag in &tags {
                table.tags.insert(tag.key.clone(), tag.value.clone());
            }
            if table.tags.len() > TAGS_MAX {
                return Err(AwsError::client("LimitExceededException", "Too many tags: at most 50 are allowed"));
            }
            Ok(())
        })
        .await
    }
}
