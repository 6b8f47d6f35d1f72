//! STS: who am I, and temporary credentials.

mod assume_role;
mod get_caller_identity;
mod get_session_token;
mod session;

use crate::iam::Context;
use breakwater_aws::{AwsError, Call, Identity, OperationEntry, Protocol, Service, entry};
use breakwater_iam::records::{Kind, User, key, read};

pub static SERVICE: Service<Context> = Service {
    name: "sts",
    global: true,
    target_prefix: "2011-06-15",
    model_namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    protocol: Protocol::Query,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[OperationEntry<Context>] = &[
    entry::<assume_role::AssumeRole>(),
    entry::<get_caller_identity::GetCallerIdentity>(),
    entry::<get_session_token::GetSessionToken>(),
];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "DecodeAuthorizationMessage",
    "GetAccessKeyInfo",
    "GetDelegatedAccessToken",
    "GetFederationToken",
    "GetWebIdentityToken",
];

/// `AIDA…`, `AROA…:session`, or the account's number.
fn user_id(ctx: &Context, call: &Call) -> Result<String, AwsError> {
    let principal = &call.principal;
    if let Some(session) = &principal.session {
        return Ok(session.user_id.clone());
    }
    let Identity::User(name) = &principal.identity else { return Ok(principal.account.to_string()) };
    let entry = ctx.mirror.get(&key(&principal.account, Kind::User, name));
    let user = entry.and_then(|entry| read::<User>(&entry.value).ok());
    // Her key was good a moment ago: the user was just deleted.
    let gone =
        || AwsError::framework("UnrecognizedClientException", "The security token included in the request is invalid.");
    Ok(user.ok_or_else(gone)?.id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_awss_model_is_done_or_named_as_missing() {
        match breakwater_aws::coverage::botocore_operations("sts") {
            Some(model) => breakwater_aws::coverage::compare(&super::SERVICE, &model).unwrap(),
            None => println!("skipped: no botocore on this machine"),
        }
    }
}
