//! What the front door costs without authentication and authorization, for one benchmark. An installed binary doesn't
//! compile where this is on.

use crate::arn::Arn;
use crate::authorize::{About, Authorizer};
use crate::call::{Call, Identity, Principal};
use crate::error::AwsError;
use breakwater_types::AccountId;
use std::sync::Arc;

/// Whether this was built to check nothing.
pub const UNCHECKED: bool = cfg!(feature = "unchecked");

/// Says yes.
pub struct Unguarded;

impl Authorizer for Unguarded {
    fn authorize(&self, _: &Call, _: &'static str, _: &Arn, _: &About<'_>) -> Result<(), AwsError> {
        Ok(())
    }
}

/// Whom everybody is taken for.
pub fn anybody(account: &AccountId) -> Arc<Principal> {
    Arc::new(Principal {
        access_key_id: "UNCHECKED".to_owned(),
        account: account.clone(),
        arn: format!("arn:aws:iam::{account}:root"),
        identity: Identity::Root,
        session: None,
    })
}
