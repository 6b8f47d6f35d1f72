//! What `meta` keeps of IAM, by account. Names are unique in any case, so keys hold them in lower case.

use crate::providers::{OidcProvider, SamlProvider};
use breakwater_meta::records;
use breakwater_types::AccountId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Every node may read these; secrets of access keys lie elsewhere.
pub const PREFIX: &[u8] = b"iam/";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
    Policy,
    Role,
    /// A virtual MFA device.
    Mfa,
    InstanceProfile,
    OidcProvider,
    SamlProvider,
}

impl Kind {
    /// As in ARNs, and as IAM's documentation names the type of resource.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Policy => "policy",
            Kind::Role => "role",
            Kind::Mfa => "mfa",
            Kind::InstanceProfile => "instance-profile",
            Kind::OidcProvider => "oidc-provider",
            Kind::SamlProvider => "saml-provider",
        }
    }
}

/// `iam/aws/111122223333/user/` or the whole key of one.
pub fn prefix(account: &AccountId, kind: Kind) -> Vec<u8> {
    format!("iam/aws/{account}/{}/", kind.word()).into_bytes()
}

pub fn key(account: &AccountId, kind: Kind, name: &str) -> Vec<u8> {
    let mut key = prefix(account, kind);
    key.extend_from_slice(name.to_lowercase().as_bytes());
    key
}

/// The name that a user has now, by her unique id: of users who had another before.
pub fn renamed_key(account: &AccountId, user_id: &str) -> Vec<u8> {
    format!("iam/aws/{account}/renamed/{user_id}").into_bytes()
}

/// Policies that were written into a user or group, and those that are attached to it, by ARN.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    pub inline: BTreeMap<String, String>,
    pub attached: BTreeSet<String>,
}

/// Without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    pub id: String,
    pub active: bool,
    pub created_unix_s: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// `AIDA…`.
    pub id: String,
    pub path: String,
    pub created_unix_s: i64,
    pub groups: BTreeSet<String>,
    pub policies: Policies,
    /// A managed policy's ARN.
    pub boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub access_keys: Vec<AccessKey>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    /// `AGPA…`.
    pub id: String,
    pub path: String,
    pub created_unix_s: i64,
    pub policies: Policies,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    /// `AROA…`.
    pub id: String,
    pub path: String,
    pub created_unix_s: i64,
    /// Who may assume it.
    pub trust: String,
    pub description: Option<String>,
    pub max_session_s: u32,
    pub policies: Policies,
    /// A managed policy's ARN.
    pub boundary: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// A virtual MFA device, without its seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MfaDevice {
    pub name: String,
    pub path: String,
    pub created_unix_s: i64,
    /// Whose it is, once it was enabled.
    pub user: Option<String>,
    pub enabled_unix_s: Option<i64>,
    pub tags: BTreeMap<String, String>,
}

/// Hands a role to code on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProfile {
    pub name: String,
    /// `AIPA…`.
    pub id: String,
    pub path: String,
    pub created_unix_s: i64,
    /// By name.
    pub role: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// What services that speak TLS show, without its texts and its private key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCertificate {
    pub name: String,
    /// `ASCA…`.
    pub id: String,
    pub path: String,
    pub has_chain: bool,
    pub uploaded_unix_s: i64,
    pub expires_unix_s: i64,
    pub tags: BTreeMap<String, String>,
}

pub fn server_certificates(account: &AccountId) -> Vec<u8> {
    format!("iam/aws/{account}/server-certificate/").into_bytes()
}

pub fn server_certificate_key(account: &AccountId, name: &str) -> Vec<u8> {
    [&server_certificates(account)[..], name.to_lowercase().as_bytes()].concat()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// 1 for `v1`.
    pub number: u32,
    pub document: String,
    pub created_unix_s: i64,
}

/// A managed policy of the account's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    pub name: String,
    /// `ANPA…`.
    pub id: String,
    pub path: String,
    pub description: String,
    pub created_unix_s: i64,
    pub updated_unix_s: i64,
    pub versions: Vec<PolicyVersion>,
    pub default: u32,
    /// The number that the next version gets: one that was deleted is never used again.
    pub next: u32,
    /// How many users and groups it is attached to, or bounds.
    pub attachments: u32,
    pub tags: BTreeMap<String, String>,
}

impl ManagedPolicy {
    pub fn default_document(&self) -> Option<&str> {
        self.versions.iter().find(|v| v.number == self.default).map(|v| v.document.as_str())
    }
}

/// The tags of whatever of IAM's has this ARN and may have tags: all but groups. None where IAM has no such thing.
pub fn tags_of(arn: &str, get: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<BTreeMap<String, String>> {
    let (account, resource) = arn.strip_prefix("arn:aws:iam::")?.split_once(':')?;
    let account = AccountId::new(account).ok()?;
    let (kind, path) = resource.split_once('/')?;
    let name = path.rsplit('/').next()?;
    let value = |kind| get(&key(&account, kind, name));
    match kind {
        "user" => Some(read::<User>(&value(Kind::User)?).ok()?.tags),
        "role" => Some(read::<Role>(&value(Kind::Role)?).ok()?.tags),
        "policy" => Some(read::<ManagedPolicy>(&value(Kind::Policy)?).ok()?.tags),
        "mfa" => Some(read::<MfaDevice>(&value(Kind::Mfa)?).ok()?.tags),
        "instance-profile" => Some(read::<InstanceProfile>(&value(Kind::InstanceProfile)?).ok()?.tags),
        "server-certificate" => {
            Some(read::<ServerCertificate>(&get(&server_certificate_key(&account, name))?).ok()?.tags)
        }
        // A URL, whose slashes are no path.
        "oidc-provider" => Some(read::<OidcProvider>(&get(&key(&account, Kind::OidcProvider, path))?).ok()?.tags),
        "saml-provider" => Some(read::<SamlProvider>(&value(Kind::SamlProvider)?).ok()?.tags),
        _ => None,
    }
}

/// `arn:aws:iam::111122223333:user/path/name`.
pub fn arn(account: &AccountId, kind: Kind, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{}{path}{name}", kind.word())
}

/// The key of the record of a managed policy that has this ARN, if it is the account's own.
pub fn policy_key(account: &AccountId, arn: &str) -> Option<Vec<u8>> {
    let rest = arn.strip_prefix("arn:aws:iam::")?.strip_prefix(account.as_str())?.strip_prefix(":policy/")?;
    Some(key(account, Kind::Policy, rest.rsplit('/').next()?))
}

pub fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    records::from_stored(value)
}

pub fn write<T: Serialize>(record: &T) -> Result<Vec<u8>, String> {
    records::to_stored(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Deny on a resource's tags did not hold for identity providers, whose tags nobody found.
    #[test]
    fn every_kind_that_has_tags_answers() {
        let account = AccountId::new("111122223333").unwrap();
        let tags = BTreeMap::from([("team".to_owned(), "blue".to_owned())]);
        let (name, path, id) = ("x".to_owned(), "/p/".to_owned(), "ID".to_owned());
        let (created_unix_s, policies) = (0, Policies::default());
        let record = |kind| {
            let (tags, name, path, id, policies) =
                (tags.clone(), name.clone(), path.clone(), id.clone(), policies.clone());
            let tagged = match kind {
                Kind::Group => return None,
                Kind::User => write(&User {
                    name,
                    id,
                    path,
                    created_unix_s,
                    groups: BTreeSet::new(),
                    policies,
                    boundary: None,
                    tags,
                    access_keys: Vec::new(),
                }),
                Kind::Role => write(&Role {
                    name,
                    id,
                    path,
                    created_unix_s,
                    trust: String::new(),
                    description: None,
                    max_session_s: 3_600,
                    policies,
                    boundary: None,
                    tags,
                }),
                Kind::Policy => write(&ManagedPolicy {
                    name,
                    id,
                    path,
                    description: String::new(),
                    created_unix_s,
                    updated_unix_s: 0,
                    versions: Vec::new(),
                    default: 1,
                    next: 2,
                    attachments: 0,
                    tags,
                }),
                Kind::Mfa => write(&MfaDevice { name, path, created_unix_s, user: None, enabled_unix_s: None, tags }),
                Kind::InstanceProfile => write(&InstanceProfile { name, id, path, created_unix_s, role: None, tags }),
                Kind::OidcProvider => write(&OidcProvider {
                    url: "id.example.com/a/b".to_owned(),
                    created_unix_s,
                    client_ids: Vec::new(),
                    thumbprints: Vec::new(),
                    tags,
                }),
                Kind::SamlProvider => write(&SamlProvider { name, id, created_unix_s, valid_until_unix_s: 0, tags }),
            };
            Some(tagged.unwrap())
        };
        let kinds = [
            Kind::User,
            Kind::Group,
            Kind::Policy,
            Kind::Role,
            Kind::Mfa,
            Kind::InstanceProfile,
            Kind::OidcProvider,
            Kind::SamlProvider,
        ];
        for kind in kinds {
            let (path, name) = match kind {
                Kind::OidcProvider => ("/", "id.example.com/a/b"),
                Kind::SamlProvider => ("/", "x"),
                _ => ("/p/", "x"),
            };
            let stored = record(kind);
            let get = |asked: &[u8]| stored.clone().filter(|_| asked == key(&account, kind, name));
            assert_eq!(
                tags_of(&arn(&account, kind, path, name), get),
                stored.is_some().then(|| tags.clone()),
                "{kind:?}"
            );
        }
        let certificate = ServerCertificate {
            name: "x".to_owned(),
            id: "ID".to_owned(),
            path: "/p/".to_owned(),
            has_chain: false,
            uploaded_unix_s: 0,
            expires_unix_s: 0,
            tags: tags.clone(),
        };
        let stored = write(&certificate).unwrap();
        let get = |asked: &[u8]| Some(stored.clone()).filter(|_| asked == server_certificate_key(&account, "x"));
        assert_eq!(tags_of("arn:aws:iam::111122223333:server-certificate/p/x", get), Some(tags));
    }
}
