//! GetServiceLastAccessedDetailsWithEntities: who used a service, the latest first.

use super::{entities, job};
use crate::iam::last_used::TRACKED_S;
use crate::iam::prelude::*;
use crate::usage::{self, LastUsed};

pub struct GetServiceLastAccessedDetailsWithEntities;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    job_id: Option<String>,
    service_namespace: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
    marker: Option<String>,
}

impl Operation for GetServiceLastAccessedDetailsWithEntities {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetServiceLastAccessedDetailsWithEntities";
    const ACTION: &'static str = "iam:GetServiceLastAccessedDetailsWithEntities";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let job = job::find(ctx, call, request.job_id.as_deref()).await?;
        let service = namespace(request.service_namespace.as_deref())?;
        let account = &call.principal.account;
        let since = ctx.now() - TRACKED_S;
        let mut all = Vec::new();
        for entity in entities::subject(ctx, call, &job.arn).await?.entities {
            let key = [&usage::services(account, &entity.id)[..], service.as_bytes()].concat();
            let last = ctx.find::<LastUsed>(call, key).await?.map(|found| found.record.unix_s);
            let last = last.filter(|last| *last >= since);
            let mut shape = json!({"EntityInfo": {
                "Arn": entity.arn, "Name": entity.name, "Type": entity.kind, "Id": entity.id, "Path": entity.path,
            }});
            if let Some(last) = last {
                shape["LastAuthenticated"] = shapes::time(last).into();
            }
            // The latest first; who never used it comes last.
            let order = format!("{:020} {}", i64::MAX - last.unwrap_or(0), entity.arn);
            all.push((order, shape));
        }
        let page = store::page(all, |(order, _)| order.clone(), request.marker.as_deref(), max);
        let mut answer = page.into_json("EntityDetailsList", |(_, shape)| shape);
        if let (Value::Object(answer), Value::Object(head)) = (&mut answer, job::head(&job)) {
            answer.extend(head);
        }
        Ok(answer)
    }
}

/// As `dynamodb`.
pub fn namespace(value: Option<&str>) -> Result<&str, AwsError> {
    let value = check::required(value, "serviceNamespace")?;
    let fits =
        (1..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        return Ok(value);
    }
    Err(check::constraint(value, "serviceNamespace", "Member must satisfy regular expression pattern: [\\w-]*"))
}
