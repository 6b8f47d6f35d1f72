//! UpdateTrail.

use crate::cloudtrail::prelude::*;

pub struct UpdateTrail;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    name: Option<String>,
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

impl Operation for UpdateTrail {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "UpdateTrail";
    const ACTION: &'static str = "cloudtrail:UpdateTrail";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        if let Some(bucket) = &request.bucket {
            check::bucket(bucket)?;
        }
        let prefix = check::prefix(request.prefix.as_deref())?;
        check::elsewhere(&check::Elsewhere {
            topic: request.sns_topic_name.as_deref(),
            log_group: request.cloud_watch_logs_log_group_arn.as_deref(),
            log_role: request.cloud_watch_logs_role_arn.as_deref(),
            key: request.kms_key_id.as_deref(),
            organization: request.is_organization_trail,
        })?;
        ctx.change_trail(call, request.name.as_deref(), |trail| {
            if let Some(bucket) = &request.bucket {
                trail.bucket.clone_from(bucket);
            }
            if request.prefix.is_some() {
                trail.prefix.clone_from(&prefix);
            }
            trail.includes_global = request.include_global_service_events.unwrap_or(trail.includes_global);
            trail.multi_region = request.is_multi_region_trail.unwrap_or(trail.multi_region);
            trail.validated = request.enable_log_file_validation.unwrap_or(trail.validated);
            if trail.multi_region && !trail.includes_global {
                return Err(errors::combination("Multi-Region trail must include global service events."));
            }
            Ok(shapes::made(call, trail))
        })
        .await
    }
}
