//! What decides who may do what: policy documents, session tokens, forms.

use breakwater_aws::query::{self, Form};
use breakwater_aws::{Session, SessionKeys};
use breakwater_policy::{Caller, CallerKind, Context, Named, Policy, Question, Sources, Use, decide};
use breakwater_types::AccountId;
use std::sync::OnceLock;
use zeroize::Zeroizing;

const ACCOUNT: &str = "111122223333";

/// What can be read decides without a panic, and never against a denial.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
    let deny = Policy::parse(deny, Use::Identity).expect("a policy");
    let caller =
        Caller { arn: format!("arn:aws:iam::{ACCOUNT}:user/ann"), account: ACCOUNT.to_owned(), kind: CallerKind::User };
    let mut context = Context::default();
    context.set("aws:username", "ann*");
    context.set("aws:SourceIp", "203.0.113.7");
    context.set("aws:CurrentTime", "2026-11-24T00:00:00Z");
    context.set_many("aws:TagKeys", vec!["a".to_owned(), "b".to_owned()]);
    for used in [Use::Identity, Use::Resource, Use::Trust] {
        let Ok(policy) = Policy::parse(text, used) else { continue };
        for (action, resource) in [
            ("dynamodb:GetItem", "arn:aws:dynamodb:us-east-1:111122223333:table/t"),
            ("iam:CreateUser", "*"),
            ("sts:AssumeRole", "arn:aws:iam::111122223333:role/r"),
        ] {
            let question = Question { caller: &caller, action, resource, account: ACCOUNT, context: &context };
            let named = Named { name: "p", policy: &policy };
            let sources = match used {
                Use::Identity | Use::Managed => Sources { identity: &[named], ..Sources::default() },
                Use::Resource | Use::Trust => Sources { resource: Some(named), ..Sources::default() },
            };
            let alone = decide(&question, &sources);
            assert_eq!(alone, decide(&question, &sources));
            let with = [named, Named { name: "deny", policy: &deny }];
            let sources = match used {
                Use::Identity | Use::Managed => Sources { identity: &with, ..Sources::default() },
                Use::Resource | Use::Trust => {
                    Sources { identity: &with[1..], resource: Some(named), ..Sources::default() }
                }
            };
            assert!(!decide(&question, &sources).is_allowed(), "a denial was passed over");
        }
    }
}

fn keys() -> &'static SessionKeys {
    static KEYS: OnceLock<SessionKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let keys = SessionKeys::default();
        keys.replace([(1, Zeroizing::new(vec![7; 32]))]);
        keys
    })
}

/// A token of the key that the target knows, for its corpus.
pub fn sample_token(tags: usize) -> String {
    let session = Session {
        access_key_id: "ASIAFUZZ".to_owned(),
        secret: "secret".to_owned(),
        account: AccountId::new(ACCOUNT).expect("an account"),
        arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s"),
        role: Some(("r".to_owned(), format!("arn:aws:iam::{ACCOUNT}:role/r"))),
        user_id: "AROA:s".to_owned(),
        issued_unix_s: 1_795_448_000,
        expires_unix_s: 1_795_451_600,
        mfa_unix_s: None,
        policies: vec![],
        policy_arns: vec![],
        tags: (0..tags).map(|n| (n.to_string(), "x".repeat(n))).collect(),
        source_identity: None,
        more: Default::default(),
    };
    keys().seal(&session).expect("there is a key")
}

/// Nobody without the key makes a token: the corpus has the only good ones.
pub(crate) fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(opened) = keys().open(text) {
        assert_eq!(opened.session.access_key_id, "ASIAFUZZ");
        assert_eq!(opened.principal.session.as_ref(), Some(&opened.session));
    }
}

/// A form becomes JSON, and any JSON becomes XML.
pub(crate) fn form(data: &[u8]) {
    let Ok(form) = Form::parse(data) else { return };
    let Ok(json) = form.into_json() else { return };
    let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert!(value.is_object() || value.is_array());
    query::answer("Op", "urn:x", "id", &json).expect("XML");
}
