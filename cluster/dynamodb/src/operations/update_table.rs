//! UpdateTable.

use super::create_table::{BILLING_MODES, TABLE_CLASSES, Throughput, billing};
use super::errors::{from_meta, invalid, no_such_table};
use super::shapes::description;
use super::validate::{Constraints, own_table, table_arn};
use crate::node::Context;
use crate::tables::{self, Billing, TableRecord, TableStatus};
use breakwater_audit::outbox;
use breakwater_aws::{Access, Arn, AwsError, Call, Operation, Plane};
use breakwater_meta::{Compare, Op, Txn};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub struct UpdateTable;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    attribute_definitions: Option<Vec<Value>>,
    billing_mode: Option<String>,
    provisioned_throughput: Option<Throughput>,
    global_secondary_index_updates: Option<Vec<Value>>,
    stream_specification: Option<Value>,
    #[serde(rename = "SSESpecification")]
    sse_specification: Option<Value>,
    replica_updates: Option<Vec<Value>>,
    table_class: Option<String>,
    deletion_protection_enabled: Option<bool>,
    on_demand_throughput: Option<Value>,
    warm_throughput: Option<Value>,
    multi_region_consistency: Option<Value>,
    global_table_witness_updates: Option<Value>,
    global_table_settings_replication_mode: Option<Value>,
}

impl Operation for UpdateTable {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateTable";
    const ACTION: &'static str = "dynamodb:UpdateTable";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "table";

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.control_table(request.table_name.as_deref());
        constraints.one_of(request.billing_mode.as_deref(), "billingMode", BILLING_MODES);
        constraints.one_of(request.table_class.as_deref(), "tableClass", TABLE_CLASSES);
        if let Some(throughput) = &request.provisioned_throughput {
            constraints.at_least(Some(throughput.read_capacity_units), "provisionedThroughput.readCapacityUnits", 1);
            constraints.at_least(Some(throughput.write_capacity_units), "provisionedThroughput.writeCapacityUnits", 1);
        }
        constraints.finish()?;
        for (given, name) in [
            (request.global_secondary_index_updates.is_some(), "GlobalSecondaryIndexUpdates"),
            (request.stream_specification.is_some(), "StreamSpecification"),
            (request.sse_specification.is_some(), "SSESpecification"),
            (request.replica_updates.is_some(), "ReplicaUpdates"),
            (request.attribute_definitions.is_some(), "AttributeDefinitions"),
            (request.on_demand_throughput.is_some(), "OnDemandThroughput"),
            (request.warm_throughput.is_some(), "WarmThroughput"),
            (request.multi_region_consistency.is_some(), "MultiRegionConsistency"),
            (request.global_table_witness_updates.is_some(), "GlobalTableWitnessUpdates"),
            (request.global_table_settings_replication_mode.is_some(), "GlobalTableSettingsReplicationMode"),
        ] {
            if given {
                return Err(invalid(format!(
                    "One or more parameter values were invalid: {name} is not supported by this region yet"
                )));
            }
        }
        let nothing = request.billing_mode.is_none()
            && request.provisioned_throughput.is_none()
            && request.table_class.is_none()
            && request.deletion_protection_enabled.is_none();
        if nothing {
            return Err(invalid(
                "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required",
            ));
        }
        Ok(())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        table_arn(&call.scope, request.table_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let name = own_table(&call.scope, request.table_name.as_deref())?.to_owned();
        let now = call.clock.unix_ms();
        let answer = |table: &TableRecord| {
            let (items, bytes) = ctx.stats.of(table);
            json!({"TableDescription": description(table, items, bytes)})
        };
        change_named(ctx, call, &name, || no_such_table(&name), answer, |table| {
            if request.billing_mode.is_some() || request.provisioned_throughput.is_some() {
                let mode = request.billing_mode.as_deref().unwrap_or(match table.billing {
                    Billing::OnDemand => "PAY_PER_REQUEST",
                    Billing::Provisioned { .. } => "PROVISIONED",
                });
                if mode == "PROVISIONED" && request.provisioned_throughput.is_none() {
                    return Err(invalid(
                        "One or more parameter values were invalid: ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
                    ));
                }
                let new = billing(Some(mode), request.provisioned_throughput)?;
                set_billing(table, new, now)?;
            }
            if let Some(class) = &request.table_class {
                table.table_class = Some(class.clone());
            }
            if let Some(protected) = request.deletion_protection_enabled {
                table.deletion_protection = protected;
            }
            Ok(())
        })
        .await
    }
}

/// Partitions stay as they are: throughput is what a table declares, not yet what bounds it.
fn set_billing(table: &mut TableRecord, new: Billing, now_unix_ms: i64) -> Result<(), AwsError> {
    match (table.billing, new) {
        (Billing::Provisioned { read_units: r, write_units: w }, Billing::Provisioned { read_units, write_units }) => {
            if (r, w) == (read_units, write_units) {
                return Err(invalid(format!(
                    "The provisioned throughput for the table will not change. The requested value equals the current value. Current ReadCapacityUnits provisioned for the table: {r}. Requested ReadCapacityUnits: {read_units}. Current WriteCapacityUnits provisioned for the table: {w}. Requested WriteCapacityUnits: {write_units}. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
                )));
            }
            if read_units > r || write_units > w {
                table.increased_unix_ms = Some(now_unix_ms);
            }
            if read_units < r || write_units < w {
                table.decreased_unix_ms = Some(now_unix_ms);
            }
        }
        (Billing::OnDemand, Billing::OnDemand) => {}
        (Billing::OnDemand, Billing::Provisioned { .. }) | (Billing::Provisioned { .. }, Billing::OnDemand) => {
            table.billing_changed_unix_ms = Some(now_unix_ms);
        }
    }
    table.billing = new;
    Ok(())
}

pub fn no_resource(arn: &str) -> AwsError {
    AwsError::client("ResourceNotFoundException", format!("Requested resource not found: ResourcArn: {arn} not found"))
}

/// The table that an ARN of this account and region names.
pub fn name_of_arn<'a>(call: &Call, arn: &'a str) -> Result<&'a str, AwsError> {
    let prefix = call.scope.arn("dynamodb", "table/");
    arn.strip_prefix(&prefix)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| invalid(format!("Invalid TableArn: Invalid ResourceArn provided as input {arn}")))
}

/// Changes the table that an ARN names, and answers nothing.
pub async fn change(
    ctx: &Context,
    call: &Call,
    arn: Option<&str>,
    edit: impl Fn(&mut TableRecord) -> Result<(), AwsError>,
) -> Result<Value, AwsError> {
    let arn = arn.unwrap_or("");
    let name = name_of_arn(call, arn)?;
    change_named(ctx, call, name, || no_resource(arn), |_| json!({}), edit).await
}

async fn change_named(
    ctx: &Context,
    call: &Call,
    name: &str,
    missing: impl Fn() -> AwsError,
    answer: impl Fn(&TableRecord) -> Value,
    edit: impl Fn(&mut TableRecord) -> Result<(), AwsError>,
) -> Result<Value, AwsError> {
    let deadline = Instant::now() + Duration::from_secs(8);
    loop {
        let found = ctx.table_now(&call.scope, name).await.map_err(from_meta)?;
        let (table, revision) = found.ok_or_else(&missing)?;
        if table.status != TableStatus::Active {
            let message = format!(
                "Attempt to change a resource which is still in use: Table is being {}: {name}",
                if table.status == TableStatus::Creating { "created" } else { "deleted" }
            );
            return Err(AwsError::client("ResourceInUseException", message));
        }
        let mut changed = (*table).clone();
        edit(&mut changed)?;
        let answer = answer(&changed);
        let mut success = outbox::ops(call, &answer)?;
        let key = tables::key(&call.scope, name);
        success.push(Op::put(key.clone(), changed.to_stored().map_err(AwsError::internal)?));
        let txn = Txn { compares: vec![Compare::ModRevision(key, revision)], success, failure: vec![] };
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
