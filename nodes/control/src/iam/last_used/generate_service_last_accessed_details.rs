//! GenerateServiceLastAccessedDetails.

use super::entities;
use super::job::{self, JOBS_MAX, Job};
use crate::iam::prelude::*;
use breakwater_aws::audit;

pub struct GenerateServiceLastAccessedDetails;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {
    arn: Option<String>,
    granularity: Option<String>,
}

impl Operation for GenerateServiceLastAccessedDetails {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GenerateServiceLastAccessedDetails";
    const ACTION: &'static str = "iam:GenerateServiceLastAccessedDetails";
    const ACCESS: Access = Access::Read;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "user";

    fn resources(_ctx: &Context, _call: &Call, request: &Request) -> Vec<Arn> {
        vec![Arn::raw(request.arn.clone().unwrap_or_default())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, request: Request) -> Result<Value, AwsError> {
        let arn = check::required(request.arn.as_deref(), "arn")?;
        let operations = match request.granularity.as_deref() {
            None | Some("SERVICE_LEVEL") => false,
            Some("ACTION_LEVEL") => true,
            Some(other) => {
                let words = "Member must satisfy enum value set: [SERVICE_LEVEL, ACTION_LEVEL]";
                return Err(check::constraint(other, "granularity", words));
            }
        };
        // What isn't there has no report.
        entities::subject(ctx, call, arn).await?;
        let account = &call.principal.account;
        let job = Job {
            id: audit::uuid(audit::new_id()),
            arn: arn.to_owned(),
            operations,
            created_unix_s: ctx.now(),
            by: job::asker(call),
        };
        let (answer, _) = ctx
            .commit(call, || async {
                let mut before: Vec<Job> = ctx.all(call, &job::prefix(account)).await?;
                before.sort_by_key(|job| job.created_unix_s);
                let over = (before.len() + 1).saturating_sub(JOBS_MAX);
                let old = before.iter().take(over).map(|job| Op::Delete { key: job::key(account, &job.id) });
                let mut ops: Vec<Op> = old.collect();
                ops.push(put(job::key(account, &job.id), &job)?);
                Ok(Change { compares: Vec::new(), ops, answer: json!({"JobId": job.id}) })
            })
            .await?;
        Ok(answer)
    }
}
