//! IAM: users, groups, access keys and policies, kept in the control store. Who may do what is decided by
//! `breakwater_iam::Guard` on every node, from a mirror of what is written here.

mod access_keys;
mod account;
mod attach;
pub(crate) mod check;
mod credential_report;
mod entity_policies;
pub(crate) mod errors;
mod groups;
mod instance_profiles;
mod last_used;
pub(crate) mod mfa;
mod oidc_providers;
pub(crate) mod passwords;
mod pem;
mod policies;
mod prelude;
pub(crate) mod roles;
pub(crate) mod saml_providers;
pub(crate) mod secrets;
mod server_certificates;
mod service_linked_roles;
pub(crate) mod shapes;
mod simulation;
pub(crate) mod store;
mod tagging;
mod usage;
mod user_credentials;
mod users;

pub use shapes::{key_id, unique_id};
pub use store::Context;

use breakwater_aws::{Arn, AwsError, Call, ConditionKeys, Identity, OperationEntry, Protocol, Service, entry};
use breakwater_iam::records::{self, Kind, ManagedPolicy, User};
use store::Found;

pub static SERVICE: Service<Context> = Service {
    name: "iam",
    global: true,
    target_prefix: "2010-05-08",
    model_namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    protocol: Protocol::Query,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[OperationEntry<Context>] = &[
    entry::<entity_policies::AttachPolicy<entity_policies::OfRole>>(),
    entry::<roles::CreateRole>(),
    entry::<roles::DeleteRole>(),
    entry::<roles::DeleteRolePermissionsBoundary>(),
    entry::<entity_policies::DeleteInline<entity_policies::OfRole>>(),
    entry::<entity_policies::Detach<entity_policies::OfRole>>(),
    entry::<roles::GetRole>(),
    entry::<entity_policies::GetInline<entity_policies::OfRole>>(),
    entry::<entity_policies::ListAttached<entity_policies::OfRole>>(),
    entry::<entity_policies::ListInline<entity_policies::OfRole>>(),
    entry::<tagging::ListTags<tagging::OfRole>>(),
    entry::<roles::ListRoles>(),
    entry::<roles::PutRolePermissionsBoundary>(),
    entry::<entity_policies::PutInline<entity_policies::OfRole>>(),
    entry::<tagging::TagResource<tagging::OfRole>>(),
    entry::<tagging::UntagResource<tagging::OfRole>>(),
    entry::<roles::UpdateAssumeRolePolicy>(),
    entry::<roles::UpdateRole>(),
    entry::<groups::AddUserToGroup>(),
    entry::<entity_policies::AttachPolicy<entity_policies::OfGroup>>(),
    entry::<entity_policies::AttachPolicy<entity_policies::OfUser>>(),
    entry::<access_keys::CreateAccessKey>(),
    entry::<groups::CreateGroup>(),
    entry::<policies::CreatePolicy>(),
    entry::<policies::CreatePolicyVersion>(),
    entry::<users::CreateUser>(),
    entry::<access_keys::DeleteAccessKey>(),
    entry::<groups::DeleteGroup>(),
    entry::<entity_policies::DeleteInline<entity_policies::OfGroup>>(),
    entry::<policies::DeletePolicy>(),
    entry::<policies::DeletePolicyVersion>(),
    entry::<users::DeleteUser>(),
    entry::<users::DeleteUserPermissionsBoundary>(),
    entry::<entity_policies::DeleteInline<entity_policies::OfUser>>(),
    entry::<entity_policies::Detach<entity_policies::OfGroup>>(),
    entry::<entity_policies::Detach<entity_policies::OfUser>>(),
    entry::<groups::GetGroup>(),
    entry::<entity_policies::GetInline<entity_policies::OfGroup>>(),
    entry::<policies::GetPolicy>(),
    entry::<policies::GetPolicyVersion>(),
    entry::<users::GetUser>(),
    entry::<entity_policies::GetInline<entity_policies::OfUser>>(),
    entry::<access_keys::ListAccessKeys>(),
    entry::<entity_policies::ListAttached<entity_policies::OfGroup>>(),
    entry::<entity_policies::ListAttached<entity_policies::OfUser>>(),
    entry::<policies::ListEntitiesForPolicy>(),
    entry::<entity_policies::ListInline<entity_policies::OfGroup>>(),
    entry::<groups::ListGroups>(),
    entry::<groups::ListGroupsForUser>(),
    entry::<policies::ListPolicies>(),
    entry::<policies::ListPolicyVersions>(),
    entry::<entity_policies::ListInline<entity_policies::OfUser>>(),
    entry::<tagging::ListTags<tagging::OfUser>>(),
    entry::<users::ListUsers>(),
    entry::<entity_policies::PutInline<entity_policies::OfGroup>>(),
    entry::<users::PutUserPermissionsBoundary>(),
    entry::<entity_policies::PutInline<entity_policies::OfUser>>(),
    entry::<groups::RemoveUserFromGroup>(),
    entry::<policies::SetDefaultPolicyVersion>(),
    entry::<tagging::TagResource<tagging::OfUser>>(),
    entry::<tagging::UntagResource<tagging::OfUser>>(),
    entry::<access_keys::UpdateAccessKey>(),
    entry::<tagging::TagResource<tagging::OfPolicy>>(),
    entry::<tagging::UntagResource<tagging::OfPolicy>>(),
    entry::<tagging::ListTags<tagging::OfPolicy>>(),
    entry::<tagging::TagResource<tagging::OfMfaDevice>>(),
    entry::<tagging::UntagResource<tagging::OfMfaDevice>>(),
    entry::<tagging::ListTags<tagging::OfMfaDevice>>(),
    entry::<mfa::CreateVirtualMfaDevice>(),
    entry::<mfa::DeleteVirtualMfaDevice>(),
    entry::<mfa::EnableMfaDevice>(),
    entry::<mfa::DeactivateMfaDevice>(),
    entry::<mfa::GetMfaDevice>(),
    entry::<mfa::ListMfaDevices>(),
    entry::<mfa::ListVirtualMfaDevices>(),
    entry::<mfa::ResyncMfaDevice>(),
    entry::<account::CreateAccountAlias>(),
    entry::<account::DeleteAccountAlias>(),
    entry::<account::GetAccountSummary>(),
    entry::<account::ListAccountAliases>(),
    entry::<passwords::ChangePassword>(),
    entry::<passwords::CreateLoginProfile>(),
    entry::<passwords::DeleteAccountPasswordPolicy>(),
    entry::<passwords::DeleteLoginProfile>(),
    entry::<passwords::GetAccountPasswordPolicy>(),
    entry::<passwords::GetLoginProfile>(),
    entry::<passwords::UpdateAccountPasswordPolicy>(),
    entry::<passwords::UpdateLoginProfile>(),
    entry::<roles::UpdateRoleDescription>(),
    entry::<instance_profiles::AddRoleToInstanceProfile>(),
    entry::<instance_profiles::CreateInstanceProfile>(),
    entry::<instance_profiles::DeleteInstanceProfile>(),
    entry::<instance_profiles::GetInstanceProfile>(),
    entry::<instance_profiles::ListInstanceProfiles>(),
    entry::<instance_profiles::ListInstanceProfilesForRole>(),
    entry::<instance_profiles::RemoveRoleFromInstanceProfile>(),
    entry::<tagging::TagResource<tagging::OfInstanceProfile>>(),
    entry::<tagging::UntagResource<tagging::OfInstanceProfile>>(),
    entry::<tagging::ListTags<tagging::OfInstanceProfile>>(),
    entry::<users::UpdateUser>(),
    entry::<groups::UpdateGroup>(),
    entry::<account::GetAccountAuthorizationDetails>(),
    entry::<simulation::GetContextKeysForCustomPolicy>(),
    entry::<simulation::GetContextKeysForPrincipalPolicy>(),
    entry::<simulation::SimulateCustomPolicy>(),
    entry::<simulation::SimulatePrincipalPolicy>(),
    entry::<last_used::GetAccessKeyLastUsed>(),
    entry::<last_used::GenerateServiceLastAccessedDetails>(),
    entry::<last_used::GetServiceLastAccessedDetails>(),
    entry::<last_used::GetServiceLastAccessedDetailsWithEntities>(),
    entry::<last_used::ListPoliciesGrantingServiceAccess>(),
    entry::<credential_report::GenerateCredentialReport>(),
    entry::<credential_report::GetCredentialReport>(),
    entry::<account::SetSecurityTokenServicePreferences>(),
    entry::<server_certificates::UploadServerCertificate>(),
    entry::<server_certificates::GetServerCertificate>(),
    entry::<server_certificates::ListServerCertificates>(),
    entry::<server_certificates::UpdateServerCertificate>(),
    entry::<server_certificates::DeleteServerCertificate>(),
    entry::<tagging::TagResource<tagging::OfServerCertificate>>(),
    entry::<tagging::UntagResource<tagging::OfServerCertificate>>(),
    entry::<tagging::ListTags<tagging::OfServerCertificate>>(),
    entry::<service_linked_roles::CreateServiceLinkedRole>(),
    entry::<service_linked_roles::DeleteServiceLinkedRole>(),
    entry::<service_linked_roles::GetServiceLinkedRoleDeletionStatus>(),
    entry::<user_credentials::UploadSigningCertificate>(),
    entry::<user_credentials::List<user_credentials::SigningCertificate>>(),
    entry::<user_credentials::Update<user_credentials::SigningCertificate>>(),
    entry::<user_credentials::Delete<user_credentials::SigningCertificate>>(),
    entry::<user_credentials::UploadSshPublicKey>(),
    entry::<user_credentials::GetSshPublicKey>(),
    entry::<user_credentials::List<user_credentials::SshPublicKey>>(),
    entry::<user_credentials::Update<user_credentials::SshPublicKey>>(),
    entry::<user_credentials::Delete<user_credentials::SshPublicKey>>(),
    entry::<user_credentials::CreateServiceSpecificCredential>(),
    entry::<user_credentials::ListServiceSpecificCredentials>(),
    entry::<user_credentials::ResetServiceSpecificCredential>(),
    entry::<user_credentials::Update<user_credentials::ServiceSpecificCredential>>(),
    entry::<user_credentials::Delete<user_credentials::ServiceSpecificCredential>>(),
    entry::<saml_providers::CreateSamlProvider>(),
    entry::<saml_providers::DeleteSamlProvider>(),
    entry::<saml_providers::GetSamlProvider>(),
    entry::<saml_providers::ListSamlProviders>(),
    entry::<saml_providers::UpdateSamlProvider>(),
    entry::<tagging::TagResource<tagging::OfSamlProvider>>(),
    entry::<tagging::UntagResource<tagging::OfSamlProvider>>(),
    entry::<tagging::ListTags<tagging::OfSamlProvider>>(),
    entry::<oidc_providers::AddClientId>(),
    entry::<oidc_providers::CreateOidcProvider>(),
    entry::<oidc_providers::DeleteOidcProvider>(),
    entry::<oidc_providers::GetOidcProvider>(),
    entry::<oidc_providers::ListOidcProviders>(),
    entry::<oidc_providers::RemoveClientId>(),
    entry::<oidc_providers::UpdateThumbprint>(),
    entry::<tagging::TagResource<tagging::OfOidcProvider>>(),
    entry::<tagging::UntagResource<tagging::OfOidcProvider>>(),
    entry::<tagging::ListTags<tagging::OfOidcProvider>>(),
];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "AcceptDelegationRequest",
    "AssociateDelegationRequest",
    "CreateDelegationRequest",
    "DisableOrganizationsRootCredentialsManagement",
    "DisableOrganizationsRootSessions",
    "DisableOutboundWebIdentityFederation",
    "EnableOrganizationsRootCredentialsManagement",
    "EnableOrganizationsRootSessions",
    "EnableOutboundWebIdentityFederation",
    "GenerateOrganizationsAccessReport",
    "GetDelegationRequest",
    "GetHumanReadableSummary",
    "GetOrganizationsAccessReport",
    "GetOutboundWebIdentityFederationInfo",
    "ListDelegationRequests",
    "ListOrganizationsFeatures",
    "RejectDelegationRequest",
    "SendDelegationToken",
    "UpdateDelegationRequest",
];

/// The user that a request names, or the one who calls; none for root.
pub(crate) fn named_or_self<'a>(call: &'a Call, name: Option<&'a str>) -> Option<&'a str> {
    named_or(&call.principal.identity, name)
}

fn named_or<'a>(caller: &'a Identity, name: Option<&'a str>) -> Option<&'a str> {
    match (name, caller) {
        (Some(name), _) => Some(name),
        (None, Identity::User(name)) => Some(name),
        (None, Identity::Root | Identity::Role(_) | Identity::Federated(_) | Identity::Anonymous) => None,
    }
}

/// The same, for what users alone have: who calls must be one, if the request names none.
pub(crate) fn user_or_caller<'a>(call: &'a Call, name: Option<&'a str>, most: usize) -> Result<&'a str, AwsError> {
    user_or(&call.principal.identity, name, most)
}

fn user_or<'a>(caller: &'a Identity, name: Option<&'a str>, most: usize) -> Result<&'a str, AwsError> {
    match named_or(caller, name) {
        Some(name) => check::name(Some(name), "userName", most),
        None => Err(errors::validation("Must specify userName when calling with non-User credentials")),
    }
}

/// The ARN that something is about to get.
pub(crate) fn new_arn(call: &Call, kind: Kind, path: Option<&str>, name: Option<&str>) -> Arn {
    Arn::raw(records::arn(&call.principal.account, kind, path.unwrap_or("/"), name.unwrap_or_default()))
}

/// As `arn:aws:iam::111122223333:user/`, for lists.
pub(crate) fn any_arn(call: &Call, resource: &str) -> Arn {
    Arn::raw(format!("arn:aws:iam::{}:{resource}", call.principal.account))
}

impl Context {
    /// The ARN of what has this name, with its path as this node has heard it; as if at `/` where it isn't known.
    fn arn(&self, call: &Call, kind: Kind, name: Option<&str>) -> Arn {
        let account = &call.principal.account;
        let Some(name) = name else { return Arn::raw(call.principal.arn.clone()) };
        let entry = self.mirror.get(&records::key(account, kind, name));
        let known = entry.and_then(|entry| match kind {
            Kind::User => records::read::<User>(&entry.value).ok().map(|u| (u.path, u.name)),
            Kind::Group => records::read::<records::Group>(&entry.value).ok().map(|g| (g.path, g.name)),
            Kind::Role => records::read::<records::Role>(&entry.value).ok().map(|r| (r.path, r.name)),
            Kind::Policy => records::read::<ManagedPolicy>(&entry.value).ok().map(|p| (p.path, p.name)),
            Kind::Mfa => records::read::<records::MfaDevice>(&entry.value).ok().map(|d| (d.path, d.name)),
            // They have no path.
            Kind::OidcProvider | Kind::SamlProvider => None,
            Kind::InstanceProfile => {
                records::read::<records::InstanceProfile>(&entry.value).ok().map(|p| (p.path, p.name))
            }
        });
        let (path, name) = known.unwrap_or_else(|| ("/".to_owned(), name.to_owned()));
        Arn::raw(records::arn(account, kind, &path, &name))
    }

    /// What is renamed, as it is and as it will be: the caller needs leave for both.
    fn before_and_after(
        &self,
        call: &Call,
        kind: Kind,
        name: Option<&str>,
        new_path: Option<&str>,
        new_name: Option<&str>,
    ) -> Vec<Arn> {
        let before = self.arn(call, kind, Some(name.unwrap_or_default()));
        if new_path.is_none() && new_name.is_none() {
            return vec![before];
        }
        let resource = before.as_str().split_once(':').and_then(|_| before.as_str().splitn(6, ':').nth(5));
        let (path, old_name) = match resource.and_then(|resource| resource.find('/').map(|at| &resource[at..])) {
            Some(whole) => whole.split_at(whole.rfind('/').map_or(0, |at| at + 1)),
            None => ("/", ""),
        };
        let account = &call.principal.account;
        let after = records::arn(account, kind, new_path.unwrap_or(path), new_name.unwrap_or(old_name));
        vec![before, Arn::raw(after)]
    }

    /// The boundary that a user or role has now, as the policies that delegate administration ask for it.
    fn boundary_key(&self, call: &Call, kind: Kind, name: Option<&str>, keys: &mut ConditionKeys) {
        let entry = name.and_then(|name| self.mirror.get(&records::key(&call.principal.account, kind, name)));
        let boundary = entry.and_then(|entry| match kind {
            Kind::User => records::read::<User>(&entry.value).ok()?.boundary,
            Kind::Role => records::read::<records::Role>(&entry.value).ok()?.boundary,
            Kind::Group
            | Kind::Policy
            | Kind::Mfa
            | Kind::InstanceProfile
            | Kind::OidcProvider
            | Kind::SamlProvider => None,
        });
        if let Some(arn) = boundary {
            keys.set("iam:PermissionsBoundary", arn);
        }
    }

    /// A managed policy of the account's own, by its ARN.
    async fn policy(&self, call: &Call, arn: &str) -> Result<Found<ManagedPolicy>, AwsError> {
        let account = &call.principal.account;
        if arn.len() < 20 || !arn.starts_with("arn:") {
            return Err(errors::invalid_input(format!("ARN {arn} is not valid.")));
        }
        let found = match records::policy_key(account, arn) {
            Some(key) => self.find::<ManagedPolicy>(call, key).await?,
            None => None,
        };
        let is_it = |found: &Found<ManagedPolicy>| {
            records::arn(account, Kind::Policy, &found.record.path, &found.record.name) == arn
        };
        found.filter(is_it).ok_or_else(|| errors::no_such_policy(arn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_no_user_must_name_one() {
        let ann = Identity::User("ann".to_owned());
        assert_eq!((user_or(&ann, None, 64).unwrap(), user_or(&ann, Some("bob"), 64).unwrap()), ("ann", "bob"));
        for caller in [Identity::Role("r".to_owned()), Identity::Federated("f".to_owned()), Identity::Root] {
            let refused = user_or(&caller, None, 64).unwrap_err();
            assert_eq!((&*refused.code, refused.status), ("ValidationError", 400), "{caller:?}");
            assert_eq!(refused.message, "Must specify userName when calling with non-User credentials");
            assert_eq!(user_or(&caller, Some("bob"), 64).unwrap(), "bob");
        }
        assert!(user_or(&ann, Some(""), 64).is_err() && user_or(&ann, Some("a/b"), 64).is_err());
    }

    #[test]
    fn every_operation_of_awss_model_is_done_or_named_as_missing() {
        match breakwater_aws::coverage::botocore_operations("iam") {
            Some(model) => breakwater_aws::coverage::compare(&super::SERVICE, &model).unwrap(),
            None => println!("skipped: no botocore on this machine"),
        }
    }
}
