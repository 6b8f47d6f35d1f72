//! What has tags.

use crate::iam::oidc_providers;
use crate::iam::prelude::*;
use crate::iam::saml_providers;
use crate::iam::server_certificates::{self, ServerCertificate};
use crate::iam::store::Found;
use serde::de::DeserializeOwned;

/// Names of the operations on one kind, and where its tags are.
pub trait Tagged: Send + Sync + 'static {
    type Record: Serialize + DeserializeOwned + Send + Sync;
    /// Names and actions, in the order: tag, untag, list.
    const OPERATIONS: [(&'static str, &'static str); 3];
    /// As `user`.
    const RESOURCE_TYPE: &'static str;
    fn arn(ctx: &Context, call: &Call, names: &Names) -> Arn;
    fn find(
        ctx: &Context,
        call: &Call,
        names: &Names,
    ) -> impl Future<Output = Result<Found<Self::Record>, AwsError>> + Send;
    fn tags(record: &mut Self::Record) -> &mut BTreeMap<String, String>;
}

/// A request names one of them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Names {
    user_name: Option<String>,
    role_name: Option<String>,
    policy_arn: Option<String>,
    serial_number: Option<String>,
    instance_profile_name: Option<String>,
    server_certificate_name: Option<String>,
    #[serde(rename = "OpenIDConnectProviderArn")]
    oidc_provider_arn: Option<String>,
    #[serde(rename = "SAMLProviderArn")]
    saml_provider_arn: Option<String>,
}

pub struct OfUser;
pub struct OfRole;
pub struct OfPolicy;
pub struct OfMfaDevice;
pub struct OfInstanceProfile;
pub struct OfServerCertificate;

impl Tagged for OfServerCertificate {
    type Record = ServerCertificate;
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("TagServerCertificate", "iam:TagServerCertificate"),
        ("UntagServerCertificate", "iam:UntagServerCertificate"),
        ("ListServerCertificateTags", "iam:ListServerCertificateTags"),
    ];
    const RESOURCE_TYPE: &'static str = "server-certificate";
    fn arn(ctx: &Context, call: &Call, names: &Names) -> Arn {
        server_certificates::arn_of(ctx, call, names.server_certificate_name.as_deref())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<ServerCertificate>, AwsError> {
        server_certificates::named(ctx, call, names.server_certificate_name.as_deref()).await
    }
    fn tags(record: &mut ServerCertificate) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}
pub struct OfOidcProvider;
pub struct OfSamlProvider;

impl Tagged for OfUser {
    type Record = User;
    const OPERATIONS: [(&'static str, &'static str); 3] =
        [("TagUser", "iam:TagUser"), ("UntagUser", "iam:UntagUser"), ("ListUserTags", "iam:ListUserTags")];
    const RESOURCE_TYPE: &'static str = "user";
    fn arn(ctx: &Context, call: &Call, names: &Names) -> Arn {
        ctx.arn(call, Kind::User, names.user_name.as_deref())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<User>, AwsError> {
        let name = check::name(names.user_name.as_deref(), "userName", 128)?;
        ctx.named(call, Kind::User, name).await
    }
    fn tags(record: &mut User) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfRole {
    type Record = Role;
    const OPERATIONS: [(&'static str, &'static str); 3] =
        [("TagRole", "iam:TagRole"), ("UntagRole", "iam:UntagRole"), ("ListRoleTags", "iam:ListRoleTags")];
    const RESOURCE_TYPE: &'static str = "role";
    fn arn(ctx: &Context, call: &Call, names: &Names) -> Arn {
        ctx.arn(call, Kind::Role, names.role_name.as_deref())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<Role>, AwsError> {
        let name = check::name(names.role_name.as_deref(), "roleName", 64)?;
        ctx.named(call, Kind::Role, name).await
    }
    fn tags(record: &mut Role) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfPolicy {
    type Record = ManagedPolicy;
    const OPERATIONS: [(&'static str, &'static str); 3] =
        [("TagPolicy", "iam:TagPolicy"), ("UntagPolicy", "iam:UntagPolicy"), ("ListPolicyTags", "iam:ListPolicyTags")];
    const RESOURCE_TYPE: &'static str = "policy";
    fn arn(_ctx: &Context, _call: &Call, names: &Names) -> Arn {
        Arn::raw(names.policy_arn.clone().unwrap_or_default())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<ManagedPolicy>, AwsError> {
        ctx.policy(call, check::required(names.policy_arn.as_deref(), "policyArn")?).await
    }
    fn tags(record: &mut ManagedPolicy) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfMfaDevice {
    type Record = MfaDevice;
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("TagMFADevice", "iam:TagMFADevice"),
        ("UntagMFADevice", "iam:UntagMFADevice"),
        ("ListMFADeviceTags", "iam:ListMFADeviceTags"),
    ];
    const RESOURCE_TYPE: &'static str = "mfa";
    fn arn(_ctx: &Context, _call: &Call, names: &Names) -> Arn {
        Arn::raw(names.serial_number.clone().unwrap_or_default())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<MfaDevice>, AwsError> {
        mfa::device(ctx, call, mfa::serial(names.serial_number.as_deref())?).await
    }
    fn tags(record: &mut MfaDevice) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfInstanceProfile {
    type Record = InstanceProfile;
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("TagInstanceProfile", "iam:TagInstanceProfile"),
        ("UntagInstanceProfile", "iam:UntagInstanceProfile"),
        ("ListInstanceProfileTags", "iam:ListInstanceProfileTags"),
    ];
    const RESOURCE_TYPE: &'static str = "instance-profile";
    fn arn(ctx: &Context, call: &Call, names: &Names) -> Arn {
        ctx.arn(call, Kind::InstanceProfile, Some(names.instance_profile_name.as_deref().unwrap_or_default()))
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<InstanceProfile>, AwsError> {
        let name = check::name(names.instance_profile_name.as_deref(), "instanceProfileName", 128)?;
        ctx.named(call, Kind::InstanceProfile, name).await
    }
    fn tags(record: &mut InstanceProfile) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfOidcProvider {
    type Record = OidcProvider;
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("TagOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"),
        ("UntagOpenIDConnectProvider", "iam:UntagOpenIDConnectProvider"),
        ("ListOpenIDConnectProviderTags", "iam:ListOpenIDConnectProviderTags"),
    ];
    const RESOURCE_TYPE: &'static str = "oidc-provider";
    fn arn(_ctx: &Context, _call: &Call, names: &Names) -> Arn {
        Arn::raw(names.oidc_provider_arn.clone().unwrap_or_default())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<OidcProvider>, AwsError> {
        oidc_providers::find(ctx, call, names.oidc_provider_arn.as_deref()).await
    }
    fn tags(record: &mut OidcProvider) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}

impl Tagged for OfSamlProvider {
    type Record = SamlProvider;
    const OPERATIONS: [(&'static str, &'static str); 3] = [
        ("TagSAMLProvider", "iam:TagSAMLProvider"),
        ("UntagSAMLProvider", "iam:UntagSAMLProvider"),
        ("ListSAMLProviderTags", "iam:ListSAMLProviderTags"),
    ];
    const RESOURCE_TYPE: &'static str = "saml-provider";
    fn arn(_ctx: &Context, _call: &Call, names: &Names) -> Arn {
        Arn::raw(names.saml_provider_arn.clone().unwrap_or_default())
    }
    async fn find(ctx: &Context, call: &Call, names: &Names) -> Result<Found<SamlProvider>, AwsError> {
        saml_providers::find(ctx, call, names.saml_provider_arn.as_deref()).await
    }
    fn tags(record: &mut SamlProvider) -> &mut BTreeMap<String, String> {
        &mut record.tags
    }
}
