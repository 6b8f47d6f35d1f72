//! What holds for all policies.

use breakwater_policy::{
    Caller, CallerKind, Context, Layer, Named, Outcome, Policy, Question, Sources, Use, Why, decide,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";

fn statement(effect: &'static str) -> impl Strategy<Value = Value> {
    let action = prop_oneof![Just("*"), Just("s:*"), Just("s:Get*"), Just("s:Get"), Just("s:Put"), Just("t:?et")];
    let resource =
        prop_oneof![Just("*"), Just("arn:aws:s:::a*"), Just("arn:aws:s:::a"), Just("arn:aws:s:::${aws:username}")];
    let condition = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({"StringEquals": {"aws:username": "a"}})),
        1 => Just(json!({"StringNotLike": {"aws:username": "b*"}})),
        1 => Just(json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}})),
    ];
    (action, any::<bool>(), resource, any::<bool>(), condition).prop_map(
        move |(action, not, resource, other, condition)| {
            json!({
                "Effect": effect,
                if not { "NotAction" } else { "Action" }: action,
                if other { "NotResource" } else { "Resource" }: resource,
                "Condition": condition,
            })
        },
    )
}

fn statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(prop_oneof![3 => statement("Allow"), 1 => statement("Deny")], 1..5)
}

fn policy(statements: &[Value]) -> Policy {
    Policy::parse(&json!({"Version": "2012-10-17", "Statement": statements}).to_string(), Use::Identity).unwrap()
}

fn outcome(
    identity: &[Value],
    boundary: Option<&[Value]>,
    session: Option<&[Value]>,
    (action, resource, mfa): (&str, &str, bool),
) -> Outcome {
    let (identity, boundary, session) = (policy(identity), boundary.map(policy), session.map(policy));
    let named = |policy| Named { name: "p", policy };
    let session: Option<Vec<Named<'_>>> = session.as_ref().map(|p| vec![named(p)]);
    let caller =
        Caller { arn: format!("arn:aws:iam::{ACCOUNT}:user/a"), account: ACCOUNT.to_owned(), kind: CallerKind::User };
    let mut context = Context::default();
    context.set("aws:username", "a");
    if mfa {
        context.set("aws:MultiFactorAuthPresent", "true");
    }
    let question = Question { caller: &caller, action, resource, account: ACCOUNT, context: &context };
    let identity = [named(&identity)];
    let sources = Sources {
        identity: &identity,
        boundary: boundary.as_ref().map(named),
        session: session.as_deref(),
        resource: None,
        resource_must_allow: false,
    };
    decide(&question, &sources).outcome
}

fn asked() -> impl Strategy<Value = (&'static str, &'static str, bool)> {
    let action = prop_oneof![Just("s:Get"), Just("s:Put"), Just("t:Get")];
    let resource = prop_oneof![Just("*"), Just("arn:aws:s:::a"), Just("arn:aws:s:::ab"), Just("arn:aws:s:::c")];
    (action, resource, any::<bool>())
}

proptest! {
    #[test]
    fn an_explicit_deny_always_wins(all in statements(), at in 0usize..5, asked in asked()) {
        let mut all = all;
        all.insert(at.min(all.len()), json!({"Effect": "Deny", "Action": asked.0, "Resource": asked.1}));
        prop_assert_eq!(outcome(&all, None, None, asked), Outcome::Denied(Why::Explicit(Layer::Identity)));
    }

    #[test]
    fn adding_a_deny_never_allows_more(all in statements(), deny in statement("Deny"), asked in asked()) {
        let before = outcome(&all, None, None, asked);
        let mut more = all;
        more.push(deny);
        prop_assert!(before == Outcome::Allowed || outcome(&more, None, None, asked) != Outcome::Allowed);
    }

    #[test]
    fn adding_an_allow_never_denies_more(all in statements(), allow in statement("Allow"), asked in asked()) {
        let before = outcome(&all, None, None, asked);
        let mut more = all;
        more.push(allow);
        prop_assert!(before != Outcome::Allowed || outcome(&more, None, None, asked) == Outcome::Allowed);
    }

    #[test]
    fn a_boundary_and_a_session_policy_never_allow_more(all in statements(), bound in statements(), asked in asked()) {
        let alone = outcome(&all, None, None, asked);
        for (boundary, session) in [(Some(&bound[..]), None), (None, Some(&bound[..])), (Some(&bound[..]), Some(&bound[..]))] {
            prop_assert!(alone == Outcome::Allowed || outcome(&all, boundary, session, asked) != Outcome::Allowed);
        }
    }

    #[test]
    fn the_order_of_statements_decides_nothing(all in statements(), asked in asked()) {
        let mut turned = all.clone();
        turned.reverse();
        prop_assert_eq!(outcome(&all, None, None, asked), outcome(&turned, None, None, asked));
    }

    #[test]
    fn no_text_panics(text in ".{0,200}") {
        for used in [Use::Identity, Use::Managed, Use::Resource, Use::Trust] {
            let _ = Policy::parse(&text, used);
            let wrapped = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": text, "Resource": text,
                "Condition": {"StringLike": {"a:b": text}, "IpAddress": {"a:b": text}}}});
            let _ = Policy::parse(&wrapped.to_string(), used);
        }
    }
}

#[test]
fn refusals_are_in_awss_words() {
    let words = |document: &str, used| Policy::parse(document, used).unwrap_err().0;
    let one = |statement: Value| json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    let allow = json!({"Effect": "Allow", "Action": "s3:Get", "Resource": "*"});
    let with = |name: &str, value: Value| {
        let mut changed = allow.clone();
        changed[name] = value;
        one(changed)
    };
    let without = |name: &str| {
        let mut changed = allow.clone();
        changed.as_object_mut().unwrap().remove(name);
        one(changed)
    };
    let syntax = "Syntax errors in policy.";
    for document in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{".repeat(100_000),
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        with("Effect", json!("Maybe")),
        with("Action", json!(5)),
        with("Action", json!([["x:y"]])),
        with("Other", json!("x")),
        with("NotAction", json!("s3:Put")),
        with("Condition", json!([])),
        with("Condition", json!({"StringEquals": "x"})),
        without("Effect"),
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}"#
            .to_owned(),
        json!({"Version": "2020-01-01", "Statement": allow}).to_string(),
        json!({"Version": "2012-10-17", "Statement": []}).to_string(),
    ] {
        assert_eq!(words(&document, Use::Identity), syntax, "{document:.80}");
    }
    for (document, said) in [
        (without("Action"), "Policy statement must contain actions."),
        (with("Action", json!([])), "Policy statement must contain actions."),
        (without("Resource"), "Policy statement must contain resources."),
        (with("Principal", json!("*")), "Policy document should not specify a principal."),
        (
            with("Action", json!("GetObject")),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (with("Action", json!("s3:a:b")), "Actions/Condition can contain only one colon."),
        (with("Action", json!("s 3:a")), "Vendor s 3 is not valid"),
        (with("Resource", json!("bucket")), "Resource bucket must be in ARN format or \"*\"."),
        (
            with("Resource", json!("arn:azure:s3:::b")),
            "Partition \"azure\" is not valid for resource \"arn:azure:s3:*:*:b\".",
        ),
        (
            with("Resource", json!("arn:aws:s*:::b")),
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            with("Resource", json!("arn:aws:iam:us-east-1:1:user/x")),
            "IAM resource arn:aws:iam:us-east-1:1:user/x cannot contain region information.",
        ),
        (with("Effect", json!("allow")), "The policy failed legacy parsing"),
        (with("Condition", json!({"DateEquals": {"aws:CurrentTime": "soon"}})), "The policy failed legacy parsing"),
        (with("Condition", json!({"StringIs": {"aws:username": "x"}})), "Invalid Condition type : StringIs."),
        (
            one(
                json!([{"Sid": "a", "Effect": "Allow", "Action": "*", "Resource": "*"}, {"Sid": "a", "Effect": "Deny", "Action": "*", "Resource": "*"}]),
            ),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ] {
        assert_eq!(words(&document, Use::Identity), said, "{document}");
    }
    for old in [json!({"Statement": allow}), json!({"Version": "2008-10-17", "Statement": allow})] {
        let said = "Policy document must be version 2012-10-17 or greater.";
        assert_eq!(words(&old.to_string(), Use::Managed), said);
        assert!(Policy::parse(&old.to_string(), Use::Identity).is_ok(), "{old}");
    }
    assert!(Policy::parse(&one(allow.clone()), Use::Managed).is_ok());
    let trust =
        |principal: Value, action: &str| one(json!({"Effect": "Allow", "Principal": principal, "Action": action}));
    assert!(Policy::parse(&trust(json!({"AWS": "111122223333"}), "sts:AssumeRole"), Use::Trust).is_ok());
    for (document, said) in [
        (one(allow.clone()), "Missing required field Principal"),
        (with("Principal", json!("*")), "Has prohibited field Resource"),
        (trust(json!({"AWS": "1"}), "sts:AssumeRole"), "Invalid principal in policy: \"AWS\":\"1\""),
        (
            trust(json!({"AWS": "arn:aws:iam::111122223333:user/*"}), "sts:AssumeRole"),
            "Invalid principal in policy: \"AWS\":\"arn:aws:iam::111122223333:user/*\"",
        ),
        (trust(json!({"Service": "nobody"}), "sts:AssumeRole"), "Invalid principal in policy: \"Service\":\"nobody\""),
        (trust(json!("*"), "s3:Get"), "AssumeRole policy may only specify STS AssumeRole actions."),
    ] {
        assert_eq!(words(&document, Use::Trust), said, "{document}");
    }
    let but = |effect: &str, resource: Option<&str>| {
        let mut statement =
            json!({"Effect": effect, "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"});
        if let Some(resource) = resource {
            statement["Resource"] = json!(resource);
        }
        one(statement)
    };
    for effect in ["Allow", "Deny"] {
        assert_eq!(words(&but(effect, None), Use::Trust), "Has prohibited field NotPrincipal");
    }
    assert_eq!(words(&but("Allow", Some("*")), Use::Resource), "Allow with NotPrincipal is not allowed.");
    assert!(Policy::parse(&but("Deny", Some("*")), Use::Resource).is_ok());
}

/// AWS: without `Version` it is 2008-10-17, and variables "are treated as literal strings in the policy".
#[test]
fn variables_are_text_in_older_policies() {
    let caller =
        Caller { arn: format!("arn:aws:iam::{ACCOUNT}:user/a"), account: ACCOUNT.to_owned(), kind: CallerKind::User };
    let mut context = Context::default();
    context.set("aws:username", "a");
    let allows = |version: Option<&str>, resource: &str| {
        let allow = json!({"Effect": "Allow", "Action": "s:Get", "Resource": "arn:aws:s:::${aws:username}"});
        let mut document = json!({"Statement": allow});
        if let Some(version) = version {
            document["Version"] = json!(version);
        }
        let policy = Policy::parse(&document.to_string(), Use::Identity).unwrap();
        let question = Question { caller: &caller, action: "s:Get", resource, account: ACCOUNT, context: &context };
        let identity = [Named { name: "p", policy: &policy }];
        decide(&question, &Sources { identity: &identity, ..Sources::default() }).is_allowed()
    };
    for (version, variable) in [(Some("2012-10-17"), true), (Some("2008-10-17"), false), (None, false)] {
        assert_eq!(allows(version, "arn:aws:s:::a"), variable, "{version:?}");
        assert_eq!(allows(version, "arn:aws:s:::${aws:username}"), !variable, "{version:?}");
    }
}
