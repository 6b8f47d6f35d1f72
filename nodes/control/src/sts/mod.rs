//! STS: who am I, and temporary credentials.

mod assume_role;
mod assume_role_with_saml;
mod assume_role_with_web_identity;
mod decode_authorization_message;
mod federated;
mod get_access_key_info;
mod get_caller_identity;
mod get_federation_token;
mod get_session_token;
pub mod issuers;
mod session;
mod target;

use crate::iam::Context;
use breakwater_aws::{AwsError, Call, Identity, OperationEntry, Protocol, Service, entry};
use breakwater_federation::Refused;
use breakwater_iam::records::{Kind, Role, User, key, read};
use std::borrow::Cow;

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
    entry::<assume_role_with_saml::AssumeRoleWithSaml>(),
    entry::<assume_role_with_web_identity::AssumeRoleWithWebIdentity>(),
    entry::<decode_authorization_message::DecodeAuthorizationMessage>(),
    entry::<get_access_key_info::GetAccessKeyInfo>(),
    entry::<get_caller_identity::GetCallerIdentity>(),
    entry::<get_federation_token::GetFederationToken>(),
    entry::<get_session_token::GetSessionToken>(),
];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &["AssumeRoot", "GetDelegatedAccessToken", "GetWebIdentityToken"];

/// What an identity provider is said to have said isn't believed.
fn invalid_token(message: impl Into<Cow<'static, str>>) -> AwsError {
    AwsError::new("InvalidIdentityToken", 400, message)
}

fn token_refused(refused: Refused) -> AwsError {
    match refused {
        Refused::Invalid(message) => invalid_token(message),
        Refused::Rejected(message) => AwsError::new("IDPRejectedClaim", 403, message),
        Refused::Expired(message) => AwsError::new("ExpiredTokenException", 400, message),
        Refused::UnknownKey => invalid_token(
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity \
             documentation for requirements",
        ),
    }
}

/// As the guard refuses who has no credentials: the role's trust is nobody's business who isn't trusted.
fn denied(action: &str) -> AwsError {
    AwsError::new("AccessDenied", 403, format!("Not authorized to perform {action}"))
}

/// `AIDA…`, `AROA…:session`, or the account's number.
fn user_id(ctx: &Context, call: &Call) -> Result<String, AwsError> {
    let principal = &call.principal;
    let of = |kind, name: &str| ctx.mirror.get(&key(&principal.account, kind, name));
    let id = match &principal.identity {
        Identity::Federated(_) => Some(principal.account.to_string()),
        Identity::Anonymous => None,
        Identity::Root => Some(principal.account.to_string()),
        Identity::User(name) => of(Kind::User, name).and_then(|e| read::<User>(&e.value).ok()).map(|user| user.id),
        Identity::Role(name) => of(Kind::Role, name).and_then(|e| read::<Role>(&e.value).ok()).map(|role| role.id),
    };
    // What is made anew under the same name is another one.
    let renamed = |session: &breakwater_aws::Session| {
        ctx.mirror.get(&breakwater_iam::records::renamed_key(&principal.account, &session.user_id)).is_some()
    };
    match (id, &principal.session) {
        (_, Some(session)) if session.role.is_none() && renamed(session) => Ok(session.user_id.clone()),
        (Some(id), Some(session)) if session.user_id.split(':').next() == Some(&id) => Ok(session.user_id.clone()),
        (Some(id), None) => Ok(id),
        (None, _) | (Some(_), Some(_)) => Err(AwsError::invalid_token()),
    }
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
