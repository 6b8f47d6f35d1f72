//! Scan.

use super::conditions::{Attributes, returns, selects};
use super::errors::{from_route, invalid};
use super::expressions::{Placeholders, Texts, compile_all};
use super::legacy;
use super::read::{PageAnswer, answer, last_evaluated, select, start_key};
use super::shapes;
use super::validate::{CONDITIONAL_OPERATORS, Constraints, RETURN_CONSUMED, index_arn};
use super::write::{data_table, deadline};
use crate::node::Context;
use crate::partition::PAGE_BYTES_MAX;
use crate::rpc::{Page, PartitionRequest, PartitionResponse, ScanRead};
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::expression::ExpressionKind;
use breakwater_items::json::WireItem;
use breakwater_items::key::partition_hash;
use serde::Deserialize;
use std::sync::Arc;

pub struct Scan;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    index_name: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    limit: Option<i64>,
    select: Option<String>,
    scan_filter: Option<legacy::Conditions>,
    conditional_operator: Option<String>,
    exclusive_start_key: Option<WireItem>,
    return_consumed_capacity: Option<String>,
    total_segments: Option<i64>,
    segment: Option<i64>,
    projection_expression: Option<String>,
    filter_expression: Option<String>,
    consistent_read: Option<bool>,
    #[serde(flatten)]
    placeholders: Placeholders,
}

/// The hashes of a segment, inclusive.
fn segment_range(segment: u128, total: u128) -> (u128, u128) {
    let width = u128::MAX / total;
    let start = segment * width + u128::from(segment > 0);
    let end = if segment + 1 == total { u128::MAX } else { (segment + 1) * width };
    (start, end)
}

impl Operation for Scan {
    type Context = Context;
    type Request = Request;
    type Response = PageAnswer;
    const NAME: &'static str = "Scan";
    const ACTION: &'static str = "dynamodb:Scan";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table, index";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:FullTableScan", "dynamodb:ReturnConsumedCapacity", "dynamodb:Select"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.table(request.table_name.as_deref());
        if let Some(index) = &request.index_name {
            constraints.name(index, "indexName");
        }
        constraints.one_of(request.select.as_deref(), "select", super::read::SELECTS);
        constraints.at_least(request.limit, "limit", 1);
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        constraints.one_of(request.conditional_operator.as_deref(), "conditionalOperator", CONDITIONAL_OPERATORS);
        legacy::constrain_conditions(&mut constraints, "scanFilter", request.scan_filter.as_ref());
        legacy::constrain_attributes(&mut constraints, request.attributes_to_get.as_ref());
        constraints.at_least(request.total_segments, "totalSegments", 1);
        constraints.at_most(request.total_segments, "totalSegments", 1_000_000);
        constraints.at_least(request.segment, "segment", 0);
        constraints.at_most(request.segment, "segment", 999_999);
        constraints.finish()?;
        match (request.segment, request.total_segments) {
            (None, Some(_)) => Err(invalid(
                "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
            )),
            (Some(_), None) => Err(invalid(
                "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
            )),
            (Some(segment), Some(total)) if segment >= total => Err(invalid(format!(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: {segment} is not less than TotalSegments: {total}"
            ))),
            _ => Ok(()),
        }
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let names = request.placeholders.expression_attribute_names.as_ref();
        Attributes::wanted_by(keys)
            .named(request.attributes_to_get.iter().flatten())
            .named(request.scan_filter.iter().flat_map(|c| c.keys()))
            .expression(request.filter_expression.as_deref(), names)
            .expression(request.projection_expression.as_deref(), names)
            .set(keys);
        let projects = request.projection_expression.is_some() || request.attributes_to_get.is_some();
        selects(request.select.as_deref(), projects, request.index_name.is_some(), keys);
        returns(None, request.return_consumed_capacity.as_deref(), keys);
        keys.set("dynamodb:FullTableScan", "true");
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        index_arn(call, request.table_name.as_deref(), request.index_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<PageAnswer, AwsError> {
        let texts = Texts {
            projection: request.projection_expression.as_deref(),
            filter: request.filter_expression.as_deref(),
            ..Texts::default()
        };
        let given = [
            ("AttributesToGet", request.attributes_to_get.is_some()),
            ("ScanFilter", request.scan_filter.is_some()),
            ("ConditionalOperator", request.conditional_operator.is_some()),
        ];
        let takes = [ExpressionKind::Projection, ExpressionKind::Filter];
        let compiled = compile_all(&takes, &texts, &given, request.placeholders)?;
        let filter = match compiled.filter {
            Some(filter) => Some(filter),
            None => legacy::filter("ScanFilter", request.scan_filter, request.conditional_operator.as_deref())?,
        };
        let selection = match (&compiled.projection, &request.attributes_to_get) {
            (Some(_), _) => Some("ProjectionExpression"),
            (None, Some(_)) => Some("AttributesToGet"),
            (None, None) => None,
        };
        let projection = match compiled.projection {
            Some(projection) => Some(projection),
            None => legacy::attributes_to_get(request.attributes_to_get)?,
        };
        let start = shapes::optional_older_item(request.exclusive_start_key)?;

        let select = select(request.select.as_deref(), selection, request.index_name.is_some())?;
        let table = data_table(ctx, call, request.table_name.as_deref()).await?;
        let index = super::read::index(&table, request.index_name.as_deref())?;
        let mut exclusive_start = start.map(|s| start_key(&table, index.map(|(_, l)| l), &s, true)).transpose()?;
        let consistent = request.consistent_read.unwrap_or(false);
        let range = match (request.segment, request.total_segments) {
            (Some(segment), Some(total)) => {
                segment_range(u128::from(segment.unsigned_abs()), u128::from(total.unsigned_abs()))
            }
            _ => (0, u128::MAX),
        };
        let from = match &exclusive_start {
            None => range.0,
            Some(start) => {
                let hash = partition_hash(&table.salt, &start.key.hash);
                if !(range.0..=range.1).contains(&hash) {
                    return Err(invalid(
                        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments and Segment must be the same.",
                    ));
                }
                hash
            }
        };
        // One page over partitions in the order of their hashes: what one leaves of limit and bytes, the next may use.
        let mut whole = Page::default();
        for partition in table.partitions.iter().filter(|p| p.hash_end >= from && p.hash_start <= range.1) {
            let limit = request.limit.map(|l| u32::try_from(l).unwrap_or(u32::MAX) - whole.scanned_count);
            let bytes_max = PAGE_BYTES_MAX.saturating_sub(whole.examined_bytes);
            let read = PartitionRequest::Scan(ScanRead {
                index: index.map(|(ordinal, _)| ordinal),
                filter: filter.clone(),
                projection: projection.clone(),
                select,
                limit,
                bytes_max: bytes_max as u32,
                exclusive_start: exclusive_start.take(),
                hash_range: range,
                consistent,
            });
            let answered =
                ctx.router.read(&table, partition, consistent, read, deadline(call)).await.map_err(from_route)?;
            let PartitionResponse::Page(page) = answered else {
                return Err(AwsError::internal("an answer to another question"));
            };
            whole.items.extend(page.items);
            whole.count += page.count;
            whole.scanned_count += page.scanned_count;
            whole.examined_bytes += page.examined_bytes;
            whole.fetched_blocks += page.fetched_blocks;
            if page.last_evaluated.is_some() {
                whole.last_evaluated = page.last_evaluated;
                break;
            }
        }
        let last = whole.last_evaluated.as_ref().map(|last| last_evaluated(&table, index.map(|(_, l)| l), last));
        let wanted = request.return_consumed_capacity.as_deref();
        Ok(answer(&table, index.map(|(_, l)| l), whole, last, select, consistent, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::segment_range;

    #[test]
    fn segments_cover_all_hashes_once() {
        for total in [1u128, 2, 3, 7, 1_000_000] {
            assert_eq!(segment_range(0, total).0, 0);
            assert_eq!(segment_range(total - 1, total).1, u128::MAX);
            for segment in 1..total.min(100) {
                assert_eq!(segment_range(segment - 1, total).1 + 1, segment_range(segment, total).0);
            }
        }
    }
}
