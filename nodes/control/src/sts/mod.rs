//! STS: who am I. Sessions come next.

mod get_caller_identity;

use crate::iam::Context;
use breakwater_aws::{OperationEntry, Protocol, Service, entry};

pub static SERVICE: Service<Context> = Service {
    name: "sts",
    global: true,
    target_prefix: "2011-06-15",
    model_namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
    protocol: Protocol::Query,
    operations: OPERATIONS,
    missing: MISSING,
};

static OPERATIONS: &[OperationEntry<Context>] = &[entry::<get_caller_identity::GetCallerIdentity>()];

/// What AWS has and we lack. This list may only shrink.
const MISSING: &[&str] = &[
    "AssumeRole",
    "AssumeRoleWithSAML",
    "AssumeRoleWithWebIdentity",
    "AssumeRoot",
    "DecodeAuthorizationMessage",
    "GetAccessKeyInfo",
    "GetDelegatedAccessToken",
    "GetFederationToken",
    "GetSessionToken",
    "GetWebIdentityToken",
];

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
