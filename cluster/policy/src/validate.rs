//! What a document of the right shape can still get wrong, in AWS's order and words.

use crate::document::{Malformed, Raw, Use};
use std::collections::HashSet;

const IAM_PATHS: [&str; 13] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
];

fn said(message: impl Into<String>) -> Result<(), Malformed> {
    Err(Malformed(message.into()))
}

pub(crate) fn statements(all: &[Raw<'_>], used: Use) -> Result<(), Malformed> {
    let mut sids = HashSet::new();
    for sid in all.iter().filter_map(|s| s.sid).filter(|sid| !sid.is_empty()) {
        if !sids.insert(sid) {
            return said("Statement IDs (SID) in a single policy must be unique.");
        }
        if used == Use::Identity && !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return said(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*",
            );
        }
    }
    if all.iter().any(|s| s.actions.as_ref().is_none_or(|(_, any)| any.is_empty())) {
        return said("Policy statement must contain actions.");
    }
    let needs_resources = used == Use::Identity;
    let lacks = |s: &Raw<'_>| match &s.resources {
        None => needs_resources,
        Some((_, any)) => any.is_empty(),
    };
    if all.iter().any(lacks) {
        return said("Policy statement must contain resources.");
    }
    for statement in all {
        for resource in statement.resources.iter().flat_map(|(_, any)| any) {
            self::resource(resource)?;
        }
    }
    for statement in all {
        for action in statement.actions.iter().flat_map(|(_, any)| any) {
            self::action(action, used)?;
        }
    }
    Ok(())
}

fn resource(arn: &str) -> Result<(), Malformed> {
    if arn == "*" {
        return Ok(());
    }
    let Some((_, rest)) = arn.split_once(':') else {
        return said(format!("Resource {arn} must be in ARN format or \"*\"."));
    };
    let (partition, rest) = match rest.split_once(':') {
        Some((partition, rest)) => (partition, Some(rest)),
        None => (rest, None),
    };
    if !matches!(partition, "aws" | "aws-cn" | "aws-us-gov" | "*") {
        let mut parts = rest.unwrap_or_default().splitn(4, ':').map(|p| if p.is_empty() { "*" } else { p });
        let [service, region, account, name] = std::array::from_fn(|_| parts.next().unwrap_or("*"));
        return said(format!(
            "Partition \"{partition}\" is not valid for resource \"arn:{partition}:{service}:{region}:{account}:{name}\"."
        ));
    }
    let Some(rest) = rest else {
        return match partition {
            // `arn:*`.
            "*" => Ok(()),
            _ => said("Resource vendor must be fully qualified and cannot contain regexes."),
        };
    };
    let mut parts = rest.splitn(4, ':');
    let service = parts.next().unwrap_or_default();
    if service.is_empty() {
        return Err(Malformed::legacy());
    }
    if service.contains(['*', '?']) && service != "*" {
        return said("Resource vendor must be fully qualified and cannot contain regexes.");
    }
    let region = parts.next();
    let name = parts.nth(1);
    if region.is_some_and(|region| !region.is_empty() && region != "*") {
        match service {
            "iam" => return said(format!("IAM resource {arn} cannot contain region information.")),
            "s3" => return said(format!("Resource {arn} can not contain region information.")),
            _ => {}
        }
    }
    if service == "iam"
        && let Some(name) = name
    {
        let fits =
            IAM_PATHS.iter().any(|path| name.starts_with(path)) || name.starts_with(['*', '$']) || name == "root";
        if !fits {
            return said(format!("IAM resource path must either be \"*\" or start with {}.", IAM_PATHS.join(", ")));
        }
    }
    Ok(())
}

fn action(action: &str, used: Use) -> Result<(), Malformed> {
    if action == "*" && used != Use::Trust {
        return Ok(());
    }
    let Some((vendor, name)) = action.split_once(':') else {
        return said("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
    };
    if name.contains(':') {
        return said("Actions/Condition can contain only one colon.");
    }
    if vendor != "*" && (vendor.is_empty() || !vendor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)))
    {
        return said(format!("Vendor {vendor} is not valid"));
    }
    if used == Use::Trust && !vendor.eq_ignore_ascii_case("sts") {
        return said("AssumeRole policy may only specify STS AssumeRole actions.");
    }
    if name.is_empty() {
        return Err(Malformed::legacy());
    }
    Ok(())
}
