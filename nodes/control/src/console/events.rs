//! What signing in and out leaves in CloudTrail, as AWS records it.

use super::Console;
use super::asked::Asked;
use super::session::Person;
use breakwater_aws::AwsError;
use breakwater_aws::audit::{self, Event};
use breakwater_types::{AccountId, rfc3339};
use serde_json::{Value, json};

/// AWS's words where the name isn't anybody's: it may well be a password that went into the wrong field.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";
const AGENT_CHARACTERS_MAX: usize = 1_024;

pub enum Whom<'a> {
    Known(&'a Person),
    Unknown(&'a AccountId),
}

pub struct SignIn<'a> {
    /// As `ConsoleLogin`.
    pub name: &'static str,
    pub whom: Whom<'a>,
    /// None where it succeeded.
    pub failure: Option<&'static str>,
    pub mfa: Option<&'a str>,
}

fn identity(whom: &Whom<'_>) -> Value {
    match whom {
        Whom::Unknown(account) => {
            json!({"type": "IAMUser", "accountId": account, "accessKeyId": "", "userName": HIDDEN})
        }
        Whom::Known(person) => {
            let mut who = json!({
                "type": if person.user.is_some() { "IAMUser" } else { "Root" },
                "principalId": person.id,
                "arn": person.arn,
                "accountId": person.account,
            });
            match &person.user {
                Some(name) => who["userName"] = name.as_str().into(),
                None => who["accessKeyId"] = "".into(),
            }
            who
        }
    }
}

fn event(region: &str, asked: &Asked, unix_ms: i64, of: &SignIn<'_>) -> Event {
    let id = audit::new_id();
    let account = match &of.whom {
        Whom::Known(person) => &person.account,
        Whom::Unknown(account) => account,
    };
    let outcome = if of.failure.is_none() { "Success" } else { "Failure" };
    let host = asked.host.as_deref().unwrap_or_default();
    let scheme = if asked.tls.is_some() { "https" } else { "http" };
    let agent = asked.user_agent().map(|agent| agent.chars().take(AGENT_CHARACTERS_MAX).collect::<String>());
    let mut record = json!({
        "eventVersion": "1.08",
        "userIdentity": identity(&of.whom),
        "eventTime": rfc3339(unix_ms.div_euclid(1_000)),
        "eventSource": "signin.amazonaws.com",
        "eventName": of.name,
        "awsRegion": region,
        "sourceIPAddress": asked.source.ip().to_canonical().to_string(),
        "userAgent": agent,
    });
    if let Some(why) = of.failure {
        record["errorMessage"] = why.into();
    }
    record["requestParameters"] = Value::Null;
    record["responseElements"] = json!({ of.name: outcome });
    let mut more = json!({
        "LoginTo": format!("{scheme}://{host}{}", super::PATH),
        "MobileVersion": "No",
        "MFAUsed": if of.mfa.is_some() { "Yes" } else { "No" },
    });
    if let Some(device) = of.mfa {
        more["MFAIdentifier"] = device.into();
    }
    record["additionalEventData"] = more;
    record["eventID"] = audit::uuid(id).into();
    record["readOnly"] = false.into();
    record["eventType"] = "AwsConsoleSignIn".into();
    record["managementEvent"] = true.into();
    record["recipientAccountId"] = account.as_str().into();
    record["eventCategory"] = "Management".into();
    if let Some(tls) = &asked.tls {
        record["tlsDetails"] =
            json!({"tlsVersion": tls.version, "cipherSuite": tls.cipher, "clientProvidedHostHeader": host});
    }
    Event {
        account: account.clone(),
        unix_ms,
        id,
        done: of.failure.is_none(),
        access_key_id: String::new(),
        user_name: match &of.whom {
            Whom::Known(person) => person.name().to_owned(),
            Whom::Unknown(_) => HIDDEN.to_owned(),
        },
        resources: Vec::new(),
        record: record.to_string(),
    }
}

impl Console {
    /// Nobody is answered before it is kept.
    pub async fn record(&self, asked: &Asked, of: SignIn<'_>) -> Result<(), AwsError> {
        if !self.recorder.is_active() {
            return Ok(());
        }
        let event = event(self.region.as_str(), asked, self.iam.clock.unix_ms(), &of);
        self.recorder.record(vec![event], self.deadline()).await
    }
}
