//! Deletions: what was asked for, and how it ended.

use crate::iam::prelude::*;
use breakwater_types::AccountId;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// `task/aws-service-role/SERVICE/ROLE/UUID`.
    pub id: String,
    pub asked_unix_s: i64,
}

/// Kept for an account; the oldest go.
const TASKS_MAX: usize = 200;

fn prefix(account: &AccountId) -> Vec<u8> {
    format!("control/role-deletion/{account}/").into_bytes()
}

/// By the UUID at its end.
pub fn key(account: &AccountId, id: &str) -> Vec<u8> {
    [&prefix(account)[..], id.rsplit('/').next().unwrap_or_default().as_bytes()].concat()
}

/// Remembers one, and forgets the oldest beyond the bound.
pub async fn remember(ctx: &Context, call: &Call, task: &Task) -> Result<Vec<Op>, AwsError> {
    let account = &call.principal.account;
    let mut before: Vec<Task> = ctx.all(call, &prefix(account)).await?;
    before.sort_by_key(|task| task.asked_unix_s);
    let over = (before.len() + 1).saturating_sub(TASKS_MAX);
    let mut ops: Vec<Op> = before.iter().take(over).map(|old| Op::Delete { key: key(account, &old.id) }).collect();
    ops.push(put(key(account, &task.id), task)?);
    Ok(ops)
}
