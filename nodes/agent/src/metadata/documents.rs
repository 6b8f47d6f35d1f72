//! What stands under which path.

use super::held::{Credentials, Heard, Profile};
use breakwater_types::rfc3339;
use serde_json::{Value, json};
use std::net::IpAddr;

/// What is known of this host without asking.
#[derive(Clone, Debug)]
pub struct Facts {
    pub instance_id: String,
    pub account: String,
    pub region: String,
    pub availability_zone: String,
    pub address: IpAddr,
    pub hostname: String,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Text(String),
    Json(Value),
    Missing,
    /// It is known that there should be something, but not what.
    Unavailable,
}

fn lines(names: &[&str]) -> Found {
    Found::Text(names.join("\n"))
}

/// The same tree stands under each: software asks for the one that it was written for.
const VERSIONS: &[&str] = &[
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "2022-07-09",
    "2022-09-24",
    "2024-04-11",
    "latest",
];

/// The document at a path, as AWS lays them out. `now_unix_s` tells which credentials are over.
pub fn find(facts: &Facts, heard: Option<&Heard>, path: &str, now_unix_s: i64) -> Found {
    let profile = heard.and_then(|heard| heard.profile.as_ref());
    let mut segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    if VERSIONS.contains(&segments[0]) {
        segments[0] = "latest";
    }
    match segments[..] {
        [""] => lines(VERSIONS),
        ["latest"] => lines(&["dynamic", "meta-data"]),
        ["latest", "meta-data"] => {
            let mut names = vec!["hostname", "instance-id", "local-hostname", "local-ipv4", "placement/", "services/"];
            if profile.is_some() {
                names.insert(1, "iam/");
            }
            lines(&names)
        }
        ["latest", "meta-data", "instance-id"] => Found::Text(facts.instance_id.clone()),
        ["latest", "meta-data", "local-ipv4"] => Found::Text(facts.address.to_string()),
        ["latest", "meta-data", "hostname" | "local-hostname"] => Found::Text(facts.hostname.clone()),
        ["latest", "meta-data", "placement"] => lines(&["availability-zone", "region"]),
        ["latest", "meta-data", "placement", "availability-zone"] => Found::Text(facts.availability_zone.clone()),
        ["latest", "meta-data", "placement", "region"] => Found::Text(facts.region.clone()),
        ["latest", "meta-data", "services"] => lines(&["domain", "partition"]),
        ["latest", "meta-data", "services", "domain"] => Found::Text("amazonaws.com".to_owned()),
        ["latest", "meta-data", "services", "partition"] => Found::Text("aws".to_owned()),
        ["latest", "meta-data", "iam", ref rest @ ..] => match (heard, profile) {
            (Some(heard), Some(profile)) => iam(heard, profile, rest, now_unix_s),
            _ => Found::Missing,
        },
        ["latest", "dynamic"] => lines(&["instance-identity/"]),
        ["latest", "dynamic", "instance-identity"] => lines(&["document"]),
        ["latest", "dynamic", "instance-identity", "document"] => Found::Json(identity(facts, heard)),
        _ => Found::Missing,
    }
}

fn iam(heard: &Heard, profile: &Profile, path: &[&str], now_unix_s: i64) -> Found {
    match (path, &profile.role) {
        ([], _) => lines(&["info", "security-credentials/"]),
        (["info"], _) => Found::Json(json!({
            "Code": "Success",
            "LastUpdated": rfc3339(heard.at_unix_s),
            "InstanceProfileArn": profile.arn,
            "InstanceProfileId": profile.id,
        })),
        (["security-credentials"], Some((role, _))) => Found::Text(role.clone()),
        (["security-credentials", name], Some((role, outcome))) if name == role => match outcome {
            Ok(credentials) if credentials.expires_unix_s <= now_unix_s => Found::Unavailable,
            Ok(credentials) => Found::Json(security_credentials(credentials)),
            Err((code, message)) => Found::Json(json!({
                "Code": code,
                "Message": message,
                "LastUpdated": rfc3339(heard.at_unix_s),
            })),
        },
        _ => Found::Missing,
    }
}

fn security_credentials(credentials: &Credentials) -> Value {
    json!({
        "Code": "Success",
        "LastUpdated": rfc3339(credentials.issued_unix_s),
        "Type": "AWS-HMAC",
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": *credentials.secret_access_key,
        "Token": *credentials.session_token,
        "Expiration": rfc3339(credentials.expires_unix_s),
    })
}

fn identity(facts: &Facts, heard: Option<&Heard>) -> Value {
    let architecture = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "accountId": heard.map_or(&facts.account, |heard| &heard.account),
        "architecture": architecture,
        "availabilityZone": facts.availability_zone,
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": null,
        "instanceId": facts.instance_id,
        "instanceType": null,
        "kernelId": null,
        "pendingTime": null,
        "privateIp": facts.address,
        "ramdiskId": null,
        "region": facts.region,
        "version": "2017-09-30",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_proto::instance;

    fn facts() -> Facts {
        Facts {
            instance_id: "i-0123456789abcdef0".to_owned(),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            availability_zone: "us-east-1b".to_owned(),
            address: "127.77.2.21".parse().unwrap(),
            hostname: "dynamo-node-b1".to_owned(),
        }
    }

    fn heard(role: &str, credentials: bool) -> Heard {
        let credentials = credentials.then(|| instance::Credentials {
            access_key_id: "ASIAONE".to_owned(),
            secret_access_key: "s3cr3t".to_owned(),
            session_token: "t0k3n".to_owned(),
            issued_unix_s: 1_000,
            expires_unix_s: 2_000,
        });
        let failure = instance::Failure { code: "AssumeRoleUnauthorizedAccess".to_owned(), message: "m".to_owned() };
        let failure = credentials.is_none().then_some(failure);
        let profile = instance::Profile {
            arn: "arn:aws:iam::111122223333:instance-profile/web".to_owned(),
            id: "AIPAONE".to_owned(),
            role: role.to_owned(),
            credentials,
            failure,
        };
        let told = instance::Instance { account_id: "444455556666".to_owned(), profile: Some(profile) };
        Heard::new(told, 1_000)
    }

    fn text(found: Found) -> String {
        match found {
            Found::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_listing_leads_to_documents() {
        let (facts, heard) = (facts(), heard("ops", true));
        let domain = |version: &str| find(&facts, None, &format!("/{version}/meta-data/services/domain"), 0);
        assert_eq!(domain("2009-04-04"), domain("latest"));
        assert_eq!((text(domain("latest")), domain("2009")), ("amazonaws.com".to_owned(), Found::Missing));
        let mut open = vec!["/latest/".to_owned()];
        let mut documents = 0;
        while let Some(path) = open.pop() {
            match find(&facts, Some(&heard), &path, 1_500) {
                Found::Text(names) if path.ends_with('/') => {
                    open.extend(names.lines().map(|name| match (path.as_str(), name) {
                        ("/latest/", folder) => format!("{path}{folder}/"),
                        _ => format!("{path}{name}"),
                    }));
                }
                Found::Text(_) | Found::Json(_) => documents += 1,
                Found::Missing | Found::Unavailable => panic!("{path} is listed but isn't there"),
            }
        }
        assert_eq!(documents, 11);
    }

    #[test]
    fn credentials_are_of_the_profiles_role_until_they_end() {
        let (facts, good) = (facts(), heard("ops", true));
        let roles = "/latest/meta-data/iam/security-credentials/";
        assert_eq!(text(find(&facts, Some(&good), roles, 1_500)), "ops");
        let Found::Json(json) = find(&facts, Some(&good), &format!("{roles}ops"), 1_500) else { panic!() };
        assert_eq!((&json["Code"], &json["AccessKeyId"]), (&json!("Success"), &json!("ASIAONE")));
        assert_eq!(json["Expiration"], "1970-01-01T00:33:20Z");
        assert_eq!(find(&facts, Some(&good), &format!("{roles}ops"), 2_000), Found::Unavailable);
        assert_eq!(find(&facts, Some(&good), &format!("{roles}other"), 1_500), Found::Missing);
        assert!(!format!("{good:?}").contains("s3cr3t"));
        assert!(!format!("{good:?}").contains("t0k3n"));
    }

    #[test]
    fn a_role_that_doesnt_trust_ec2_says_so_and_a_profile_without_a_role_has_no_credentials() {
        let facts = facts();
        let distrusted = heard("ops", false);
        let path = "/latest/meta-data/iam/security-credentials/ops";
        let Found::Json(json) = find(&facts, Some(&distrusted), path, 0) else { panic!() };
        assert_eq!(json["Code"], "AssumeRoleUnauthorizedAccess");
        let empty = heard("", false);
        assert_eq!(find(&facts, Some(&empty), path, 0), Found::Missing);
        assert_eq!(find(&facts, Some(&empty), "/latest/meta-data/iam/security-credentials/", 0), Found::Missing);
        assert!(matches!(find(&facts, Some(&empty), "/latest/meta-data/iam/info", 0), Found::Json(_)));
    }

    #[test]
    fn without_a_profile_there_is_no_iam() {
        let facts = facts();
        assert_eq!(find(&facts, None, "/latest/meta-data/iam/info", 0), Found::Missing);
        assert!(!text(find(&facts, None, "/latest/meta-data", 0)).contains("iam"));
        let Found::Json(json) = find(&facts, None, "/latest/dynamic/instance-identity/document", 0) else { panic!() };
        assert_eq!((&json["accountId"], &json["region"]), (&json!("111122223333"), &json!("us-east-1")));
    }
}
