//! What names, paths, tags and documents must be like, in the framework's words.

use super::errors::{invalid_input, malformed, quota, validation};
use super::policies::DOCUMENT_MAX;
pub use breakwater_aws::query::list;
use breakwater_aws::{AwsError, ConditionKeys};
use breakwater_policy::{Policy, Use};
use serde::Deserialize;
use std::collections::BTreeMap;

pub fn constraint(value: &str, at: &str, constraint: &str) -> AwsError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: {constraint}"
    ))
}

/// A parameter that must be there.
pub fn required<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    value.ok_or_else(|| {
        validation(format!(
            "1 validation error detected: Value null at '{at}' failed to satisfy constraint: Member must not be null"
        ))
    })
}

/// What AWS's model bounds. Operations look at it before a policy's patterns are compared with it, so that nobody pays for
/// a megabyte's comparison.
pub fn at_most(value: Option<&str>, at: &str, most: usize) -> Result<(), AwsError> {
    match value.is_some_and(|value| value.chars().count() > most) {
        // What is that long isn't repeated.
        true => Err(constraint("", at, &format!("Member must have length less than or equal to {most}"))),
        false => Ok(()),
    }
}

pub fn arn(value: Option<&str>, at: &str) -> Result<(), AwsError> {
    at_most(value, at, 2_048)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

/// A name of IAM's, of at most `most` signs.
pub fn name<'a>(value: Option<&'a str>, at: &str, most: usize) -> Result<&'a str, AwsError> {
    let value = required(value, at)?;
    if value.is_empty() {
        return Err(constraint(value, at, "Member must have length greater than or equal to 1"));
    }
    if value.chars().count() > most {
        return Err(constraint(value, at, &format!("Member must have length less than or equal to {most}")));
    }
    if !value.chars().all(is_name) {
        return Err(validation(format!(
            "The specified value for {at} is invalid. It must contain only alphanumeric characters and/or the following: \
             +=,.@_-"
        )));
    }
    Ok(value)
}

/// `/` or `/division/team/`.
pub fn path(value: Option<&str>) -> Result<&str, AwsError> {
    let Some(value) = value else { return Ok("/") };
    let fits = value.starts_with('/')
        && value.ends_with('/')
        && (1..=512).contains(&value.len())
        && value.bytes().all(|b| (0x21..=0x7e).contains(&b));
    match fits {
        true => Ok(value),
        false => Err(validation(
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric \
             characters and/or / characters.",
        )),
    }
}

/// What a list's path must begin with.
pub fn path_prefix(value: Option<&str>) -> Result<&str, AwsError> {
    match value {
        None => Ok("/"),
        Some(value) if value.starts_with('/') && value.len() <= 512 => Ok(value),
        Some(value) => Err(constraint(
            value,
            "pathPrefix",
            "Member must satisfy regular expression pattern: \\u002F[\\u0021-\\u007F]*",
        )),
    }
}

/// What a list of policies, or of a policy's entities, is narrowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyUse {
    Permissions,
    Boundary,
}

pub fn policy_usage(value: Option<&str>) -> Result<Option<PolicyUse>, AwsError> {
    match value {
        None => Ok(None),
        Some("PermissionsPolicy") => Ok(Some(PolicyUse::Permissions)),
        Some("PermissionsBoundary") => Ok(Some(PolicyUse::Boundary)),
        Some(other) => {
            let words = "Member must satisfy enum value set: [PermissionsPolicy, PermissionsBoundary]";
            Err(constraint(other, "policyUsageFilter", words))
        }
    }
}

pub fn max_items(value: Option<i64>) -> Result<Option<usize>, AwsError> {
    match value {
        None => Ok(None),
        Some(n @ 1..=1_000) => Ok(usize::try_from(n).ok()),
        Some(n) if n < 1 => {
            Err(constraint(&n.to_string(), "maxItems", "Member must have value greater than or equal to 1"))
        }
        Some(n) => Err(constraint(&n.to_string(), "maxItems", "Member must have value less than or equal to 1000")),
    }
}

/// A policy's text of any kind, before it is read: AWS's model bounds it, white space and all.
fn document_text<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    const MOST: usize = 131_072;
    let value = required(value, at)?;
    if value.is_empty() {
        return Err(constraint(value, at, "Member must have length greater than or equal to 1"));
    }
    if value.chars().count() > MOST {
        return Err(constraint("", at, &format!("Member must have length less than or equal to {MOST}")));
    }
    Ok(value)
}

/// What quotas count of a policy's text: all but white space.
pub fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy's text that is to be written into an entity, whose quota all of its policies share.
pub fn document(value: Option<&str>) -> Result<&str, AwsError> {
    let value = document_text(value, "policyDocument")?;
    Policy::parse(value, Use::Identity).map_err(|e| malformed(e.0))?;
    Ok(value)
}

/// A managed policy's text, which has a quota of its own.
pub fn managed_document(value: Option<&str>) -> Result<&str, AwsError> {
    let value = document_text(value, "policyDocument")?;
    if size(value) > DOCUMENT_MAX {
        return Err(quota("PolicySize", DOCUMENT_MAX));
    }
    Policy::parse(value, Use::Managed).map_err(|e| malformed(e.0))?;
    Ok(value)
}

/// Who may assume a role.
pub fn trust<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    const MOST: usize = 2_048;
    let value = document_text(value, at)?;
    if size(value) > MOST {
        return Err(quota("ACLSizePerRole", MOST));
    }
    Policy::parse(value, Use::Trust).map_err(|e| malformed(e.0))?;
    Ok(value)
}

pub fn description(value: Option<&str>) -> Result<(), AwsError> {
    match value {
        Some(text) if text.chars().count() > 1_000 => {
            Err(constraint(text, "description", "Member must have length less than or equal to 1000"))
        }
        _ => Ok(()),
    }
}

/// How long sessions of a role may last: an hour to twelve.
pub fn session_s(value: Option<i64>) -> Result<u32, AwsError> {
    match value {
        None => Ok(3_600),
        Some(n @ 3_600..=43_200) => u32::try_from(n).map_err(AwsError::internal),
        Some(n) if n < 3_600 => Err(constraint(
            &n.to_string(),
            "maxSessionDuration",
            "Member must have value greater than or equal to 3600",
        )),
        Some(n) => {
            Err(constraint(&n.to_string(), "maxSessionDuration", "Member must have value less than or equal to 43200"))
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

fn is_tag(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c))
}

/// How many tags a request brings at most, and how long they are.
pub fn tag_lengths(tags: Option<&[Tag]>) -> Result<(), AwsError> {
    let tags = tags.unwrap_or_default();
    if tags.len() > TAGS_MAX {
        return Err(quota("TagsPerResource", TAGS_MAX));
    }
    for (n, tag) in (1..).zip(tags) {
        at_most(Some(&tag.key), &format!("tags.{n}.member.key"), TAG_KEY_MAX)?;
        at_most(Some(&tag.value), &format!("tags.{n}.member.value"), TAG_VALUE_MAX)?;
    }
    Ok(())
}

pub fn tag_keys(keys: Option<&[String]>) -> Result<(), AwsError> {
    let keys = keys.unwrap_or_default();
    if keys.len() > TAGS_MAX {
        let words = format!("Member must have length less than or equal to {TAGS_MAX}");
        return Err(constraint("", "tagKeys", &words));
    }
    (1..).zip(keys).try_for_each(|(n, key)| at_most(Some(key), &format!("tagKeys.{n}.member"), TAG_KEY_MAX))
}

/// Adds tags to those that are there.
pub fn tag(tags: &mut BTreeMap<String, String>, more: &[Tag]) -> Result<(), AwsError> {
    tag_lengths(Some(more))?;
    for (n, tag) in (1..).zip(more) {
        let (key, value) = (tag.key.as_str(), tag.value.as_str());
        if key.is_empty() {
            let at = format!("tags.{n}.member.key");
            return Err(constraint(key, &at, "Member must have length greater than or equal to 1"));
        }
        if !is_tag(key) || !is_tag(value) {
            let words = "Member must satisfy regular expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+";
            return Err(constraint(key, "tags", words));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid_input("System tags cannot be added/updated/deleted by requester"));
        }
        // Keys are the same in any case; the spelling that came first stays.
        let known = tags.keys().find(|known| known.to_lowercase() == key.to_lowercase()).cloned();
        tags.insert(known.unwrap_or_else(|| key.to_owned()), value.to_owned());
    }
    let twice = |at: usize| more[..at].iter().any(|t| t.key.to_lowercase() == more[at].key.to_lowercase());
    if (0..more.len()).any(twice) {
        return Err(invalid_input("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
    }
    if tags.len() > TAGS_MAX {
        return Err(quota("TagsPerResource", TAGS_MAX));
    }
    Ok(())
}

/// The condition keys of tags in a request, whose [`tag_lengths`] are known to be bounded.
pub fn request_tags(keys: &mut ConditionKeys, tags: Option<&[Tag]>) {
    let Some(tags) = tags.filter(|tags| !tags.is_empty()) else { return };
    keys.set_many("aws:TagKeys", tags.iter().map(|t| t.key.clone()).collect());
    for tag in tags {
        keys.set(format!("aws:RequestTag/{}", tag.key), tag.value.as_str());
    }
}

/// What who creates something with tags needs beside: else she could give herself what tag-based policies go by.
pub fn tagging(action: &'static str, tags: Option<&[Tag]>) -> Vec<&'static str> {
    tags.filter(|tags| !tags.is_empty()).map_or_else(Vec::new, |_| vec![action])
}

pub fn untag(tags: &mut BTreeMap<String, String>, keys: &[String]) {
    tags.retain(|key, _| !keys.iter().any(|k| k.to_lowercase() == key.to_lowercase()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        assert!(name(Some("a.b@c_d+e=f,g-h"), "userName", 64).is_ok());
        for bad in [None, Some(""), Some("a/b"), Some("a b"), Some("é")] {
            assert!(name(bad, "userName", 64).is_err(), "{bad:?}");
        }
        assert!(name(Some(&"a".repeat(65)), "userName", 64).is_err());
        assert!(path(None).is_ok() && path(Some("/a/b/")).is_ok());
        for bad in ["", "a/", "/a", "/a b/"] {
            assert!(path(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_conditions_compare_is_no_longer_than_awss_model_says() {
        let mut tags = BTreeMap::new();
        let long = "x".repeat(1_000_000);
        let one = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        for bad in [one(&long, "v"), one("k", &long)] {
            let refused = tag_lengths(Some(&[one("k", "v"), bad.clone()])).unwrap_err();
            assert_eq!(refused.code, "ValidationError");
            assert!(refused.message.contains("tags.2.member.") && refused.message.len() < 200, "{}", refused.message);
            assert!(tag(&mut tags, &[bad]).is_err() && tags.is_empty());
        }
        assert!(tag_lengths(Some(&vec![one("k", "v"); 51])).is_err() && tag_lengths(None).is_ok());
        assert!(tag_keys(Some(&["k".to_owned(), long.clone()])).is_err());
        assert!(tag_keys(Some(&vec!["k".to_owned(); 51])).is_err() && tag_keys(Some(&["k".repeat(128)])).is_ok());
        let refused = arn(Some(&long), "policyArn").unwrap_err();
        assert_eq!(refused.code, "ValidationError");
        assert!(arn(Some(&"x".repeat(2_048)), "policyArn").is_ok() && arn(None, "policyArn").is_ok());
    }

    #[test]
    fn white_space_counts_for_awss_model_and_not_for_quotas() {
        let spaced = |spaces: usize| {
            let start =
                r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole""#;
            format!("{start}{}}}}}", " ".repeat(spaces))
        };
        assert!(trust(Some(&spaced(130_000)), "policyDocument").is_ok());
        let refused = trust(Some(&spaced(900_000)), "assumeRolePolicyDocument").unwrap_err();
        assert_eq!(refused.code, "ValidationError");
        assert!(refused.message.contains("at 'assumeRolePolicyDocument'") && refused.message.len() < 300);
        assert_eq!(trust(Some(""), "policyDocument").unwrap_err().code, "ValidationError");
        let long = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*","Action":"s3:x"}}"#
            .replace("s3:x", &format!("s3:{}", "x".repeat(DOCUMENT_MAX)));
        assert_eq!(managed_document(Some(&long)).unwrap_err().message, "Cannot exceed quota for PolicySize: 6144");
        assert!(document(Some(&long)).is_ok(), "the entity's own quota bounds it");
    }

    #[test]
    fn tags_are_the_same_in_any_case_and_bounded() {
        let mut tags = BTreeMap::new();
        let one = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        tag(&mut tags, &[one("Team", "a")]).unwrap();
        tag(&mut tags, &[one("team", "b")]).unwrap();
        assert_eq!(tags, BTreeMap::from([("Team".to_owned(), "b".to_owned())]));
        assert!(tag(&mut tags.clone(), &[one("x", "1"), one("X", "2")]).is_err());
        assert!(tag(&mut tags.clone(), &[one("aws:x", "1")]).is_err());
        let many: Vec<Tag> = (0..50).map(|n| one(&n.to_string(), "")).collect();
        assert!(tag(&mut tags.clone(), &many).is_err());
        untag(&mut tags, &["TEAM".to_owned()]);
        assert!(tags.is_empty());
    }
}
