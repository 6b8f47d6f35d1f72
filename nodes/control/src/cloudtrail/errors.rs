//! CloudTrail's errors.

use breakwater_aws::AwsError;

pub fn attributes(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidLookupAttributesException", message.into())
}

pub fn time_range() -> AwsError {
    AwsError::client("InvalidTimeRangeException", "The start time must be before or equal to the end time.")
}

pub fn max_results() -> AwsError {
    AwsError::client("InvalidMaxResultsException", "The value for MaxResults must be between 1 and 50.")
}

pub fn next_token() -> AwsError {
    AwsError::client("InvalidNextTokenException", "The token is not valid, or the request differs from the one before.")
}

pub fn category(given: &str) -> AwsError {
    AwsError::client("InvalidEventCategoryException", format!("{given} is not a valid event category."))
}

pub fn not_found(arn: &str, account: &str) -> AwsError {
    AwsError::client("TrailNotFoundException", format!("Unknown trail: {arn} for the user: {account}"))
}

pub fn exists(name: &str, account: &str) -> AwsError {
    AwsError::client("TrailAlreadyExistsException", format!("Trail {name} already exists for customer: {account}"))
}

pub fn too_many_trails(account: &str, most: usize, region: &str) -> AwsError {
    let message = format!("User: {account} already has {most} trails in {region}.");
    AwsError::client("MaximumNumberOfTrailsExceededException", message)
}

pub fn trail_name(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidTrailNameException", message.into())
}

pub fn arn(given: &str) -> AwsError {
    AwsError::client("CloudTrailARNInvalidException", format!("The ARN {given:.300} is not valid."))
}

pub fn home_region(region: &str) -> AwsError {
    let message = format!("The trail was created in another Region than {region}: call it there.");
    AwsError::client("InvalidHomeRegionException", message)
}

pub fn bucket_name(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidS3BucketNameException", message.into())
}

pub fn prefix(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidS3PrefixException", message.into())
}

pub fn combination(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterCombinationException", message.into())
}

pub fn selectors(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidEventSelectorsException", message.into())
}

pub fn throttled(message: impl Into<String>) -> AwsError {
    AwsError::client("ThrottlingException", message.into())
}

pub fn tag(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidTagParameterException", message.into())
}

pub fn too_many_tags(most: usize) -> AwsError {
    AwsError::client("TagsLimitExceededException", format!("A trail can have {most} tags at most."))
}

pub fn resource_not_found(arn: &str) -> AwsError {
    AwsError::client("ResourceNotFoundException", format!("The resource {arn} is not found."))
}

pub fn no_insights(arn: &str) -> AwsError {
    AwsError::client("InsightNotEnabledException", format!("Trail {arn} does not have Insights enabled."))
}

/// Others changed the same all the time.
pub fn conflict() -> AwsError {
    AwsError::client("ConflictException", "The trail is being changed by another operation. Try again later.")
}
