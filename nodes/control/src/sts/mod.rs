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
    use super::*;
    use breakwater_aws::Operation;
    use serde::Deserialize;
    use serde::de::value::Error;
    use serde::de::{Deserializer, Error as _, Visitor};
    use std::collections::{BTreeMap, BTreeSet};
    use std::process::Command;

    /// What a request is asked for while it is read.
    struct Members<'a>(&'a mut BTreeSet<String>);

    impl<'de> Deserializer<'de> for Members<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("no struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(fields.iter().map(|field| (*field).to_owned()));
            Err(Error::custom("seen"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn members<'de, O: Operation>() -> (String, BTreeSet<String>)
    where
        O::Request: Deserialize<'de>,
    {
        let mut members = BTreeSet::new();
        assert!(O::Request::deserialize(Members(&mut members)).is_err());
        (O::NAME.to_owned(), members)
    }

    fn model() -> Option<BTreeMap<String, BTreeSet<String>>> {
        const SCRIPT: &str = "import json, botocore.session\n\
            m = botocore.session.get_session().get_service_model('sts')\n\
            shapes = [(n, m.operation_model(n).input_shape) for n in m.operation_names]\n\
            print(json.dumps({n: list(s.members) if s else [] for n, s in shapes}))";
        let output = Command::new("python3").args(["-c", SCRIPT]).output().ok()?;
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// A request's `ProvidedContexts` was ignored: its session was not bound by them.
    #[test]
    fn no_member_of_a_request_is_ignored() {
        let ours = BTreeMap::from([
            members::<assume_role::AssumeRole>(),
            members::<assume_role_with_saml::AssumeRoleWithSaml>(),
            members::<assume_role_with_web_identity::AssumeRoleWithWebIdentity>(),
            members::<decode_authorization_message::DecodeAuthorizationMessage>(),
            members::<get_access_key_info::GetAccessKeyInfo>(),
            members::<get_caller_identity::GetCallerIdentity>(),
            members::<get_federation_token::GetFederationToken>(),
            members::<get_session_token::GetSessionToken>(),
        ]);
        assert_eq!(ours.len(), OPERATIONS.len());
        let Some(mut model) = model() else { return println!("skipped: no botocore on this machine") };
        model.retain(|name, _| !MISSING.contains(&name.as_str()));
        assert_eq!(ours, model);
    }

    #[test]
    fn every_operation_of_awss_model_is_done_or_named_as_missing() {
        match breakwater_aws::coverage::botocore_operations("sts") {
            Some(model) => breakwater_aws::coverage::compare(&SERVICE, &model).unwrap(),
            None => println!("skipped: no botocore on this machine"),
        }
    }
}
