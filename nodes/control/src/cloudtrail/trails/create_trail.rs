//! CreateTrail.

use super::wanted::Wanted;
use crate::cloudtrail::prelude::*;
use breakwater_aws::audit::new_id;

/// Of an account in a region.
const TRAILS_MAX: usize = 5;

pub struct CreateTrail;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    #[serde(flatten)]
    trail: Wanted,
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
    const FURTHER_ACTIONS: &'static [&'static str] = &["cloudtrail:AddTags"];

    fn validate(_call: &Call, request: &Request) -> Result<(), AwsError> {
        check::tags(request.tags_list.as_deref().unwrap_or_default())
    }

    fn conditions(_ctx: &Context, _call: &Call, request: &Request, keys: &mut ConditionKeys) {
        request_tags(keys, request.tags_list.as_deref());
    }

    fn further_actions(request: &Request) -> Vec<&'static str> {
        tagging("cloudtrail:AddTags", request.tags_list.as_deref())
    }

    fn resources(_ctx: &Context, call: &Call, request: &Request) -> Vec<Arn> {
        vec![crate::cloudtrail::resource(call, request.trail.name.as_deref())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        ctx.needs_trails()?;
        let name = request.trail.name.as_deref().unwrap_or_default();
        check::name(name)?;
        let account = &call.principal.account;
        let mut trail = Trail::new(new_id(), account.clone(), name, ctx.clock.unix_ms());
        request.trail.apply(&mut trail, call.received_unix_ms)?;
        // There is none without a bucket.
        check::bucket(&trail.bucket)?;
        check::add_tags(&mut trail.tags, request.tags_list.as_deref().unwrap_or_default())?;
        ctx.commit(call, || async {
            let key = trails::key(account, name);
            let latest = trails::latest_key(account);
            let before = ctx.store().find::<u128>(call, latest.clone()).await?;
            let unchanged = Compare::ModRevision(latest.clone(), before.map_or(0, |before| before.revision));
            let all: Vec<Trail> = ctx.store().all(call, &trails::prefix(account)).await?;
            if all.iter().any(|known| known.name == name) {
                return Err(errors::exists(name, account.as_str()));
            }
            if all.len() >= TRAILS_MAX {
                return Err(errors::too_many_trails(account.as_str(), TRAILS_MAX, call.scope.region.as_str()));
            }
            let ops = vec![put(key.clone(), &trail)?, put(latest, &trail.id)?];
            let answer = shapes::made(call, &trail);
            Ok(Change { compares: vec![unchanged, Compare::Absent(key)], ops, answer })
        })
        .await
    }
}
