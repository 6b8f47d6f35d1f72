//! How records look in answers.

use super::usage::Usage;
use breakwater_iam::AwsManaged;
use breakwater_iam::records::{
    self, AccessKey, Group, InstanceProfile, Kind, ManagedPolicy, PolicyVersion, Role, User,
};
use breakwater_types::AccountId;
use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use time::macros::format_description;

/// As `2026-11-23T20:15:00Z`.
pub fn time(unix_s: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let at = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&format).unwrap_or_default()
}

/// Capitals and the digits from 2 to 7.
const ID_SIGNS: data_encoding::Encoding = data_encoding::BASE32_NOPAD;

/// At most 32 signs.
pub fn random_id(length: usize) -> String {
    let mut id = ID_SIGNS.encode(&rand::random::<[u8; 20]>());
    id.truncate(length);
    id
}

fn id_of_length(prefix: &str, length: usize) -> String {
    let tail = random_id(length.saturating_sub(prefix.len()));
    format!("{prefix}{tail}")
}

/// IAM's unique ids: `AIDA…` for users, `AGPA…` for groups, `ANPA…` for policies.
pub fn unique_id(prefix: &str) -> String {
    id_of_length(prefix, 21)
}

/// Ids of keys are one sign shorter: `AKIA…` for access keys, `APKA…` for public ones.
pub fn key_id(prefix: &str) -> String {
    id_of_length(prefix, 20)
}

/// The id of a temporary access key, as `ASIA…`: like AWS's, it holds the number of its account.
pub fn temporary_id(account: &AccountId) -> String {
    let number: u64 = account.as_str().parse().unwrap_or_default();
    let [random, more @ ..]: [u8; 5] = rand::random();
    // The highest bit is set, then come 40 bits of the account's number, and what makes the id unique.
    let head = (1 << 47) | (number << 7) | u64::from(random & 0x7f);
    format!("ASIA{}", ID_SIGNS.encode(&[&head.to_be_bytes()[2..], &more].concat()))
}

/// The account whose number such an id holds.
pub fn account_in(id: &str) -> Option<AccountId> {
    let bytes = ID_SIGNS.decode(id.get(4..)?.as_bytes()).ok().filter(|bytes| bytes.len() == 10)?;
    let head = bytes.iter().take(6).fold(0u64, |head, byte| (head << 8) | u64::from(*byte));
    AccountId::new(format!("{:012}", (head & 0x7fff_ffff_ff80) >> 7)).ok()
}

pub fn tags(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// Lists leave tags and boundary out.
pub fn user(account: &AccountId, user: &User, whole: bool) -> Value {
    let mut shape = json!({
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": records::arn(account, Kind::User, &user.path, &user.name),
        "CreateDate": time(user.created_unix_s),
    });
    if whole && !user.tags.is_empty() {
        shape["Tags"] = tags(&user.tags);
    }
    if let (true, Some(arn)) = (whole, &user.boundary) {
        shape["PermissionsBoundary"] = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
    }
    shape
}

pub fn group(account: &AccountId, group: &Group) -> Value {
    json!({
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": records::arn(account, Kind::Group, &group.path, &group.name),
        "CreateDate": time(group.created_unix_s),
    })
}

pub fn role(account: &AccountId, role: &Role, whole: bool) -> Value {
    let mut shape = json!({
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": records::arn(account, Kind::Role, &role.path, &role.name),
        "CreateDate": time(role.created_unix_s),
        "AssumeRolePolicyDocument": encoded(&role.trust),
        "MaxSessionDuration": role.max_session_s,
    });
    if let Some(description) = &role.description {
        shape["Description"] = description.as_str().into();
    }
    if whole && !role.tags.is_empty() {
        shape["Tags"] = tags(&role.tags);
    }
    if let (true, Some(arn)) = (whole, &role.boundary) {
        shape["PermissionsBoundary"] = json!({"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn});
    }
    shape
}

pub fn instance_profile(account: &AccountId, profile: &InstanceProfile, its_role: Option<&Role>) -> Value {
    let roles: Vec<Value> = its_role.map(|its_role| role(account, its_role, false)).into_iter().collect();
    let mut shape = json!({
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.id,
        "Arn": records::arn(account, Kind::InstanceProfile, &profile.path, &profile.name),
        "CreateDate": time(profile.created_unix_s),
        "Roles": roles,
    });
    if !profile.tags.is_empty() {
        shape["Tags"] = tags(&profile.tags);
    }
    shape
}

pub fn access_key(user: &str, key: &AccessKey) -> Value {
    json!({
        "UserName": user,
        "AccessKeyId": key.id,
        "Status": if key.active { "Active" } else { "Inactive" },
        "CreateDate": time(key.created_unix_s),
    })
}

/// What each policy is used for, by ARN.
pub type Usages = HashMap<String, Usage>;

pub fn policy(account: &AccountId, policy: &ManagedPolicy, usages: &Usages, whole: bool) -> Value {
    let arn = records::arn(account, Kind::Policy, &policy.path, &policy.name);
    let bounds = usages.get(&arn).map_or(0, |usage| usage.bounds);
    // The record counts both kinds of use.
    let attached = usize::try_from(policy.attachments).unwrap_or_default().saturating_sub(bounds);
    let mut shape = json!({
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": arn,
        "Path": policy.path,
        "DefaultVersionId": format!("v{}", policy.default),
        "AttachmentCount": attached,
        "PermissionsBoundaryUsageCount": bounds,
        "IsAttachable": true,
        "CreateDate": time(policy.created_unix_s),
        "UpdateDate": time(policy.updated_unix_s),
    });
    if whole && !policy.description.is_empty() {
        shape["Description"] = policy.description.as_str().into();
    }
    if whole && !policy.tags.is_empty() {
        shape["Tags"] = tags(&policy.tags);
    }
    shape
}

/// AWS's own were there before us.
const AWS_MADE_UNIX_S: i64 = 1_423_161_600;

/// Of no other policy, and the same at every node.
fn aws_policy_id(arn: &str) -> String {
    let encoded = BASE32_NOPAD.encode(&Sha256::digest(arn.as_bytes()));
    format!("ANPA{encoded:.16}")
}

pub fn aws_policy(policy: &AwsManaged, usages: &Usages, whole: bool) -> Value {
    let usage = usages.get(&policy.arn).copied().unwrap_or_default();
    let mut shape = json!({
        "PolicyName": policy.name,
        "PolicyId": aws_policy_id(&policy.arn),
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": "v1",
        "AttachmentCount": usage.attached,
        "PermissionsBoundaryUsageCount": usage.bounds,
        "IsAttachable": true,
        "CreateDate": time(AWS_MADE_UNIX_S),
        "UpdateDate": time(AWS_MADE_UNIX_S),
    });
    if whole {
        shape["Description"] = policy.description.as_str().into();
    }
    shape
}

/// Documents are sent as a URL has them.
pub fn encoded(document: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub fn version(version: &PolicyVersion, default: bool, whole: bool) -> Value {
    let mut shape = json!({
        "VersionId": format!("v{}", version.number),
        "IsDefaultVersion": default,
        "CreateDate": time(version.created_unix_s),
    });
    if whole {
        shape["Document"] = encoded(&version.document).into();
    }
    shape
}

pub fn aws_version(policy: &AwsManaged, whole: bool) -> Value {
    let only = PolicyVersion { number: 1, document: policy.document.clone(), created_unix_s: AWS_MADE_UNIX_S };
    version(&only, true, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times() {
        let (a, b) = (unique_id("AIDA"), unique_id("AIDA"));
        assert!(a.len() == 21 && a.starts_with("AIDA") && a != b);
        assert_eq!(key_id("AKIA").len(), 20);
        let random = random_id(32);
        assert!(random.len() == 32 && random_id(4).len() == 4 && random != random_id(32));
        assert!(random.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b)), "{random}");
        let account = AccountId::new("111122223333").unwrap();
        let key = temporary_id(&account);
        assert!(key.len() == 20 && key != temporary_id(&account), "{key}");
        assert_eq!(account_in(&key), Some(account));
        // A published one of AWS's.
        assert_eq!(account_in("ASIAQNZGKIQY56JQ7WML").unwrap().as_str(), "029608264753");
        assert!(account_in("ASIA1").is_none() && account_in("").is_none() && account_in("ASIAééé").is_none());
        let ids: std::collections::BTreeSet<String> =
            breakwater_iam::aws_managed_all().map(|policy| aws_policy_id(&policy.arn)).collect();
        assert!(ids.len() == breakwater_iam::aws_managed_all().count() && ids.iter().all(|id| id.len() == 20));
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(encoded("{\"a\": 1}"), "%7B%22a%22%3A%201%7D");
    }
}
