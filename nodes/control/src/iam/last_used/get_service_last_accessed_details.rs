//! GetServiceLastAccessedDetails.

use super::entities::{self, Entity};
use super::{TRACKED_S, job};
use crate::iam::prelude::*;
use crate::usage::{self, LastUsed};
use breakwater_iam::SERVICES;

pub struct GetServiceLastAccessedDetails;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    job_id: Option<String>,
    #[serde(default, deserialize_with = "from_text")]
    max_items: Option<i64>,
    marker: Option<String>,
}

/// The last use by anybody, and by how many it was used.
#[derive(Default)]
struct Uses<'a> {
    last: Option<(&'a Entity, LastUsed)>,
    entities: usize,
    /// By the operation's name.
    operations: BTreeMap<String, (&'a Entity, LastUsed)>,
}

impl<'a> Uses<'a> {
    fn add(&mut self, entity: &'a Entity, last: LastUsed) {
        self.entities += 1;
        if self.last.as_ref().is_none_or(|(_, known)| known.unix_s < last.unix_s) {
            self.last = Some((entity, last));
        }
    }

    fn shape(self, namespace: &str, name: &str, with_operations: bool) -> Value {
        let mut shape = json!({"ServiceName": name, "ServiceNamespace": namespace});
        shape["TotalAuthenticatedEntities"] = self.entities.into();
        if let Some((entity, last)) = &self.last {
            shape["LastAuthenticated"] = shapes::time(last.unix_s).into();
            shape["LastAuthenticatedEntity"] = entity.arn.as_str().into();
            shape["LastAuthenticatedRegion"] = last.region.as_str().into();
        }
        if with_operations {
            let tracked = self.operations.iter().map(|(operation, (entity, last))| {
                json!({
                    "ActionName": operation,
                    "LastAccessedEntity": entity.arn,
                    "LastAccessedTime": shapes::time(last.unix_s),
                    "LastAccessedRegion": last.region,
                })
            });
            shape["TrackedActionsLastAccessed"] = tracked.collect();
        }
        shape
    }
}

impl Operation for GetServiceLastAccessedDetails {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetServiceLastAccessedDetails";
    const ACTION: &'static str = "iam:GetServiceLastAccessedDetails";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let max = check::max_items(request.max_items)?;
        let job = job::find(ctx, call, request.job_id.as_deref()).await?;
        let subject = entities::subject(ctx, call, &job.arn).await?;
        let since = ctx.now() - TRACKED_S;
        let mut uses: BTreeMap<String, Uses<'_>> = BTreeMap::new();
        for entity in &subject.entities {
            for last in ctx.services_last_used(call, &entity.id).await? {
                uses.entry(last.service.clone()).or_default().add(entity, last);
            }
            if !job.operations {
                continue;
            }
            let prefix = usage::operations(&call.principal.account, &entity.id);
            for (name, last) in ctx.all_with_names::<LastUsed>(call, &prefix).await? {
                let Some((_, operation)) = name.split_once('/').filter(|_| last.unix_s >= since) else { continue };
                let known = &mut uses.entry(last.service.clone()).or_default().operations;
                if known.get(operation).is_none_or(|(_, known)| known.unix_s < last.unix_s) {
                    known.insert(operation.to_owned(), (entity, last));
                }
            }
        }
        let open = SERVICES.into_iter().filter(|(space, _)| subject.policies.iter().any(|policy| policy.opens(space)));
        let all: Vec<(&str, Value)> = open
            .map(|(space, name)| (space, uses.remove(space).unwrap_or_default().shape(space, name, job.operations)))
            .collect();
        let page = store::page(all, |(space, _)| (*space).to_owned(), request.marker.as_deref(), max);
        let mut answer = page.into_json("ServicesLastAccessed", |(_, shape)| shape);
        if let (Value::Object(answer), Value::Object(head)) = (&mut answer, job::head(&job)) {
            answer.extend(head);
        }
        answer["JobType"] = if job.operations { "ACTION_LEVEL" } else { "SERVICE_LEVEL" }.into();
        Ok(answer)
    }
}
