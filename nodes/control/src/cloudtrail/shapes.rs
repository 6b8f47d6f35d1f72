//! Trails as CloudTrail's answers show them.

use breakwater_audit::trails::{Selectors, Trail};
use breakwater_aws::Call;
use breakwater_types::Scope;
use serde_json::{Value, json};

pub fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("cloudtrail", &format!("trail/{name}"))
}

/// As CreateTrail and UpdateTrail answer.
pub fn made(call: &Call, trail: &Trail) -> Value {
    let mut shape = json!({
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "IncludeGlobalServiceEvents": trail.wants.includes_global,
        "IsMultiRegionTrail": trail.multi_region,
        "TrailARN": arn(&call.scope, &trail.name),
        "LogFileValidationEnabled": trail.validated,
        "IsOrganizationTrail": false,
    });
    if let Some(prefix) = &trail.prefix {
        shape["S3KeyPrefix"] = prefix.as_str().into();
    }
    shape
}

/// As GetTrail and DescribeTrails answer.
pub fn described(call: &Call, trail: &Trail) -> Value {
    let mut shape = made(call, trail);
    shape["HomeRegion"] = call.scope.region.as_str().into();
    shape["HasCustomEventSelectors"] = (trail.wants.selectors != Selectors::default()).into();
    shape["HasInsightSelectors"] = false.into();
    shape
}
