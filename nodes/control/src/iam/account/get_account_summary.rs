//! GetAccountSummary.

use super::quotas;
use super::set_security_token_service_preferences::token_version;
use crate::iam::passwords::login::{self, Login};
use crate::iam::prelude::*;
use crate::iam::server_certificates::{self, ServerCertificate};
use breakwater_aws::query::ENTRIES;

/// Quotas of AWS's that hold here too, and what this region's accounts don't have.
const FIXED: [(&str, usize); 16] = [
    ("AccessKeysPerUserQuota", 2),
    ("AccountAccessKeysPresent", 0),
    ("AccountMFAEnabled", 0),
    ("AccountSigningCertificatesPresent", 0),
    ("AssumeRolePolicySizeQuota", 2_048),
    ("AttachedPoliciesPerGroupQuota", 10),
    ("AttachedPoliciesPerRoleQuota", 10),
    ("AttachedPoliciesPerUserQuota", 10),
    ("GroupPolicySizeQuota", 5_120),
    ("GroupsPerUserQuota", 10),
    ("PolicySizeQuota", DOCUMENT_MAX),
    ("PolicyVersionsInUseQuota", 10_000),
    ("RolePolicySizeQuota", 10_240),
    ("SigningCertificatesPerUserQuota", 2),
    ("UserPolicySizeQuota", 2_048),
    ("VersionsPerPolicyQuota", 5),
];

pub struct GetAccountSummary;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Request {}

impl Operation for GetAccountSummary {
    type Context = Context;
    type Request = Request;
    type Response = Value;
    const NAME: &'static str = "GetAccountSummary";
    const ACTION: &'static str = "iam:GetAccountSummary";
    const ACCESS: Access = Access::List;
    const PLANE: Plane = Plane::Control;
    const RESOURCE_TYPE: &'static str = "*";

    fn resources(_ctx: &Context, _call: &Call, _request: &Request) -> Vec<Arn> {
        vec![Arn::raw("*".to_owned())]
    }

    async fn handle(ctx: &Arc<Context>, call: &Call, _request: Request) -> Result<Value, AwsError> {
        let mut summary = serde_json::Map::new();
        let mut set = |name: &str, number: usize| summary.insert(name.to_owned(), number.into());
        for (kind, name) in [
            (Kind::User, "Users"),
            (Kind::Group, "Groups"),
            (Kind::Role, "Roles"),
            (Kind::Policy, "Policies"),
            (Kind::InstanceProfile, "InstanceProfiles"),
        ] {
            set(name, quotas::count(ctx, call, kind));
            set(&format!("{name}Quota"), quotas::quota(kind).1);
        }
        set("Providers", quotas::count(ctx, call, Kind::OidcProvider) + quotas::count(ctx, call, Kind::SamlProvider));
        let devices: Vec<MfaDevice> = ctx.all(call, &store::prefix(call, Kind::Mfa)).await?;
        set("MFADevices", devices.len());
        set("MFADevicesInUse", devices.iter().filter(|device| device.user.is_some()).count());
        let policies: Vec<ManagedPolicy> = ctx.all(call, &store::prefix(call, Kind::Policy)).await?;
        set("PolicyVersionsInUse", policies.iter().map(|policy| policy.versions.len()).sum());
        let certificates: Vec<ServerCertificate> =
            ctx.all(call, &server_certificates::prefix(&call.principal.account)).await?;
        set("ServerCertificates", certificates.len());
        set("ServerCertificatesQuota", server_certificates::CERTIFICATES_MAX);
        set("GlobalEndpointTokenVersion", token_version(ctx, call).await? as usize);
        let root = ctx.find::<Login>(call, login::key(&call.principal.account, login::ROOT)).await?;
        set("AccountPasswordPresent", usize::from(root.is_some()));
        for (name, number) in FIXED {
            set(name, number);
        }
        Ok(json!({"SummaryMap": {ENTRIES: summary}}))
    }
}
