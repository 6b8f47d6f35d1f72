//! Our errors as AWS's.

use crate::router::RouteError;
use crate::rpc::PartitionError;
use breakwater_aws::AwsError;
use breakwater_items::json::WireItemRef;
use breakwater_meta::MetaError;

pub fn no_table() -> AwsError {
    AwsError::client("ResourceNotFoundException", "Requested resource not found")
}

pub fn no_such_table(name: &str) -> AwsError {
    AwsError::client("ResourceNotFoundException", format!("Requested resource not found: Table: {name} not found"))
}

pub fn invalid(message: impl std::fmt::Display) -> AwsError {
    AwsError::validation(message.to_string())
}

const ENVELOPE: &str = "1 validation error detected: ";

/// PutItem, UpdateItem and DeleteItem tell what is wrong with the request itself in the words of the framework. What
/// they find out only from the table stays bare.
/// (Measured at AWS by paritysuite/dynamodb-conformance, October 2026.)
pub fn enveloped(mut e: AwsError) -> AwsError {
    const ALONE: &str = "ExpressionAttributeValues can only be specified when using expressions";
    if e.code == "ValidationException" && !e.message.contains(" detected: ") {
        let text = if e.message.starts_with(ALONE) { ALONE } else { &*e.message };
        e.message = format!("{ENVELOPE}{text}").into();
    }
    e
}

pub fn from_meta(e: MetaError) -> AwsError {
    match e {
        MetaError::NotApplied(_) | MetaError::Unknown(_) => AwsError::internal(e),
        MetaError::Invalid(_) => AwsError::internal(e),
    }
}

pub fn from_partition(e: PartitionError) -> AwsError {
    match e {
        PartitionError::ConditionalCheckFailed { item } => {
            let error = AwsError::client("ConditionalCheckFailedException", "The conditional request failed");
            match item {
                None => error,
                Some(item) => match serde_json::to_value(WireItemRef(&item)) {
                    Ok(item) => error.with_extra("Item", item),
                    Err(e) => AwsError::internal(e),
                },
            }
        }
        PartitionError::Validation(message) => AwsError::validation(message),
        PartitionError::ItemCollectionSizeLimitExceeded => {
            AwsError::client("ItemCollectionSizeLimitExceededException", "Collection size exceeded.")
        }
        PartitionError::Throttled => AwsError::client(
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
             provisioning level with the UpdateTable API.",
        ),
        // The table was deleted, or recreated, meanwhile.
        PartitionError::WrongPartition => no_table(),
        PartitionError::NotLeader { .. }
        | PartitionError::NotApplied(_)
        | PartitionError::Unknown(_)
        | PartitionError::Stopped(_) => AwsError::internal(e),
    }
}

pub fn from_route(e: RouteError) -> AwsError {
    match e {
        RouteError::Partition(e) => from_partition(e),
        // Nothing was done: AWS's word for "try again".
        RouteError::Unavailable(why) => AwsError::unavailable(why),
        RouteError::Unknown(why) => AwsError::internal(format!("outcome unknown: {why}")),
    }
}
