//! CloudTrail: what calls have left behind, to be looked up, and delivered as files to where trails want them.

mod check;
mod context;
pub mod delivery;
mod errors;
pub mod exports;
mod lookup_events;
mod prelude;
mod selectors;
mod shapes;
mod tags;
mod trails;

pub use context::Context;

use breakwater_aws::{OperationEntry, Protocol, Service, entry};
use context::resource;

pub static SERVICE: Service<Context> = Service {
    name: "cloudtrail",
    global: false,
    target_prefix: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
    model_namespace: "",
    protocol: Protocol::AwsJson11,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[OperationEntry<Context>] = &[
    entry::<lookup_events::LookupEvents>(),
    entry::<tags::AddTags>(),
    entry::<tags::ListTags>(),
    entry::<tags::RemoveTags>(),
    entry::<selectors::GetEventSelectors>(),
    entry::<selectors::PutEventSelectors>(),
    entry::<trails::CreateTrail>(),
    entry::<trails::DeleteTrail>(),
    entry::<trails::DescribeTrails>(),
    entry::<trails::GetInsightSelectors>(),
    entry::<trails::GetTrail>(),
    entry::<trails::GetTrailStatus>(),
    entry::<trails::ListPublicKeys>(),
    entry::<trails::ListTrails>(),
    entry::<trails::StartLogging>(),
    entry::<trails::StopLogging>(),
    entry::<trails::UpdateTrail>(),
];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "CancelQuery",
    "CreateChannel",
    "CreateDashboard",
    "CreateEventDataStore",
    "DeleteChannel",
    "DeleteDashboard",
    "DeleteEventDataStore",
    "DeleteResourcePolicy",
    "DeregisterOrganizationDelegatedAdmin",
    "DescribeQuery",
    "DisableFederation",
    "EnableFederation",
    "GenerateQuery",
    "GetChannel",
    "GetDashboard",
    "GetEventConfiguration",
    "GetEventDataStore",
    "GetImport",
    "GetQueryResults",
    "GetResourcePolicy",
    "ListChannels",
    "ListDashboards",
    "ListEventDataStores",
    "ListImportFailures",
    "ListImports",
    "ListInsightsData",
    "ListInsightsMetricData",
    "ListQueries",
    "PutEventConfiguration",
    "PutInsightSelectors",
    "PutResourcePolicy",
    "RegisterOrganizationDelegatedAdmin",
    "RestoreEventDataStore",
    "SearchSampleQueries",
    "StartDashboardRefresh",
    "StartEventDataStoreIngestion",
    "StartImport",
    "StartQuery",
    "StopEventDataStoreIngestion",
    "StopImport",
    "UpdateChannel",
    "UpdateDashboard",
    "UpdateEventDataStore",
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
