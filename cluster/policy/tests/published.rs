//! Policies and decisions that AWS's documentation describes, as data: `published.json` names each one's page.

use breakwater_policy::{Caller, CallerKind, Context, Named, Policy, Question, Sources, Use, decide};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Example {
    from: String,
    identity: Option<Value>,
    boundary: Option<Value>,
    session: Option<Value>,
    resource: Option<Value>,
    #[serde(default = "here")]
    account: String,
    #[serde(default)]
    resource_must_allow: bool,
    #[serde(rename = "use")]
    used: Option<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    caller: String,
    action: String,
    resource: String,
    context: serde_json::Map<String, Value>,
    allowed: bool,
}

fn here() -> String {
    "111122223333".to_owned()
}

fn policy(statements: &Value, used: Use) -> Policy {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Policy::parse(&document, used).unwrap_or_else(|e| panic!("{document}: {e}"))
}

fn caller(text: &str) -> Caller {
    let account = text.split(':').nth(4).unwrap_or_default().to_owned();
    let kind = if let Some(provider) = text.strip_prefix("web:") {
        CallerKind::WebIdentity { provider: format!("arn:aws:iam::111122223333:oidc-provider/{provider}") }
    } else if text.ends_with(".amazonaws.com") {
        CallerKind::Service { name: text.to_owned() }
    } else if text.ends_with(":root") {
        CallerKind::Root
    } else if let Some((_, session)) = text.split_once(":assumed-role/") {
        let name = session.split('/').next().unwrap();
        CallerKind::Role { role: format!("arn:aws:iam::{account}:role/{name}") }
    } else {
        CallerKind::User
    };
    Caller { arn: text.to_owned(), account, kind }
}

#[test]
fn decisions_are_those_that_aws_documents() {
    let examples: Vec<Example> = serde_json::from_str(include_str!("published.json")).unwrap();
    assert!(examples.len() >= 60);
    let mut wrong = Vec::new();
    for example in &examples {
        let identity = example.identity.iter().flat_map(|s| s.as_array().unwrap()).collect::<Vec<_>>();
        let identity = (!identity.is_empty()).then(|| policy(&json!(identity), Use::Identity));
        let boundary = example.boundary.as_ref().map(|s| policy(s, Use::Identity));
        let session = example.session.as_ref().map(|s| policy(s, Use::Identity));
        let used = if example.used.as_deref() == Some("Trust") { Use::Trust } else { Use::Resource };
        let resource = example.resource.as_ref().map(|s| policy(s, used));
        let named = |policy| Named { name: "p", policy };
        let identity: Vec<Named<'_>> = identity.as_ref().map(named).into_iter().collect();
        let session: Option<Vec<Named<'_>>> = session.as_ref().map(|p| vec![named(p)]);
        let sources = Sources {
            identity: &identity,
            boundary: boundary.as_ref().map(named),
            session: session.as_deref(),
            resource: resource.as_ref().map(named),
            resource_must_allow: example.resource_must_allow,
        };
        for case in &example.cases {
            let mut context = Context::default();
            for (key, value) in &case.context {
                match value {
                    Value::Array(many) => {
                        context.set_many(key.clone(), many.iter().map(|v| v.as_str().unwrap().to_owned()).collect());
                    }
                    one => context.set(key.clone(), one.as_str().unwrap()),
                }
            }
            let caller = caller(&case.caller);
            let question = Question {
                caller: &caller,
                action: &case.action,
                resource: &case.resource,
                account: &example.account,
                context: &context,
            };
            let decision = decide(&question, &sources);
            if decision.is_allowed() != case.allowed {
                wrong.push(format!(
                    "{}: {} {} {:?}: {decision:?}",
                    example.from, case.action, case.resource, case.context
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
