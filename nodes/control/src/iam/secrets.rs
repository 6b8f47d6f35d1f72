//! Secrets of access keys: in the control store, where only control nodes read. Those of inactive keys lie apart, so that
//! nobody derives signing keys from them.

use super::errors;
use super::store::{Change, Context};
use crate::credentials;
use breakwater_aws::{AwsError, Call};
use breakwater_meta::{Compare, Op};
use breakwater_types::AccountId;
use zeroize::Zeroizing;

const INACTIVE: &[u8] = b"control/inactive-access-key/";

/// Forty signs.
pub fn new_secret() -> Zeroizing<String> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let random: Zeroizing<[u8; 40]> = Zeroizing::new(rand::random());
    Zeroizing::new(random.iter().map(|b| char::from(SIGNS[usize::from(*b & 63)])).collect())
}

fn active(id: &str) -> Vec<u8> {
    [credentials::PREFIX, id.as_bytes()].concat()
}

fn inactive(id: &str) -> Vec<u8> {
    [INACTIVE, id.as_bytes()].concat()
}

pub fn put(id: &str, secret: &str, account: &AccountId, arn: &str) -> Result<Op, AwsError> {
    let value = credentials::stored(id, secret, account, arn).map_err(AwsError::internal)?;
    Ok(Op::put(active(id), value))
}

pub fn delete(id: &str) -> [Op; 2] {
    [Op::Delete { key: active(id) }, Op::Delete { key: inactive(id) }]
}

/// Whose account a key belongs to, active or not; None where there is no such key.
pub async fn account_of(ctx: &Context, call: &Call, id: &str) -> Result<Option<AccountId>, AwsError> {
    for key in [active(id), inactive(id)] {
        let entry = ctx.meta.get(&key, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
        if let Some(entry) = entry {
            return credentials::account_of(&entry.value).map(Some).map_err(AwsError::internal);
        }
    }
    Ok(None)
}

/// Makes a key active or inactive.
pub async fn switch(ctx: &Context, call: &Call, id: &str, to_active: bool) -> Result<Change<()>, AwsError> {
    let (from, to) = if to_active { (inactive(id), active(id)) } else { (active(id), inactive(id)) };
    let entry = ctx.meta.get(&from, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
    let entry = entry.ok_or_else(|| no_such_key(id))?;
    Ok(Change {
        compares: vec![Compare::ModRevision(from.clone(), entry.mod_revision)],
        ops: vec![Op::Delete { key: from }, Op::put(to, entry.value.to_vec())],
        answer: (),
    })
}

/// Gives a key to the same user under another ARN.
pub async fn of_user(ctx: &Context, call: &Call, id: &str, is_active: bool, arn: &str) -> Result<Change<()>, AwsError> {
    let key = if is_active { active(id) } else { inactive(id) };
    let entry = ctx.meta.get(&key, call.deadline).await.map_err(|e| errors::unavailable(&e.to_string()))?;
    let entry = entry.ok_or_else(|| no_such_key(id))?;
    let value = credentials::with_arn(&entry.value, arn).map_err(AwsError::internal)?;
    Ok(Change {
        compares: vec![Compare::ModRevision(key.clone(), entry.mod_revision)],
        ops: vec![Op::put(key, value)],
        answer: (),
    })
}

pub fn no_such_key(id: &str) -> AwsError {
    AwsError::new("NoSuchEntity", 404, format!("The Access Key with id {id} cannot be found."))
}

#[cfg(test)]
mod tests {
    #[test]
    fn secrets_are_of_forty_signs_and_differ() {
        let (a, b) = (super::new_secret(), super::new_secret());
        assert!(a.len() == 40 && *a != *b);
    }
}
