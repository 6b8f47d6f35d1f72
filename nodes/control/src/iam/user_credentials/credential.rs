//! What the kinds of credentials have in common.

use crate::iam::prelude::*;
use crate::iam::store::Found;
use breakwater_types::AccountId;
use serde::de::DeserializeOwned;

/// Names of the operations on one kind, and where its parts are.
pub trait UserCredential: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Under which its records stand.
    const WORD: &'static str;
    /// Names and actions, in the order: list, update, delete.
    const OPERATIONS: [(&'static str, &'static str); 3];
    /// The member of a list's answer.
    const LIST: &'static str;
    fn id(&self) -> &str;
    fn set_active(&mut self, active: bool);
    fn no_such(id: &str) -> AwsError;
    /// The request's own name of it.
    fn asked(names: &Names) -> Result<&str, AwsError>;
    /// As a list has it.
    fn shape(&self, user: &str) -> Value;
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Names {
    pub user_name: Option<String>,
    pub certificate_id: Option<String>,
    #[serde(rename = "SSHPublicKeyId")]
    pub ssh_public_key_id: Option<String>,
    pub service_specific_credential_id: Option<String>,
}

/// Of the whole account.
pub fn prefix<C: UserCredential>(account: &AccountId) -> Vec<u8> {
    format!("control/{}/{account}/", C::WORD).into_bytes()
}

pub fn user_prefix<C: UserCredential>(account: &AccountId, user_id: &str) -> Vec<u8> {
    [&prefix::<C>(account)[..], format!("{user_id}/").as_bytes()].concat()
}

pub fn key<C: UserCredential>(account: &AccountId, user_id: &str, id: &str) -> Vec<u8> {
    [&user_prefix::<C>(account, user_id)[..], id.as_bytes()].concat()
}

pub async fn of_user<C: UserCredential>(ctx: &Context, call: &Call, user_id: &str) -> Result<Vec<C>, AwsError> {
    ctx.all(call, &user_prefix::<C>(&call.principal.account, user_id)).await
}

/// The user whom a request names or who calls, and one credential of hers.
pub async fn find<C: UserCredential>(
    ctx: &Context,
    call: &Call,
    names: &Names,
) -> Result<(Found<User>, Found<C>), AwsError> {
    let user = user(ctx, call, names.user_name.as_deref()).await?;
    let id = C::asked(names)?;
    let found = ctx.find::<C>(call, key::<C>(&call.principal.account, &user.record.id, id)).await?;
    Ok((user, found.ok_or_else(|| C::no_such(id))?))
}

pub async fn user(ctx: &Context, call: &Call, name: Option<&str>) -> Result<Found<User>, AwsError> {
    let name = user_or_caller(call, name, 128)?;
    ctx.named::<User>(call, Kind::User, name).await
}

/// Writes one more. The user is written too: whoever deletes her meanwhile, or adds another, looks again.
pub fn added<C: UserCredential>(
    call: &Call,
    user: &Found<User>,
    credential: &C,
    answer: Value,
) -> Result<Change<Value>, AwsError> {
    let key = key::<C>(&call.principal.account, &user.record.id, credential.id());
    let ops = vec![user.put()?, put(key, credential)?];
    Ok(Change { compares: vec![user.unchanged()], ops, answer })
}

pub fn status(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

/// What AWS takes for an id of this kind.
pub fn id<'a>(value: Option<&'a str>, at: &str, least: usize) -> Result<&'a str, AwsError> {
    let value = check::required(value, at)?;
    let fits = value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && (least..=128).contains(&value.len()) {
        return Ok(value);
    }
    let words = format!("Member must have length between {least} and 128, inclusive");
    Err(check::constraint(value, at, &words))
}
