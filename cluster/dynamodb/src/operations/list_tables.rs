//! ListTables.

use super::validate::Constraints;
use crate::node::Context;
use crate::tables;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct ListTables;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    exclusive_start_table_name: Option<String>,
    limit: Option<i64>,
}

const LIMIT_MAX: usize = 100;

impl Operation for ListTables {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "ListTables";
    const ACTION: &'static str = "dynamodb:ListTables";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        if let Some(name) = &request.exclusive_start_table_name {
            // The pattern is told first here, unlike elsewhere.
            constraints.start_name(name, "exclusiveStartTableName");
        }
        constraints.at_least(request.limit, "limit", 1);
        constraints.at_most(request.limit, "limit", LIMIT_MAX as i64);
        constraints.finish()
    }

    fn resources(_ctx: &Context, call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::new(&call.scope, "dynamodb", "table/*")]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let prefix = tables::prefix(&call.scope);
        let limit = request.limit.map_or(LIMIT_MAX, |l| usize::try_from(l).unwrap_or(LIMIT_MAX));
        let after = request.exclusive_start_table_name.unwrap_or_default();
        let mut names: Vec<String> = ctx
            .tables
            .scan_prefix(&prefix)
            .into_iter()
            .map(|entry| String::from_utf8_lossy(&entry.key[prefix.len()..]).into_owned())
            .filter(|name| *name > after)
            .collect();
        let more = names.len() > limit;
        names.truncate(limit);
        let mut answer = json!({"TableNames": names});
        if more {
            answer["LastEvaluatedTableName"] = names.last().cloned().into();
        }
        Ok(answer)
    }
}
