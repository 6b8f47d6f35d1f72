//! What CreateTrail and UpdateTrail say of a trail.

use crate::cloudtrail::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Wanted {
    pub name: Option<String>,
    #[serde(rename = "S3BucketName")]
    bucket: Option<String>,
    #[serde(rename = "S3KeyPrefix")]
    prefix: Option<String>,
    sns_topic_name: Option<String>,
    include_global_service_events: Option<bool>,
    is_multi_region_trail: Option<bool>,
    enable_log_file_validation: Option<bool>,
    cloud_watch_logs_log_group_arn: Option<String>,
    cloud_watch_logs_role_arn: Option<String>,
    kms_key_id: Option<String>,
    is_organization_trail: Option<bool>,
}

impl Wanted {
    /// Writes it into a trail; what isn't said stays. From then on it wants other events, where they are others.
    pub fn apply(&self, trail: &mut Trail, from_ms: i64) -> Result<(), AwsError> {
        self.check_elsewhere()?;
        if let Some(bucket) = &self.bucket {
            check::bucket(bucket)?;
            trail.bucket.clone_from(bucket);
        }
        if self.prefix.is_some() {
            trail.prefix = check::prefix(self.prefix.as_deref())?;
        }
        let includes_global = self.include_global_service_events.unwrap_or(trail.wants.includes_global);
        trail.multi_region = self.is_multi_region_trail.unwrap_or(trail.multi_region);
        trail.validated = self.enable_log_file_validation.unwrap_or(trail.validated);
        if trail.multi_region && !includes_global {
            return Err(errors::combination("Multi-Region trail must include global service events."));
        }
        trail.want(Wants { includes_global, ..trail.wants.clone() }, from_ms);
        Ok(())
    }

    /// What of AWS a trail may name that this region doesn't have yet. Empty texts take away what was there.
    fn check_elsewhere(&self) -> Result<(), AwsError> {
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if is_given(&self.sns_topic_name) {
            let message = "SNS Topic does not exist or the topic policy is incorrect!";
            return Err(AwsError::client("InsufficientSnsTopicPolicyException", message));
        }
        if is_given(&self.cloud_watch_logs_role_arn) && !is_given(&self.cloud_watch_logs_log_group_arn) {
            return Err(errors::combination("You must specify a log group ARN together with the role ARN."));
        }
        if is_given(&self.cloud_watch_logs_log_group_arn) {
            let message = "CloudTrail cannot validate the specified log group ARN.";
            return Err(AwsError::client("InvalidCloudWatchLogsLogGroupArnException", message));
        }
        if is_given(&self.kms_key_id) {
            return Err(AwsError::client("KmsKeyNotFoundException", "The specified KMS key does not exist."));
        }
        if self.is_organization_trail == Some(true) {
            let message = "Your account is not a member of an organization.";
            return Err(AwsError::client("OrganizationsNotInUseException", message));
        }
        Ok(())
    }
}
