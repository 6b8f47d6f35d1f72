//! Reports of last uses: what was asked, kept under a job's id. A report is made when it is read, of what is known then.

use crate::iam::prelude::*;
use breakwater_types::AccountId;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    /// Of the user, group, role or policy that it is about.
    pub arn: String,
    pub operations: bool,
    pub created_unix_s: i64,
    /// Who asked: nobody else may read it.
    pub by: String,
}

/// Kept for an account; the oldest go.
pub const JOBS_MAX: usize = 200;

pub fn prefix(account: &AccountId) -> Vec<u8> {
    format!("control/used/job/{account}/").into_bytes()
}

pub fn key(account: &AccountId, id: &str) -> Vec<u8> {
    [&prefix(account)[..], id.as_bytes()].concat()
}

/// The caller, or the role of her session.
pub fn asker(call: &Call) -> String {
    let role = call.principal.session.as_ref().and_then(|session| session.role.as_ref());
    role.map_or_else(|| call.principal.arn.clone(), |(_, arn)| arn.clone())
}

pub async fn find(ctx: &Context, call: &Call, id: Option<&str>) -> Result<Job, AwsError> {
    let id = check::required(id, "jobId")?;
    if id.len() != 36 {
        return Err(check::constraint(id, "jobId", "Member must have length between 36 and 36, inclusive"));
    }
    let found = ctx.find::<Job>(call, key(&call.principal.account, id)).await?.map(|found| found.record);
    found.filter(|job| job.by == asker(call)).ok_or_else(|| {
        AwsError::new("NoSuchEntity", 404, format!("Cannot find Service Last Accessed Details for JobId {id}"))
    })
}

/// The members that both kinds of answers begin with.
pub fn head(job: &Job) -> Value {
    let at = shapes::time(job.created_unix_s);
    json!({"JobStatus": "COMPLETED", "JobCreationDate": at, "JobCompletionDate": at})
}
