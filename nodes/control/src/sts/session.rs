//! Making temporary credentials.

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

/// The policies that a session is made with.
pub fn policies(inline: Option<&str>, arns: Option<&[PolicyArn]>) -> Result<(Vec<String>, Vec<String>), AwsError> {
    let arns: Vec<String> = arns.unwrap_or_default().iter().map(|p| p.arn.clone()).collect();
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

/// A session's name, or a source identity.
pub fn session_name<'a>(value: Option<&'a str>, at: &str) -> Result<&'a str, AwsError> {
    let value = check::name(value, at, 64)?;
    match value.len() {
        1 => Err(constraint(value, at, "Member must have length greater than or equal to 2")),
        _ => Ok(value),
    }
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

/// A session of a role, that lasts so long, with the `AssumedRoleUser` of the answer.
pub fn of_role(ctx: &Context, call: &Call, target: &Target, name: &str, lasts_s: i64) -> (Session, Value) {
    let Target { account, role } = target;
    let arn = format!("arn:aws:sts::{account}:assumed-role/{}/{name}", role.name);
    let id = format!("{}:{name}", role.id);
    let user = json!({"AssumedRoleId": id, "Arn": arn});
    let mut session = begin(ctx, call, arn, id, lasts_s);
    session.account = account.clone();
    session.access_key_id = shapes::temporary_id(account);
    session.role = Some((role.name.clone(), records::arn(account, Kind::Role, &role.path, &role.name)));
    (session, user)
}

/// Session tags as AWS bounds them, and which of them go on: those must be among them.
pub fn tags(tags: &[Tag], transitive: &[String]) -> Result<(), AwsError> {
    check::tag(&mut BTreeMap::new(), tags)?;
    match transitive.iter().all(|key| tags.iter().any(|tag| tag.key.to_lowercase() == key.to_lowercase())) {
        true => Ok(()),
        false => Err(errors::validation("The specified transitive tag key must be included in the requested tags.")),
    }
}

/// The `Credentials` of an answer.
pub fn credentials(ctx: &Context, session: &Session) -> Result<Value, AwsError> {
    let token = ctx.keys.sessions().seal(session);
    let token = token.ok_or_else(|| AwsError::internal("no key to seal a session with"))?;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(too_large());
    }
    Ok(json!({
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret,
        "SessionToken": token,
        "Expiration": shapes::time(session.expires_unix_s),
    }))
}
