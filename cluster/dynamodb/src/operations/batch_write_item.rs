//! BatchWriteItem.

use super::conditions::{Attributes, leading_keys, returns, until_known};
use super::errors::{from_partition, from_route, invalid};
use super::shapes::{self, ConsumedCapacity, Meter, collection_metrics};
use super::validate::{
    Constraints, RETURN_CONSUMED, RETURN_METRICS, TABLE_KEYS, fits_table_key, table_arn, table_name,
};
use super::write::{Options, data_table, deadline, new_write};
use crate::node::Context;
use crate::router::RouteError;
use crate::rpc::{ItemWrite, PartitionError, PartitionRequest, PartitionResponse, WriteAction, WriteDone};
use crate::tables::TableRecord;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::Item;
use breakwater_items::json::{WireItem, WireItemRef};
use breakwater_items::key::{KeyError, PrimaryKey, partition_hash};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub struct BatchWriteItem;

const WRITES_MAX: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    request_items: Option<BTreeMap<String, Vec<WriteRequest>>>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WriteRequest {
    put_request: Option<Put>,
    delete_request: Option<Delete>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Put {
    item: Option<WireItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Delete {
    key: Option<WireItem>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    unprocessed_items: BTreeMap<String, Vec<Value>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    item_collection_metrics: BTreeMap<String, Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<ConsumedCapacity>>,
}

#[derive(Clone)]
enum Write {
    Put(Item),
    Delete(Item),
}

impl Write {
    fn of(request: WriteRequest) -> Result<Self, AwsError> {
        match (request.put_request, request.delete_request) {
            (Some(put), None) => {
                let item = shapes::older_item(put.item.unwrap_or_default())?;
                breakwater_items::size::check_item_size(&item).map_err(invalid)?;
                Ok(Write::Put(item))
            }
            (None, Some(delete)) => Ok(Write::Delete(shapes::older_item(delete.key.unwrap_or_default())?)),
            _ => Err(invalid(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
            )),
        }
    }

    fn key(&self, table: &TableRecord) -> Result<PrimaryKey, AwsError> {
        match self {
            // A put here says of its key no more than that it doesn't fit.
            Write::Put(item) => PrimaryKey::from_item(&table.schema.key, item).map_err(|e| match e {
                KeyError::Missing(_) | KeyError::WrongType { .. } => KeyError::Mismatch,
                e => e,
            }),
            Write::Delete(key) => PrimaryKey::from_key(&table.schema.key, key),
        }
        .map_err(invalid)
    }

    fn action(&self, key: &PrimaryKey) -> WriteAction {
        match self {
            Write::Put(item) => WriteAction::Put { item: item.clone() },
            Write::Delete(_) => WriteAction::Delete { key: key.clone() },
        }
    }

    /// As it came, for those that come back unprocessed.
    fn again(&self) -> Result<Value, AwsError> {
        Ok(match self {
            Write::Put(item) => {
                json!({"PutRequest": {"Item": serde_json::to_value(WireItemRef(item)).map_err(AwsError::internal)?}})
            }
            Write::Delete(key) => {
                json!({"DeleteRequest": {"Key": serde_json::to_value(WireItemRef(key)).map_err(AwsError::internal)?}})
            }
        })
    }
}

struct Writing {
    given: String,
    table: Arc<TableRecord>,
    writes: Vec<(PrimaryKey, Write)>,
}

/// What became of each write; none where it was throttled.
type Outcomes = Vec<(usize, Option<WriteDone>)>;

impl Writing {
    async fn write(&self, ctx: &Context, call: &Call, metrics: Option<&str>) -> Result<Outcomes, AwsError> {
        let mut by_partition: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, (key, _)) in self.writes.iter().enumerate() {
            let hash = partition_hash(&self.table.salt, &key.hash);
            let partition = self.table.partition_of(hash).ok_or_else(|| AwsError::internal("no partition"))?;
            by_partition.entry(partition.group.0).or_default().push(at);
        }
        let options = Options { return_metrics: metrics, ..Options::default() };
        let options = &options;
        let parts = by_partition.into_iter().map(|(group, places)| async move {
            let partition = self
                .table
                .partitions
                .iter()
                .find(|p| p.group.0 == group)
                .ok_or_else(|| AwsError::internal("no partition"))?;
            let new = |at: &usize| -> ItemWrite {
                let (key, write) = &self.writes[*at];
                new_write(write.action(key), None, options)
            };
            let began = tokio::time::Instant::now();
            let mut left: Vec<(usize, ItemWrite)> = places.iter().map(|at| (*at, new(at))).collect();
            let mut outcomes: Outcomes = Vec::new();
            // Those of which an attempt may have been done: never told as unprocessed.
            let mut unsure = HashSet::new();
            // A write whose own leader changed in the middle is sent again with its request id.
            while !left.is_empty() {
                let request = PartitionRequest::BatchWrite(left.iter().map(|(_, w)| w.clone()).collect());
                let answers = match ctx.router.leader(&self.table, partition, request, deadline(call)).await {
                    Ok(PartitionResponse::BatchWrite(answers)) if answers.len() == left.len() => answers,
                    Ok(_) => return Err(AwsError::internal("an answer to another question")),
                    Err(RouteError::Partition(PartitionError::Throttled)) if unsure.is_empty() => {
                        outcomes.extend(left.iter().map(|(at, _)| (*at, None)));
                        break;
                    }
                    // What is left wasn't done, what came before was.
                    Err(RouteError::Unavailable(_)) if unsure.is_empty() && !outcomes.is_empty() => {
                        outcomes.extend(left.iter().map(|(at, _)| (*at, None)));
                        break;
                    }
                    Err(RouteError::Partition(e @ PartitionError::Throttled)) => {
                        return Err(AwsError::internal(format!("outcome unknown, then {e}")));
                    }
                    Err(RouteError::Unavailable(why)) if !unsure.is_empty() => {
                        return Err(AwsError::internal(format!("outcome unknown, then {why}")));
                    }
                    Err(e) => return Err(from_route(e)),
                };
                let mut again = Vec::new();
                for ((at, mut write), answer) in left.into_iter().zip(answers) {
                    match answer {
                        Ok(done) => outcomes.push((at, Some(done))),
                        Err(PartitionError::Throttled) if !unsure.contains(&at) => outcomes.push((at, None)),
                        Err(
                            e @ (PartitionError::NotLeader { .. }
                            | PartitionError::NotApplied(_)
                            | PartitionError::Throttled
                            | PartitionError::Unknown(_)
                            | PartitionError::Stopped(_)),
                        ) => {
                            if matches!(e, PartitionError::Unknown(_)) {
                                unsure.insert(at);
                            }
                            write.age_ms = u32::try_from(began.elapsed().as_millis()).unwrap_or(u32::MAX).max(1);
                            again.push((at, write));
                        }
                        Err(e) => return Err(from_partition(e)),
                    }
                }
                left = again;
                if !left.is_empty() {
                    if tokio::time::Instant::now() >= deadline(call) {
                        return Err(AwsError::internal("outcome unknown: leaders changed until the deadline"));
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }
            Ok::<Outcomes, AwsError>(outcomes)
        });
        let parts = futures::future::try_join_all(parts).await?;
        let mut all: Outcomes = parts.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all)
    }
}

impl Operation for BatchWriteItem {
    type Context = Context;
    type Request = Request;
    type Response = Answer;
    const NAME: &'static str = "BatchWriteItem";
    const ACTION: &'static str = "dynamodb:BatchWriteItem";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnConsumedCapacity"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        match &request.request_items {
            None => constraints.null("requestItems"),
            Some(tables) => {
                if tables.is_empty() {
                    constraints.fail_at("RequestItems", "Member must have length greater than or equal to 1");
                }
                for (name, writes) in tables {
                    if writes.is_empty() || writes.len() > WRITES_MAX {
                        // AWS repeats the whole request here.
                        let given =
                            if writes.is_empty() { String::new() } else { format!("{} requests", writes.len()) };
                        constraints.fail(
                            &format!("{{{name}=[{given}]}}"),
                            "requestItems",
                            "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]",
                        );
                    }
                }
            }
        }
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        let metrics = request.return_item_collection_metrics.as_deref();
        constraints.one_of(metrics, "returnItemCollectionMetrics", RETURN_METRICS);
        constraints.finish()?;
        // Names come last here: an unknown word elsewhere is told alone.
        let mut constraints = Constraints::default();
        if let Some(name) = request.request_items.iter().flat_map(BTreeMap::keys).find(|name| !fits_table_key(name)) {
            constraints.fail(&format!("{{{name}=[…]}}"), "requestItems", TABLE_KEYS);
        }
        constraints.finish()?;
        let writes: usize = request.request_items.iter().flatten().map(|(_, w)| w.len()).sum();
        if writes > WRITES_MAX {
            return Err(invalid("Too many items requested for the BatchWriteItem call"));
        }
        Ok(())
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        for table in request.request_items.iter().flat_map(BTreeMap::keys) {
            until_known(ctx, call, Some(table)).await?;
        }
        Ok(())
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let tables = request.request_items.iter().flatten();
        let all = tables.flat_map(|(name, writes)| {
            writes.iter().map(|write| {
                let item = write.put_request.as_ref().and_then(|put| put.item.as_ref());
                let key = write.delete_request.as_ref().and_then(|delete| delete.key.as_ref());
                (Some(name.as_str()), item.or(key))
            })
        });
        leading_keys(ctx, call, all.clone(), keys);
        all.fold(Attributes::wanted_by(keys), |attributes, (_, item)| attributes.item(item)).set(keys);
        returns(None, request.return_consumed_capacity.as_deref(), keys);
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        request.request_items.iter().flatten().flat_map(|(name, _)| table_arn(&call.scope, Some(name))).collect()
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Answer, AwsError> {
        // All is checked before anything is written.
        let mut writings = Vec::new();
        for (given, writes) in request.request_items.unwrap_or_default() {
            let writes = writes.into_iter().map(Write::of).collect::<Result<Vec<_>, AwsError>>()?;
            let table = data_table(ctx, call, Some(&given)).await?;
            let mut seen = HashSet::new();
            let mut keyed = Vec::with_capacity(writes.len());
            for write in writes {
                let key = write.key(&table)?;
                if !seen.insert(key.clone()) {
                    return Err(invalid("Provided list of item keys contains duplicates"));
                }
                keyed.push((key, write));
            }
            writings.push(Writing { given, table, writes: keyed });
        }
        let metrics = request.return_item_collection_metrics.as_deref();
        let done = futures::future::try_join_all(writings.iter().map(|w| w.write(ctx, call, metrics))).await?;
        let mut answer = Answer {
            unprocessed_items: BTreeMap::new(),
            item_collection_metrics: BTreeMap::new(),
            consumed_capacity: None,
        };
        let mut consumed = Vec::new();
        for (writing, outcomes) in writings.iter().zip(done) {
            let mut meter = Meter::default();
            for (at, outcome) in outcomes {
                let (key, write) = &writing.writes[at];
                match outcome {
                    Some(done) => {
                        meter.write(&writing.table, &done);
                        if let Some(bytes) = done.collection_size_bytes {
                            let key = key.to_item(&writing.table.schema.key);
                            let metrics = collection_metrics(&writing.table, &key, bytes);
                            answer.item_collection_metrics.entry(writing.given.clone()).or_default().push(metrics);
                        }
                    }
                    None => {
                        answer.unprocessed_items.entry(writing.given.clone()).or_default().push(write.again()?);
                    }
                }
            }
            consumed.extend(meter.answer(table_name(&writing.given), request.return_consumed_capacity.as_deref()));
        }
        answer.consumed_capacity = (!consumed.is_empty()).then_some(consumed);
        Ok(answer)
    }
}
