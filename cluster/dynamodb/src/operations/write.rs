//! What PutItem, UpdateItem and DeleteItem have in common.

use super::errors::{from_meta, from_route, no_table};
use super::shapes::{ConsumedCapacity, Meter, collection_metrics};
use super::validate::own_table;
use crate::node::Context;
use crate::rpc::{ItemWrite, PartitionRequest, PartitionResponse, ReturnValues, WriteAction, WriteDone};
use crate::tables::{TableRecord, TableStatus};
use breakwater_aws::{AwsError, Call};
use breakwater_items::Item;
use breakwater_items::expression::Condition;
use breakwater_items::json::serialize_option_item;
use breakwater_items::key::{PrimaryKey, partition_hash};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Of the time that a call has, this much is kept for its answer.
const MARGIN: Duration = Duration::from_millis(250);

pub fn deadline(call: &Call) -> Instant {
    call.deadline.checked_sub(MARGIN).unwrap_or(call.deadline)
}

/// The table of a data operation: it must be there and usable.
pub async fn data_table(ctx: &Context, call: &Call, given: Option<&str>) -> Result<Arc<TableRecord>, AwsError> {
    let name = own_table(&call.scope, given)?;
    let found = ctx.table(&call.scope, name).await.map_err(from_meta)?;
    let table = found.ok_or_else(no_table)?;
    match table.status {
        TableStatus::Active => Ok(table),
        TableStatus::Creating => {
            // The mirror may lag behind the moment the table became active.
            match ctx.table_now(&call.scope, name).await.map_err(from_meta)? {
                Some((now, _)) if now.status == TableStatus::Active => Ok(now),
                _ => Err(no_table()),
            }
        }
        TableStatus::Deleting => Err(no_table()),
    }
}

pub fn return_values(given: Option<&str>) -> ReturnValues {
    match given {
        Some("ALL_OLD") => ReturnValues::AllOld,
        Some("UPDATED_OLD") => ReturnValues::UpdatedOld,
        Some("ALL_NEW") => ReturnValues::AllNew,
        Some("UPDATED_NEW") => ReturnValues::UpdatedNew,
        _ => ReturnValues::None,
    }
}

/// What the answer to a write holds.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WriteAnswer {
    #[serde(serialize_with = "serialize_option_item", skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumed_capacity: Option<ConsumedCapacity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_collection_metrics: Option<Value>,
}

/// The options of a write, as the request named them.
#[derive(Debug, Default)]
pub struct Options<'a> {
    pub return_values: Option<&'a str>,
    pub return_on_failure: Option<&'a str>,
    pub return_consumed: Option<&'a str>,
    pub return_metrics: Option<&'a str>,
}

pub fn new_write(action: WriteAction, condition: Option<Condition>, options: &Options<'_>) -> ItemWrite {
    ItemWrite {
        request_id: rand::random(),
        age_ms: 0,
        action,
        condition,
        return_values: return_values(options.return_values),
        return_on_condition_failure: options.return_on_failure == Some("ALL_OLD"),
        want_collection_metrics: options.return_metrics == Some("SIZE"),
    }
}

/// Sends one write to its partition.
pub async fn send(
    ctx: &Context,
    call: &Call,
    table: &TableRecord,
    key: &PrimaryKey,
    write: ItemWrite,
) -> Result<WriteDone, AwsError> {
    let hash = partition_hash(&table.salt, &key.hash);
    let partition = table.partition_of(hash).ok_or_else(|| AwsError::internal("a hash without a partition"))?;
    let request = PartitionRequest::Write(write);
    match ctx.router.leader(table, partition, request, deadline(call)).await.map_err(from_route)? {
        PartitionResponse::Write(done) => Ok(done),
        _ => Err(AwsError::internal("an answer to another question")),
    }
}

pub fn answer(table: &TableRecord, key: &PrimaryKey, options: &Options<'_>, done: WriteDone) -> WriteAnswer {
    let mut meter = Meter::default();
    meter.write(table, &done);
    let item_collection_metrics =
        done.collection_size_bytes.map(|bytes| collection_metrics(table, &key.to_item(&table.schema.key), bytes));
    WriteAnswer {
        attributes: done.attributes,
        consumed_capacity: meter.answer(&table.name, options.return_consumed),
        item_collection_metrics,
    }
}
