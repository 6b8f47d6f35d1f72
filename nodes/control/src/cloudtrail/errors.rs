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
