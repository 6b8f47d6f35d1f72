//! DynamoDB's operations, one a file, and the list from which everything else is derived.

mod batch_get_item;
mod batch_write_item;
mod conditions;
mod create_table;
mod delete_item;
mod delete_table;
mod describe_endpoints;
mod describe_limits;
mod describe_table;
mod errors;
mod expressions;
mod get_item;
mod legacy;
mod list_tables;
mod list_tags_of_resource;
mod put_item;
mod query;
mod read;
mod scan;
mod shapes;
mod tag_resource;
mod untag_resource;
mod update_item;
mod update_table;
mod validate;
mod write;

use crate::node::Context;
use breakwater_aws::{Protocol, Service, entry};

pub static SERVICE: Service<Context> = Service {
    name: "dynamodb",
    global: false,
    target_prefix: "DynamoDB_20120810",
    model_namespace: "com.amazonaws.dynamodb.v20120810",
    protocol: Protocol::AwsJson10,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[breakwater_aws::OperationEntry<Context>] = &[
    entry::<batch_get_item::BatchGetItem>(),
    entry::<batch_write_item::BatchWriteItem>(),
    entry::<create_table::CreateTable>(),
    entry::<delete_item::DeleteItem>(),
    entry::<delete_table::DeleteTable>(),
    entry::<describe_endpoints::DescribeEndpoints>(),
    entry::<describe_limits::DescribeLimits>(),
    entry::<describe_table::DescribeTable>(),
    entry::<get_item::GetItem>(),
    entry::<list_tables::ListTables>(),
    entry::<list_tags_of_resource::ListTagsOfResource>(),
    entry::<put_item::PutItem>(),
    entry::<query::Query>(),
    entry::<scan::Scan>(),
    entry::<tag_resource::TagResource>(),
    entry::<untag_resource::UntagResource>(),
    entry::<update_item::UpdateItem>(),
    entry::<update_table::UpdateTable>(),
];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "BatchExecuteStatement",
    "CreateBackup",
    "CreateGlobalTable",
    "DeleteBackup",
    "DeleteResourcePolicy",
    "DescribeBackup",
    "DescribeContinuousBackups",
    "DescribeContributorInsights",
    "DescribeExport",
    "DescribeGlobalTable",
    "DescribeGlobalTableSettings",
    "DescribeImport",
    "DescribeKinesisStreamingDestination",
    "DescribeTableReplicaAutoScaling",
    "DescribeTimeToLive",
    "DisableKinesisStreamingDestination",
    "EnableKinesisStreamingDestination",
    "ExecuteStatement",
    "ExecuteTransaction",
    "ExportTableToPointInTime",
    "GetResourcePolicy",
    "ImportTable",
    "ListBackups",
    "ListContributorInsights",
    "ListExports",
    "ListGlobalTables",
    "ListImports",
    "PutResourcePolicy",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateContinuousBackups",
    "UpdateContributorInsights",
    "UpdateGlobalTable",
    "UpdateGlobalTableSettings",
    "UpdateKinesisStreamingDestination",
    "UpdateTableReplicaAutoScaling",
    "UpdateTimeToLive",
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_awss_model_is_done_or_named_as_missing() {
        match breakwater_aws::coverage::botocore_operations("dynamodb") {
            Some(model) => breakwater_aws::coverage::compare(&super::SERVICE, &model).unwrap(),
            None => println!("skipped: no botocore on this machine"),
        }
    }
}
