//! Request parameters and response elements: CloudTrail's spelling, without secrets, within bounds.

use crate::json::lower_first;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Of request parameters, and of response elements; more is left out, as AWS does.
pub(super) const ELEMENTS_BYTES_MAX: usize = 100 * 1024;
/// Of an error's message, and of a client's name for itself.
const TEXT_CHARACTERS_MAX: usize = 1_024;

/// Members that hold secrets, wherever they stand: they are left out. Compared without case.
pub const SECRETS: &[&str] = &[
    "AddPrivateKey",
    "AuthenticationCode1",
    "AuthenticationCode2",
    "Base32StringSeed",
    "ClientSecret",
    "NewPassword",
    "OldPassword",
    "Password",
    "PrivateKey",
    "QRCodePNG",
    "SAMLAssertion",
    "SecretAccessKey",
    "SecretBinary",
    "SecretString",
    "ServiceCredentialSecret",
    "ServicePassword",
    "ServiceSpecificCredentialSecret",
    "SessionToken",
    "TokenCode",
    "WebIdentityToken",
];

/// Ends the first line of every private key in PEM.
const PRIVATE_KEY: &str = "PRIVATE KEY-----";
/// AWS's words for what isn't told.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Members of forms that are no texts. A name means the same in all services of the Query protocol: a test asks
/// botocore's models.
const NUMBERS: &[&str] = &[
    "CredentialAgeDays",
    "DurationSeconds",
    "MaxItems",
    "MaxPasswordAge",
    "MaxSessionDuration",
    "MinimumPasswordLength",
    "PasswordReusePrevention",
    "SessionDuration",
];
const FLAGS: &[&str] = &[
    "AllUsers",
    "AllowUsersToChangePassword",
    "DelegationPermissionCheck",
    "HardExpiry",
    "OnlyAttached",
    "OnlySendByOwner",
    "PasswordResetRequired",
    "RequireLowercaseCharacters",
    "RequireNumbers",
    "RequireSymbols",
    "RequireUppercaseCharacters",
    "SetAsDefault",
];
/// Members of the same services' answers.
const TIMES: &[&str] = &[
    "CreateDate",
    "EnableDate",
    "Expiration",
    "ExpirationDate",
    "ExpirationTime",
    "GeneratedTime",
    "JobCompletionDate",
    "JobCreationDate",
    "LastAccessedTime",
    "LastAuthenticated",
    "LastAuthenticatedTime",
    "LastUsedDate",
    "PasswordLastUsed",
    "Timestamp",
    "UpdateDate",
    "UpdatedTime",
    "UploadDate",
    "ValidUntil",
];

/// As `Nov 30, 2024, 8:43:17 PM`.
const QUERY_TIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[month repr:short] [day padding:none], [year], [hour repr:12 padding:none]:[minute]:[second] [period]"
);

/// As events of the Query protocol's services have times in their answers.
pub fn answer_time(unix_s: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(QUERY_TIME).unwrap_or_default()
}

/// Of which kind of message members are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    Json,
    /// Forms hold texts alone; events tell of what they mean.
    Form,
    /// Of an answer in XML.
    FormAnswer,
}

impl Members {
    fn value(self, name: &str, text: &str) -> Option<Value> {
        match self {
            Members::Form if NUMBERS.contains(&name) => text.parse::<i64>().ok().map(Value::from),
            Members::Form if FLAGS.contains(&name) => text.parse::<bool>().ok().map(Value::from),
            Members::FormAnswer if TIMES.contains(&name) => {
                let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
                Some(answer_time(at.unix_timestamp()).into())
            }
            _ => None,
        }
    }

    /// With CloudTrail's spelling of members, and without secrets.
    fn told(self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let hidden = |name: &str| SECRETS.iter().any(|s| s.eq_ignore_ascii_case(name));
                // What AWS spells with a capital is what was read; the same name without one isn't told in its place.
                let shadowed = |name: &str| capitalized(name).is_some_and(|read| members.contains_key(&read));
                let read = members.iter().filter(|(name, _)| !hidden(name) && !shadowed(name));
                let told = read.map(|(name, value)| {
                    let read = value.as_str().and_then(|text| self.value(name, text));
                    (lower_first(name), read.unwrap_or_else(|| self.told(value)))
                });
                Value::Object(told.collect())
            }
            Value::Array(all) => Value::Array(all.iter().map(|one| self.told(one)).collect()),
            // Also where it was sent by mistake, as in front of a certificate.
            Value::String(text) if text.contains(PRIVATE_KEY) => HIDDEN.into(),
            other => other.clone(),
        }
    }
}

/// None where it is so already.
fn capitalized(name: &str) -> Option<String> {
    let first = name.chars().next().filter(char::is_ascii_lowercase)?;
    Some(format!("{}{}", first.to_ascii_uppercase(), &name[1..]))
}

/// With `more` of what isn't in the message itself. Null where there is nothing to tell.
pub(super) fn elements(members: Members, value: &Value, more: &Map<String, Value>, bytes_max: usize) -> Value {
    let mut told = members.told(value);
    if !more.is_empty() {
        if !told.is_object() {
            told = json!({});
        }
        if let Value::Object(all) = &mut told {
            all.extend(more.clone());
        }
    }
    match &told {
        Value::Object(members) if members.is_empty() => return Value::Null,
        Value::Null => return Value::Null,
        _ => {}
    }
    let size = told.to_string().len();
    if size > bytes_max { omitted(size) } else { told }
}

/// In place of what is too long, as AWS has it.
pub fn omitted(size: usize) -> Value {
    json!({"omitted": true, "originalSize": size, "reason": "SIZE_LIMIT_EXCEEDED"})
}

/// A text that isn't a member of its own: an error's message, which may repeat what was sent.
pub(super) fn told_text(text: &str) -> String {
    match text.contains(PRIVATE_KEY) {
        true => HIDDEN.to_owned(),
        false => shortened(text),
    }
}

pub(super) fn shortened(text: &str) -> String {
    text.chars().take(TEXT_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage;

    #[test]
    fn secrets_are_left_out_wherever_they_stand() {
        let request =
            json!({"UserName": "ann", "Password": "x", "Nested": [{"SecretAccessKey": "y", "qRCodePng": "z"}]});
        assert_eq!(Members::Json.told(&request), json!({"userName": "ann", "nested": [{}]}));
        let misplaced = json!({"CertificateBody": "-----BEGIN RSA PRIVATE KEY-----\nMII"});
        assert_eq!(Members::Json.told(&misplaced), json!({"certificateBody": HIDDEN}));
        assert_eq!(told_text("Value '-----BEGIN PRIVATE KEY-----\nMII' failed"), HIDDEN);
    }

    #[test]
    fn what_is_too_long_is_left_out_and_what_is_empty_is_null() {
        let none = Map::new();
        assert_eq!(elements(Members::Json, &json!({}), &none, ELEMENTS_BYTES_MAX), Value::Null);
        assert_eq!(elements(Members::Json, &json!({"Password": "x"}), &none, ELEMENTS_BYTES_MAX), Value::Null);
        let long = elements(
            Members::Json,
            &json!({"PolicyDocument": "x".repeat(ELEMENTS_BYTES_MAX)}),
            &none,
            ELEMENTS_BYTES_MAX,
        );
        assert_eq!(long["omitted"], true);
    }

    #[test]
    fn what_a_form_means_is_told_and_times_as_cloudtrail_writes_them() {
        let request = json!({"DurationSeconds": "900", "SetAsDefault": "true", "Name": "900", "MaxItems": "many"});
        let told = json!({"durationSeconds": 900, "setAsDefault": true, "name": "900", "maxItems": "many"});
        assert_eq!(Members::Form.told(&request), told);
        let answer = json!({"Credentials": {"Expiration": "2024-11-30T20:43:17Z"}, "Value": "2024-11-30T20:43:17Z"});
        let told = json!({"credentials": {"expiration": "Nov 30, 2024, 8:43:17 PM"}, "value": "2024-11-30T20:43:17Z"});
        assert_eq!(Members::FormAnswer.told(&answer), told);
        assert_eq!(Members::Json.told(&answer)["credentials"]["expiration"], "2024-11-30T20:43:17Z");
        let twice = json!({"Tags": [{"Key": "team", "Value": "red", "value": "blue"}]});
        assert_eq!(Members::Form.told(&twice), json!({"tags": [{"key": "team", "value": "red"}]}));
        let more = Map::from_iter([("principalTags".to_owned(), json!({"a": "b"}))]);
        assert_eq!(elements(Members::Form, &Value::Null, &more, 99), json!({"principalTags": {"a": "b"}}));
    }

    #[test]
    fn members_that_are_no_texts_are_those_of_awss_models() {
        for service in ["iam", "sts"] {
            let Some(members) = coverage::botocore_members(service) else {
                return eprintln!("skipped: no python3 with botocore here");
            };
            assert!(members.len() > 20, "{service}");
            for (direction, name, kind) in members {
                let (listed, is) = match direction.as_str() {
                    "input" => (
                        (NUMBERS.contains(&&*name), FLAGS.contains(&&*name)),
                        (["integer", "long"].contains(&&*kind), kind == "boolean"),
                    ),
                    _ => ((TIMES.contains(&&*name), false), (kind == "timestamp", false)),
                };
                assert_eq!(listed, is, "{service}: {name} of an {direction} is a {kind}");
            }
        }
    }
}
