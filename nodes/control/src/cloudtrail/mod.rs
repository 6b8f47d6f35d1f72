//! CloudTrail: what management calls have left behind.

mod errors;
mod lookup_events;

use breakwater_audit::AuditService;
use breakwater_aws::{OperationEntry, Protocol, Service, entry};
use breakwater_types::SharedClock;
use std::sync::Arc;

pub struct Context {
    pub audit: Arc<AuditService>,
    pub clock: SharedClock,
}

pub static SERVICE: Service<Context> = Service {
    name: "cloudtrail",
    global: false,
    target_prefix: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    model_namespace: "",
    protocol: Protocol::AwsJson11,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[OperationEntry<Context>] = &[entry::<lookup_events::LookupEvents>()];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "AddTags",
    "CancelQuery",
    "CreateChannel",
    "CreateDashboard",
    "CreateEventDataStore",
    "CreateTrail",
    "DeleteChannel",
    "DeleteDashboard",
    "DeleteEventDataStore",
    "DeleteResourcePolicy",
    "DeleteTrail",
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeQuery",
    "DescribeTrails",
    "DisableFederation",
    "EnableFederation",
    "GenerateQuery",
    "GetChannel",
    "GetDashboard",
    "GetEventConfiguration",
    "GetEventDataStore",
    "GetEventSelectors",
    "GetImport",
    "GetInsightSelectors",
    "GetQueryResults",
    "GetResourcePolicy",
    "GetTrail",
    "GetTrailStatus",
    "ListChannels",
    "ListDashboards",
    "ListEventDataStores",
    "ListImportFailures",
    "ListImports",
    "ListInsightsData",
    "ListInsightsMetricData",
    "ListPublicKeys",
    "ListQueries",
    "ListTags",
    "ListTrails",
    "PutEventConfiguration",
    "PutEventSelectors",
    "PutInsightSelectors",
    "PutResourcePolicy",
    "RegisterOrganizationDelegatedAdmin",
    "RemoveTags",
    "RestoreEventDataStore",
    "SearchSampleQueries",
    "StartDashboardRefresh",
    "StartEventDataStoreIngestion",
    "StartImport",
    "StartLogging",
    "StartQuery",
    "StopEventDataStoreIngestion",
    "StopImport",
    "StopLogging",
    "UpdateChannel",
    "UpdateDashboard",
    "UpdateEventDataStore",
    "UpdateTrail",
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_awss_model_is_done_or_named_as_missing() {
        match breakwater_aws::coverage::botocore_operations("cloudtrail") {
            Some(model) => breakwater_aws::coverage::compare(&super::SERVICE, &model).unwrap(),
            None => println!("skipped: no botocore on this machine"),
        }
    }
}
