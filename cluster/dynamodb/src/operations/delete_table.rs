//! DeleteTable.

use super::errors::{from_meta, invalid, no_such_table};
use super::shapes::description;
use super::validate::{Constraints, own_table, table_arn};
use crate::node::Context;
use crate::tables::{self, TableStatus};
use breakwater_audit::outbox;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use breakwater_meta::{Compare, Op, Txn};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct DeleteTable;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
}

impl Operation for DeleteTable {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "DeleteTable";
    const ACTION: &'static str = "dynamodb:DeleteTable";
    const ACCESS: Access = Access::Write;
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
        let deadline = Instant::now() + Duration::from_secs(8);
        loop {
            let found = ctx.table_now(&call.scope, name).await.map_err(from_meta)?;
            let (table, revision) = found.ok_or_else(|| no_such_table(name))?;
            match table.status {
                TableStatus::Active => {}
                TableStatus::Creating => {
                    let message =
                        format!("Attempt to change a resource which is still in use: Table is being created: {name}");
                    return Err(AwsError::client("ResourceInUseException", message));
                }
                TableStatus::Deleting => {
                    let message =
                        format!("Attempt to change a resource which is still in use: Table is being deleted: {name}");
                    return Err(AwsError::client("ResourceInUseException", message));
                }
            }
            if table.deletion_protection {
                return Err(invalid(
                    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
                ));
            }
            let mut deleting = (*table).clone();
            deleting.status = TableStatus::Deleting;
            let answer = json!({"TableDescription": description(&deleting, 0, 0)});
            let key = tables::key(&call.scope, name);
            let txn = Txn {
                compares: vec![Compare::ModRevision(key.clone(), revision)],
                success: [
                    vec![Op::put(key, deleting.to_stored().map_err(AwsError::internal)?)],
                    outbox::ops(call, &answer)?,
                ]
                .concat(),
                failure: vec![],
            };
            let outcome = ctx.meta.txn(txn, deadline).await.map_err(from_meta)?;
            if outcome.succeeded {
                outbox::committed(call);
                ctx.tables.wait_for(outcome.revision, Instant::now() + Duration::from_secs(1)).await;
                return Ok(answer);
            }
            if Instant::now() > deadline {
                return Err(AwsError::unavailable("the table kept changing"));
            }
        }
    }
}
