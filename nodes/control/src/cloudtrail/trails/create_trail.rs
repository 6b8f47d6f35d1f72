//! CreateTrail.

use crate::cloudtrail::prelude::*;
use breakwater_aws::audit::new_id;

/// Of an account in a region.
const TRAILS_MAX: usize = 5;

pub struct CreateTrail;

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
    tags_list: Option<Vec<Tag>>,
}

impl Operation for CreateTrail {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "CreateTrail";
    const ACTION: &'static str = "cloudtrail:CreateTrail";
    const ACCESS: Access = Access::Write;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "trail";
    const CONDITION_KEYS: &'static [&'static str] = &["aws:RequestTag/${TagKey}", "aws:TagKeys"];

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        request_tags(keys, request.tags_list.as_deref());
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_trails()?;
        let name = request.name.as_deref().unwrap_or_default();
        check::name(name)?;
        let bucket = request.bucket.as_deref().unwrap_or_default();
        check::bucket(bucket)?;
        let prefix = check::prefix(request.prefix.as_deref())?;
        check::elsewhere(&check::Elsewhere {
            topic: request.sns_topic_name.as_deref(),
            log_group: request.cloud_watch_logs_log_group_arn.as_deref(),
            log_role: request.cloud_watch_logs_role_arn.as_deref(),
            key: request.kms_key_id.as_deref(),
            organization: request.is_organization_trail,
        })?;
        let multi_region = request.is_multi_region_trail.unwrap_or(false);
        let includes_global = request.include_global_service_events.unwrap_or(true);
        if multi_region && !includes_global {
            return Err(errors::combination("Multi-Region trail must include global service events."));
        }
        let mut tags = BTreeMap::new();
        check::add_tags(&mut tags, request.tags_list.as_deref().unwrap_or_default())?;
        let account = &call.principal.account;
        ctx.commit(call, || async {
            let trail = Trail {
                id: new_id(),
                account: account.clone(),
                name: name.to_owned(),
                bucket: bucket.to_owned(),
                prefix: prefix.clone(),
                includes_global,
                multi_region,
                validated: request.enable_log_file_validation.unwrap_or(false),
                created_unix_ms: ctx.clock.unix_ms(),
                logging: vec![],
                selectors: Default::default(),
                tags: tags.clone(),
            };
            let key = trails::key(account, name);
            let all: Vec<Trail> = ctx.store().all(call, &trails::prefix(account)).await?;
            if all.iter().any(|known| known.name == name) {
                return Err(errors::exists(name, account.as_str()));
            }
            if all.len() >= TRAILS_MAX {
                return Err(errors::too_many_trails(account.as_str(), TRAILS_MAX, call.scope.region.as_str()));
            }
            let answer = shapes::made(call, &trail);
            Ok(Change { compares: vec![Compare::Absent(key.clone())], ops: vec![put(key, &trail)?], answer })
        })
        .await
    }
}
