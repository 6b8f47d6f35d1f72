//! UpdateItem.

use super::conditions::{Attributes, leading_keys, returns, until_known};
use super::errors::{enveloped, invalid};
use super::expressions::{Placeholders, Texts, compile_all};
use super::legacy;
use super::shapes;
use super::validate::{
    CONDITIONAL_OPERATORS, Constraints, RETURN_CONSUMED, RETURN_METRICS, RETURN_ON_FAILURE, RETURN_VALUES, table_arn,
};
use super::write::{Options, WriteAnswer, answer, data_table, new_write, send};
use crate::node::Context;
use crate::rpc::WriteAction;
use breakwater_aws::{Access, Arn, AwsError, Call, ConditionKeys, Operation, Plane};
use breakwater_items::expression::{ExpressionKind, Update};
use breakwater_items::json::WireItem;
use breakwater_items::key::PrimaryKey;
use serde::Deserialize;
use std::sync::Arc;

pub struct UpdateItem;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    table_name: Option<String>,
    key: Option<WireItem>,
    attribute_updates: Option<legacy::AttributeUpdates>,
    expected: Option<legacy::Expected>,
    conditional_operator: Option<String>,
    return_values: Option<String>,
    return_consumed_capacity: Option<String>,
    return_item_collection_metrics: Option<String>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
    #[serde(flatten)]
    placeholders: Placeholders,
}

impl Operation for UpdateItem {
    type Context = Context;
    type Request = Request;
    type Response = WriteAnswer;
    const NAME: &'static str = "UpdateItem";
    const ACTION: &'static str = "dynamodb:UpdateItem";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Data;
    const RESOURCE_TYPE: &'static str = "table";
    const CONDITION_KEYS: &'static [&'static str] =
        &["dynamodb:Attributes", "dynamodb:LeadingKeys", "dynamodb:ReturnConsumedCapacity", "dynamodb:ReturnValues"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        let mut constraints = Constraints::default();
        constraints.table(request.table_name.as_deref());
        if request.key.is_none() {
            constraints.null("key");
        }
        constraints.one_of(request.return_values.as_deref(), "returnValues", RETURN_VALUES);
        constraints.one_of(request.return_consumed_capacity.as_deref(), "returnConsumedCapacity", RETURN_CONSUMED);
        let metrics = request.return_item_collection_metrics.as_deref();
        constraints.one_of(metrics, "returnItemCollectionMetrics", RETURN_METRICS);
        constraints.one_of(request.conditional_operator.as_deref(), "conditionalOperator", CONDITIONAL_OPERATORS);
        let on_failure = request.return_values_on_condition_check_failure.as_deref();
        constraints.one_of(on_failure, "returnValuesOnConditionCheckFailure", RETURN_ON_FAILURE);
        legacy::constrain_expected(&mut constraints, request.expected.as_ref());
        legacy::constrain_updates(&mut constraints, request.attribute_updates.as_ref());
        constraints.finish()
    }

    async fn prepare(ctx: &Arc<Context>, call: &Call, request: &mut Request) -> Result<(), AwsError> {
        until_known(ctx, call, request.table_name.as_deref()).await
    }

    fn conditions(ctx: &Context, call: &Call, request: &Request, keys: &mut ConditionKeys) {
        leading_keys(ctx, call, [(request.table_name.as_deref(), request.key.as_ref())], keys);
        let names = request.placeholders.expression_attribute_names.as_ref();
        Attributes::wanted_by(keys)
            .item(request.key.as_ref())
            .named(request.attribute_updates.iter().flat_map(|u| u.keys()))
            .named(request.expected.iter().flat_map(|e| e.keys()))
            .expression(request.update_expression.as_deref(), names)
            .expression(request.condition_expression.as_deref(), names)
            .set(keys);
        returns(request.return_values.as_deref(), request.return_consumed_capacity.as_deref(), keys);
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        table_arn(&call.scope, request.table_name.as_deref())
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<WriteAnswer, AwsError> {
        let texts = Texts {
            update: request.update_expression.as_deref(),
            condition: request.condition_expression.as_deref(),
            ..Texts::default()
        };
        let given = [
            ("AttributeUpdates", request.attribute_updates.is_some()),
            ("Expected", request.expected.is_some()),
            ("ConditionalOperator", request.conditional_operator.is_some()),
        ];
        let takes = [ExpressionKind::Update, ExpressionKind::Condition];
        let compiled = compile_all(&takes, &texts, &given, request.placeholders).map_err(enveloped)?;
        let expected =
            legacy::expected(request.expected, request.conditional_operator.as_deref()).map_err(enveloped)?;
        let update = match compiled.update {
            Some(update) => update,
            None => legacy::updates(request.attribute_updates).map_err(enveloped)?.unwrap_or_else(Update::default),
        };
        let key = shapes::item(request.key.unwrap_or_default()).map_err(enveloped)?;
        let table = data_table(ctx, call, request.table_name.as_deref()).await?;
        let key = PrimaryKey::from_key(&table.schema.key, &key).map_err(invalid)?;
        update.check_keys(&table.schema.key).map_err(invalid)?;
        let options = Options {
            return_values: request.return_values.as_deref(),
            return_on_failure: request.return_values_on_condition_check_failure.as_deref(),
            return_consumed: request.return_consumed_capacity.as_deref(),
            return_metrics: request.return_item_collection_metrics.as_deref(),
        };
        let action = WriteAction::Update { key: key.clone(), update };
        let write = new_write(action, compiled.condition.or(expected), &options);
        let done = send(ctx, call, &table, &key, write).await?;
        Ok(answer(&table, &key, &options, done))
    }
}
