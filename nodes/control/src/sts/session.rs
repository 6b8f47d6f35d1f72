//! Making temporary credentials.

use super::federated::Vouched;
use super::target::Target;
use crate::iam::check::{self, Tag, constraint};
use crate::iam::{Context, errors, shapes};
use breakwater_aws::sigv4::TOKEN_BYTES_MAX;
use breakwater_aws::{AwsError, Call, Credentials, Session, SessionMore};
use breakwater_iam::records::{self, Kind};
use breakwater_policy::{Policy, Use};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As messages and limits have it: seconds, at least 900.
pub fn duration(value: Option<i64>, default: i64, most: i64) -> Result<i64, AwsError> {
    let value = value.unwrap_or(default);
    if value < 900 {
        return Err(constraint(
            &value.to_string(),
            "durationSeconds",
            "Member must have value greater than or equal to 900",
        ));
    }
    if value > most {
        let words = format!("Member must have value less than or equal to {most}");
        return Err(constraint(&value.to_string(), "durationSeconds", &words));
    }
    Ok(value)
}

#[derive(Clone, Debug, Deserialize)]
pub struct PolicyArn {
    pub arn: String,
}

const POLICY_CHARACTERS_MAX: usize = 2_048;
const POLICY_ARNS_MAX: usize = 10;

fn too_large() -> AwsError {
    AwsError::new(
        "PackedPolicyTooLarge",
        400,
        "Serialized token too large for session: policies and tags are larger than a session can hold.",
    )
}

/// The policies that a session is made with, where AWS's model bounds the one in the request.
pub fn policies(inline: Option<&str>, arns: Option<&[PolicyArn]>) -> Result<(Vec<String>, Vec<String>), AwsError> {
    if let Some(inline) = inline.filter(|inline| inline.chars().count() > POLICY_CHARACTERS_MAX) {
        let begin: String = inline.chars().take(POLICY_CHARACTERS_MAX).collect();
        return Err(constraint(&begin, "policy", "Member must have length less than or equal to 2048"));
    }
    unbounded_policies(inline, arns)
}

/// As AssumeRole has them: the model doesn't bound their length, a session does.
pub fn unbounded_policies(
    inline: Option<&str>,
    arns: Option<&[PolicyArn]>,
) -> Result<(Vec<String>, Vec<String>), AwsError> {
    let arns: Vec<String> = arns.unwrap_or_default().iter().map(|p| p.arn.clone()).collect();
    if let Some(inline) = inline {
        bounded(inline, "policy", (1, usize::MAX), &POLICY_CHARACTERS)?;
    }
    let size = inline.map_or(0, |p| p.chars().count());
    if size > POLICY_CHARACTERS_MAX || arns.len() > POLICY_ARNS_MAX {
        return Err(too_large());
    }
    if let Some(inline) = inline {
        Policy::parse(inline, Use::Identity).map_err(|e| errors::malformed(e.0))?;
    }
    if let Some(wrong) = arns.iter().find(|arn| !arn.starts_with("arn:aws:iam::") || !arn.contains(":policy/")) {
        return Err(errors::validation(format!("ARN {wrong} is not a valid policy ARN.")));
    }
    Ok((inline.map(str::to_owned).into_iter().collect(), arns))
}

/// A regular expression of AWS's model, and which characters it stands for.
struct Pattern {
    words: &'static str,
    takes: fn(char) -> bool,
}

const NAME: Pattern = Pattern { words: "[\\w+=,.@-]*", takes: |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) };
const EXTERNAL_ID: Pattern =
    Pattern { words: "[\\w+=,.@:\\/-]*", takes: |c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c) };
const POLICY_CHARACTERS: Pattern = Pattern {
    words: "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
    takes: |c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'),
};

/// A value within the bounds of AWS's model, in the model's words.
fn bounded<'a>(
    value: &'a str,
    at: &str,
    (least, most): (usize, usize),
    pattern: &Pattern,
) -> Result<&'a str, AwsError> {
    let length = value.chars().count();
    let words = if length < least {
        format!("Member must have length greater than or equal to {least}")
    } else if length > most {
        format!("Member must have length less than or equal to {most}")
    } else if !value.chars().all(pattern.takes) {
        format!("Member must satisfy regular expression pattern: {}", pattern.words)
    } else {
        return Ok(value);
    };
    Err(constraint(value, at, &words))
}

/// A session's name, or a source identity.
pub fn session_name<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    bounded(check::required(value, at)?, at, (2, 64), &NAME)
}

/// Who gets a federated user's session.
pub fn federated_name(value: Option<&str>) -> Result<&str, AwsError> {
    bounded(check::required(value, "name")?, "name", (2, 32), &NAME)
}

pub fn external_id(value: Option<&str>) -> Result<(), AwsError> {
    value.map_or(Ok(()), |id| bounded(id, "externalId", (2, 1_224), &EXTERNAL_ID).map(|_| ()))
}

/// A session of now, that lasts so long; its maker fills in what else there is.
pub fn begin(ctx: &Context, call: &Call, arn: String, user_id: String, lasts_s: i64) -> Session {
    let now = ctx.now();
    Session {
        access_key_id: shapes::temporary_id(&call.principal.account),
        secret: crate::iam::secrets::new_secret().to_string(),
        account: call.principal.account.clone(),
        arn,
        role: None,
        user_id,
        issued_unix_s: now,
        expires_unix_s: now + lasts_s,
        mfa_unix_s: None,
        policies: Vec::new(),
        policy_arns: Vec::new(),
        tags: Vec::new(),
        source_identity: None,
        more: SessionMore::default(),
    }
}

pub const FURTHER_ACTIONS: &[&str] = &["sts:TagSession", "sts:SetSourceIdentity"];

/// What the caller needs beside, for a session with tags of its own or with a source identity.
pub fn further_actions(tags: bool, source_identity: bool) -> Vec<&'static str> {
    [(tags, "sts:TagSession"), (source_identity, "sts:SetSourceIdentity")]
        .into_iter()
        .filter_map(|(needed, action)| needed.then_some(action))
        .collect()
}

/// The answer's beginning, with the credentials of a session of a role that lasts so long; `policies` are documents and
/// ARNs.
pub fn assumed(
    ctx: &Context,
    call: &Call,
    target: &Target,
    vouched: Vouched,
    lasts_s: i64,
    policies: (Vec<String>, Vec<String>),
    more: impl FnOnce(&mut Session),
) -> Result<Value, AwsError> {
    let (Target { account, role }, name) = (target, vouched.name);
    let arn = format!("arn:aws:sts::{account}:assumed-role/{}/{name}", role.name);
    let id = format!("{}:{name}", role.id);
    let user = json!({"AssumedRoleId": id, "Arn": arn});
    let mut session = begin(ctx, call, arn, id, lasts_s);
    session.account = account.clone();
    session.access_key_id = shapes::temporary_id(account);
    session.role = Some((role.name.clone(), records::arn(account, Kind::Role, &role.path, &role.name)));
    (session.policies, session.policy_arns) = policies;
    session.tags = vouched.tags;
    session.source_identity = vouched.source_identity;
    session.more.transitive_tag_keys = vouched.transitive;
    more(&mut session);
    let mut answer = begun(ctx, &session)?;
    answer["AssumedRoleUser"] = user;
    if let Some(source) = &session.source_identity {
        answer["SourceIdentity"] = source.as_str().into();
    }
    Ok(answer)
}

/// Session tags as AWS bounds them, and which of them go on: those must be among them.
pub fn tags(tags: &[Tag], transitive: &[String]) -> Result<(), AwsError> {
    // With IAM's words, and STS's code: its model knows no other one for them.
    check::tag(&mut BTreeMap::new(), tags).map_err(|e| errors::validation(e.message))?;
    match transitive.iter().all(|key| tags.iter().any(|tag| tag.key.to_lowercase() == key.to_lowercase())) {
        true => Ok(()),
        false => Err(errors::validation("The specified transitive tag key must be included in the requested tags.")),
    }
}

/// As events have them.
pub fn told_tags(tags: &[(String, String)]) -> Value {
    Value::Object(tags.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect())
}

/// What policies and tags take of a token, in percent of what it has for them; none where there are none.
fn packed_percent(session: &Session, token_bytes: usize) -> Option<usize> {
    let tags = session.tags.iter().flat_map(|(key, value)| [key, value]);
    let packed: usize = session.policies.iter().chain(&session.policy_arns).chain(tags).map(String::len).sum();
    // A token is written in base64.
    let (most, all) = (TOKEN_BYTES_MAX / 4 * 3, token_bytes / 4 * 3);
    let room = most - all.saturating_sub(packed).min(most - 1);
    (packed > 0).then(|| (packed * 100).div_ceil(room))
}

/// An answer's beginning: `Credentials`, and `PackedPolicySize` where there is any.
pub fn begun(ctx: &Context, session: &Session) -> Result<Value, AwsError> {
    let token = ctx.keys.sessions().seal(session);
    let token = token.ok_or_else(|| AwsError::internal("no key to seal a session with"))?;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    let mut answer = json!({"Credentials": {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": token,
        "Expiration": shapes::time(session.expires_unix_s),
    }});
    if let Some(percent) = packed_percent(session, token.len()) {
        answer["PackedPolicySize"] = percent.into();
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    fn told<T: std::fmt::Debug>(refused: Result<T, AwsError>) -> (String, String) {
        let refused = refused.unwrap_err();
        (refused.code.to_string(), refused.message.to_string())
    }

    #[test]
    fn what_is_packed_is_told_in_percent_of_what_there_is_room_for() {
        let session = |policy: usize| Session {
            access_key_id: String::new(),
            secret: String::new(),
            account: AccountId::new("111122223333").unwrap(),
            arn: String::new(),
            role: None,
            user_id: String::new(),
            issued_unix_s: 0,
            expires_unix_s: 0,
            mfa_unix_s: None,
            policies: vec!["x".repeat(policy)],
            policy_arns: Vec::new(),
            tags: Vec::new(),
            source_identity: None,
            more: SessionMore::default(),
        };
        // 1,024 bytes of 12,288 are of the session itself.
        let token = |packed: usize| (packed + 1_024) / 3 * 4;
        assert_eq!(packed_percent(&session(0), token(0)), None);
        assert_eq!(packed_percent(&session(1_126), token(1_126)), Some(10));
        assert_eq!(packed_percent(&session(11_264), token(11_264)), Some(100));
        assert!(packed_percent(&session(1 << 20), token(1 << 20)) > Some(100));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_in_the_models_words() {
        let failed = |value: &str, at: &str, words: &str| {
            let begin =
                format!("1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: ");
            ("ValidationError".to_owned(), begin + words)
        };
        let name = "Member must satisfy regular expression pattern: [\\w+=,.@-]*";
        assert_eq!(told(session_name(Some("a b"), "roleSessionName")), failed("a b", "roleSessionName", name));
        assert_eq!(told(federated_name(Some("a/b"))), failed("a/b", "name", name));
        let short = "Member must have length greater than or equal to 2";
        assert_eq!(told(session_name(Some(""), "roleSessionName")), failed("", "roleSessionName", short));
        assert_eq!(told(federated_name(Some("a"))), failed("a", "name", short));
        let long = "a".repeat(70);
        let words = |most| format!("Member must have length less than or equal to {most}");
        assert_eq!(told(session_name(Some(&long), "roleSessionName")), failed(&long, "roleSessionName", &words(64)));
        assert_eq!(told(federated_name(Some(&long))), failed(&long, "name", &words(32)));
        assert!(session_name(Some("ann@example.com_+=,.-"), "roleSessionName").is_ok());
        assert!(external_id(Some("a:b/c")).is_ok() && external_id(None).is_ok());
        let id = "Member must satisfy regular expression pattern: [\\w+=,.@:\\/-]*";
        assert_eq!(told(external_id(Some("a b"))), failed("a b", "externalId", id));
        let long = "a".repeat(1_225);
        assert_eq!(told(external_id(Some(&long))), failed(&long, "externalId", &words(1_224)));
    }

    #[test]
    fn a_long_policy_is_refused_by_the_model_or_by_the_session() {
        let statement = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        let padded = |length: usize| format!("{statement}{}", " ".repeat(length - statement.len()));
        assert!(policies(Some(&padded(2_048)), None).is_ok() && unbounded_policies(Some(&padded(2_048)), None).is_ok());
        let (code, message) = told(policies(Some(&padded(2_049)), None));
        assert_eq!(code, "ValidationError");
        assert!(
            message.ends_with(
                "at 'policy' failed to satisfy constraint: Member must have length less than or equal to 2048"
            )
        );
        assert_eq!(told(unbounded_policies(Some(&padded(2_049)), None)).0, "PackedPolicyTooLarge");
        for wrong in ["", "{\"a\": \"\u{100}\"}"] {
            assert_eq!(told(unbounded_policies(Some(wrong), None)).0, "ValidationError", "{wrong}");
        }
    }
}
