//! Query.

use super::conditions::{Attributes, queried_key, returns, selects, until_known};
use super::errors::{enveloped, from_route, invalid};
use super::expressions::{Placeholders, Texts, compile_all};
use super::legacy;
use super::read::{PageAnswer, answer, last_evaluated, select, start_key};
use super::shapes;
use super::validate::{CONDITIONAL_OPERATORS, Constraints, RETURN_CONSUMED, index_arn};
use super::write::{data_table, deadline};
use crate::node::Context;
use crate::rpc::{PartitionRequest, PartitionResponse, QueryRead};
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::expression::{ExpressionKind, FILTER_EXPRESSION, QUERY_FILTER};
use breakwater_items::json::WireItem;
use breakwater_items::key::partition_hash;
use breakwater_items::schema::KeySchema;
use serde::Deserialize;
use std::sync::Arc;

pub struct Query;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    index_name: Option<String>,
    select: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    limit: Option<i64>,
    consistent_read: Option<bool>,
    key_conditions: Option<legacy::Conditions>,
    query_filter: Option<legacy::Conditions>,
    conditional_operator: Option<String>,
    scan_index_forward: Option<bool>,
    exclusive_start_key: Option<WireItem>,
    return_consumed_capacity: Option<String>,
    projection_expression: Option<String>,
    filter_expression: Option<String>,
    key_condition_expression: Option<String>,
    #[serde(flatten)]
    placeholders: Placeholders,
}

impl Operation for Query {
    type Context = Context;
    type Request = Request;
    type Response = PageAnswer;
    const NAME: &'static str = "Query";
    const ACTION: &'static str = "dynamodb:Query";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table, index";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnConsumedCapacity", "dynamodb:Select"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.table(request.table_name.as_deref());
        if let Some(index) = &request.index_name {
            constraints.name(index, "indexName");
        }
        constraints.one_of(request.select.as_deref(), "select", super::read::SELECTS);
        if request.limit.is_some_and(|limit| limit < 1) {
            constraints.fail_at("Limit", "Member must have value greater than or equal to 1");
        }
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        constraints.one_of(request.conditional_operator.as_deref(), "conditionalOperator", CONDITIONAL_OPERATORS);
        legacy::constrain_conditions(&mut constraints, "queryFilter", request.query_filter.as_ref());
        legacy::constrain_conditions(&mut constraints, "keyConditions", request.key_conditions.as_ref());
        legacy::constrain_attributes(&mut constraints, request.attributes_to_get.as_ref());
        constraints.finish()
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        until_known(ctx, call, request.table_name.as_deref()).await
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        let expression = request.key_condition_expression.as_deref().map(|text| (text, &request.placeholders));
        let conditions = request.key_conditions.as_ref();
        queried_key(ctx, call, request.table_name.as_deref(), expression, conditions, keys);
        let names = request.placeholders.expression_attribute_names.as_ref();
        Attributes::wanted_by(keys)
            .named(request.attributes_to_get.iter().flatten())
            .named(request.key_conditions.iter().flat_map(|c| c.keys()))
            .named(request.query_filter.iter().flat_map(|c| c.keys()))
            .expression(request.key_condition_expression.as_deref(), names)
            .expression(request.filter_expression.as_deref(), names)
            .expression(request.projection_expression.as_deref(), names)
            .set(keys);
        let projects = request.projection_expression.is_some() || request.attributes_to_get.is_some();
        selects(request.select.as_deref(), projects, request.index_name.is_some(), keys);
        returns(None, request.return_consumed_capacity.as_deref(), keys);
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        index_arn(call, request.table_name.as_deref(), request.index_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<PageAnswer, AwsError> {
        let texts = Texts {
            projection: request.projection_expression.as_deref(),
            filter: request.filter_expression.as_deref(),
            key_condition: request.key_condition_expression.as_deref(),
            ..Texts::default()
        };
        let given = [
            ("AttributesToGet", request.attributes_to_get.is_some()),
            ("QueryFilter", request.query_filter.is_some()),
            ("ConditionalOperator", request.conditional_operator.is_some()),
            ("KeyConditions", request.key_conditions.is_some()),
        ];
        let takes = [ExpressionKind::Projection, ExpressionKind::Filter, ExpressionKind::KeyCondition];
        let compiled = compile_all(&takes, &texts, &given, request.placeholders)?;
        let key_conditions = match compiled.key_conditions {
            Some(conditions) => conditions,
            None => legacy::key_conditions(request.key_conditions)?.ok_or_else(|| {
                invalid(
                    "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
                )
            })?,
        };
        let (filter, filter_parameter) = match compiled.filter {
            Some(filter) => (Some(filter), FILTER_EXPRESSION),
            None => (
                legacy::filter("QueryFilter", request.query_filter, request.conditional_operator.as_deref())?,
                QUERY_FILTER,
            ),
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
        let start = shapes::optional_item(request.exclusive_start_key)?;

        let select = select(request.select.as_deref(), selection, request.index_name.is_some()).map_err(enveloped)?;
        let table = data_table(ctx, call, request.table_name.as_deref()).await?;
        let index = super::read::index(&table, request.index_name.as_deref())?;
        let key = match index {
            None => table.schema.key.clone(),
            Some((_, local)) => KeySchema { hash: table.schema.key.hash.clone(), range: Some(local.range.clone()) },
        };
        if let Some(filter) = &filter {
            let names: Vec<&str> = key.attributes().map(|a| a.name.as_str()).collect();
            filter.check_filter_keys(filter_parameter, &names).map_err(invalid)?;
        }
        let key_condition = key_conditions.bind(&key).map_err(invalid)?;
        let exclusive_start = start.map(|s| start_key(&table, index.map(|(_, l)| l), &s, false)).transpose()?;
        let hash = partition_hash(&table.salt, &key_condition.hash);
        let partition = table.partition_of(hash).ok_or_else(|| AwsError::internal("a hash without a partition"))?;
        let consistent = request.consistent_read.unwrap_or(false);
        let read = PartitionRequest::Query(QueryRead {
            index: index.map(|(ordinal, _)| ordinal),
            key_condition,
            filter,
            projection,
            select,
            forward: request.scan_index_forward.unwrap_or(true),
            limit: request.limit.map(|l| u32::try_from(l).unwrap_or(u32::MAX)),
            exclusive_start,
            consistent,
        });
        let answered =
            ctx.router.read(&table, partition, consistent, read, deadline(call)).await.map_err(from_route)?;
        let PartitionResponse::Page(page) = answered else {
            return Err(AwsError::internal("an answer to another question"));
        };
        let last = page.last_evaluated.as_ref().map(|last| last_evaluated(&table, index.map(|(_, l)| l), last));
        let wanted = request.return_consumed_capacity.as_deref();
        Ok(answer(&table, index.map(|(_, l)| l), page, last, select, consistent, wanted))
    }
}
