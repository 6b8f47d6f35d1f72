//! DescribeTable.

use super::errors::{from_meta, no_such_table};
use super::shapes::description;
use super::validate::{Constraints, own_table, table_arn};
use crate::node::Context;

use crate::tables::TableStatus;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct DescribeTable;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
}

impl Operation for DescribeTable {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DescribeTable";
    const ACTION: &'static str = "dynamodb:DescribeTable";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.control_table(request.table_name.as_deref());
        constraints.finish()
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        table_arn(&call.scope, request.table_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = own_table(&call.scope, request.table_name.as_deref())?;
        let found = match ctx.known_table(&call.scope, name) {
            Some(table) => Some(table),
            None => ctx.table(&call.scope, name).await.map_err(from_meta)?,
        };
        let table = found.ok_or_else(|| no_such_table(name))?;
        let (items, bytes) = match table.status {
            TableStatus::Active => ctx.stats.of(&table),
            TableStatus::Creating | TableStatus::Deleting => (0, 0),
        };
        Ok(json!({"Table": description(&table, items, bytes)}))
    }
}
