use super::*;
use crate::value::{AttributeValue, Item};
use std::collections::BTreeMap;

fn of(operator: &str, values: Vec<AttributeValue>) -> AttributeCondition {
    AttributeCondition { operator: Operator::parse(operator).expect("a known operator"), values }
}

fn set(members: &[&str]) -> AttributeValue {
    AttributeValue::SS(members.iter().map(|m| (*m).to_owned()).collect())
}

fn item() -> Item {
    Item::from([
        ("s".to_owned(), "hello".into()),
        ("n".to_owned(), AttributeValue::from(5)),
        ("t".to_owned(), set(&["a", "b"])),
    ])
}

#[test]
fn operators_read_back() {
    for name in Operator::NAMES {
        assert_eq!(Operator::parse(name).map(Operator::name), Some(name));
    }
    assert_eq!(Operator::parse("eq"), None);
}

#[test]
fn filters_hold_as_awss_do() {
    let n = AttributeValue::from;
    for (attribute, condition, holds) in [
        ("s", of("EQ", vec!["hello".into()]), true),
        ("s", of("NE", vec!["hello".into()]), false),
        // What isn't there differs from everything and contains nothing.
        ("x", of("NE", vec!["hello".into()]), true),
        ("x", of("NOT_CONTAINS", vec!["hello".into()]), true),
        ("n", of("LT", vec![n(6)]), true),
        ("n", of("GE", vec![n(6)]), false),
        ("n", of("LE", vec!["6".into()]), false),
        ("n", of("BETWEEN", vec![n(5), n(7)]), true),
        ("n", of("IN", vec![n(4), n(5)]), true),
        ("n", of("IN", vec![n(4)]), false),
        ("s", of("BEGINS_WITH", vec!["hel".into()]), true),
        ("s", of("CONTAINS", vec!["ell".into()]), true),
        ("t", of("CONTAINS", vec!["a".into()]), true),
        ("t", of("NOT_CONTAINS", vec!["a".into()]), false),
        ("s", of("NULL", vec![]), false),
        ("x", of("NULL", vec![]), true),
        ("s", of("NOT_NULL", vec![]), true),
        ("t", of("EQ", vec![set(&["b", "a"])]), true),
    ] {
        let compiled = filter(BTreeMap::from([(attribute.to_owned(), condition.clone())]), None).unwrap().unwrap();
        assert_eq!(compiled.evaluate(Some(&item())).unwrap(), holds, "{attribute} {condition:?}");
    }
}

#[test]
fn conditions_are_joined() {
    let two = || {
        BTreeMap::from([
            ("n".to_owned(), of("EQ", vec![AttributeValue::from(5)])),
            ("s".to_owned(), of("EQ", vec!["other".into()])),
        ])
    };
    let holds = |operator| filter(two(), operator).unwrap().unwrap().evaluate(Some(&item())).unwrap();
    assert!(!holds(None));
    assert!(!holds(Some(ConditionalOperator::And)));
    assert!(holds(Some(ConditionalOperator::Or)));
    let one = BTreeMap::from([("n".to_owned(), of("NULL", vec![]))]);
    assert_eq!(
        filter(one, Some(ConditionalOperator::Or)).unwrap_err().to_string(),
        "ConditionalOperator can only be used when Filter or Expected has two or more elements"
    );
    assert_eq!(
        filter(BTreeMap::new(), Some(ConditionalOperator::Or)).unwrap_err().to_string(),
        "ConditionalOperator cannot be used without Filter or Expected"
    );
    assert_eq!(filter(BTreeMap::new(), None), Ok(None));
}

#[test]
fn malformed_conditions_are_refused() {
    const INVALID: &str = "One or more parameter values were invalid: ";
    let n = AttributeValue::from;
    for (condition, message) in [
        (of("EQ", vec![]), "Invalid number of argument(s) for the EQ ComparisonOperator"),
        (of("NULL", vec![n(1)]), "Invalid number of argument(s) for the NULL ComparisonOperator"),
        (of("BETWEEN", vec![n(1)]), "Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
        (of("IN", vec![]), "Invalid number of argument(s) for the IN ComparisonOperator"),
        (of("IN", vec![n(1), "a".into()]), "AttributeValues inside AttributeValueList must be of same type"),
        (of("LT", vec![set(&["a"])]), "ComparisonOperator LT is not valid for SS AttributeValue type"),
        (of("BEGINS_WITH", vec![n(1)]), "ComparisonOperator BEGINS_WITH is not valid for N AttributeValue type"),
    ] {
        let given = BTreeMap::from([("a".to_owned(), condition)]);
        assert_eq!(filter(given.clone(), None).unwrap_err().to_string(), format!("{INVALID}{message}"));
        assert_eq!(key_conditions(given).unwrap_err().to_string(), format!("{INVALID}{message}"));
    }
    let upside_down = BTreeMap::from([("a".to_owned(), of("BETWEEN", vec![n(2), n(1)]))]);
    assert_eq!(
        filter(upside_down, None).unwrap_err().to_string(),
        "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"
    );
    assert_eq!(key_conditions(BTreeMap::new()).unwrap_err().to_string(), "Conditions can be of length 1 or 2 only");
}

#[test]
fn expected_says_what_it_says() {
    const INVALID: &str = "One or more parameter values were invalid: ";
    let one = |e: ExpectedAttribute| expected(BTreeMap::from([("a".to_owned(), e)]), None);
    let operator = |name| Operator::parse(name);
    let x = || Some(AttributeValue::from("x"));
    for (given, message) in [
        (
            ExpectedAttribute { exists: Some(true), ..Default::default() },
            "Value must be provided when Exists is true for Attribute: a",
        ),
        (ExpectedAttribute::default(), "Value must be provided when Exists is null for Attribute: a"),
        (
            ExpectedAttribute { exists: Some(false), value: x(), ..Default::default() },
            "Value cannot be used when Exists is false for Attribute: a",
        ),
        (
            ExpectedAttribute {
                value: x(),
                operator: operator("EQ"),
                values: Some(vec!["x".into()]),
                ..Default::default()
            },
            "Value and AttributeValueList cannot be used together for Attribute: a",
        ),
        (
            ExpectedAttribute { operator: operator("EQ"), ..Default::default() },
            "Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a",
        ),
        (
            ExpectedAttribute { operator: operator("BETWEEN"), values: Some(vec!["x".into()]), ..Default::default() },
            "Invalid number of argument(s) for the BETWEEN ComparisonOperator",
        ),
        (
            ExpectedAttribute { operator: operator("EQ"), value: x(), exists: Some(true), ..Default::default() },
            "Exists and ComparisonOperator cannot be used together for Attribute: a",
        ),
        (
            ExpectedAttribute { values: Some(vec!["x".into()]), ..Default::default() },
            "AttributeValueList can only be used with a ComparisonOperator for Attribute: a",
        ),
    ] {
        assert_eq!(one(given).unwrap_err().to_string(), format!("{INVALID}{message}"));
    }
    let absent = one(ExpectedAttribute { exists: Some(false), ..Default::default() }).unwrap().unwrap();
    assert!(absent.evaluate(None).unwrap());
    let equal = one(ExpectedAttribute { value: x(), ..Default::default() }).unwrap().unwrap();
    assert!(equal.evaluate(Some(&Item::from([("a".to_owned(), "x".into())]))).unwrap());
    assert!(!equal.evaluate(None).unwrap());
}

#[test]
fn updates_do_what_they_say() {
    let n = AttributeValue::from;
    let update = |action: &str, value| AttributeUpdate { action: UpdateAction::parse(action).expect("known"), value };
    let apply = |name: &str, u: AttributeUpdate| {
        let mut item = item();
        updates(BTreeMap::from([(name.to_owned(), u)])).unwrap().apply(&mut item, true).map(|_| item.get(name).cloned())
    };
    assert_eq!(apply("n", update("ADD", Some(n(2)))), Ok(Some(n(7))));
    assert_eq!(apply("x", update("ADD", Some(n(2)))), Ok(Some(n(2))));
    assert_eq!(apply("t", update("ADD", Some(set(&["c"])))), Ok(Some(set(&["a", "b", "c"]))));
    assert_eq!(apply("t", update("DELETE", Some(set(&["a", "b"])))), Ok(None));
    assert_eq!(apply("n", update("PUT", Some("x".into()))), Ok(Some("x".into())));
    assert_eq!(apply("n", update("DELETE", None)), Ok(None));
    assert_eq!(apply("s", update("ADD", Some(n(1)))).unwrap_err().to_string(), "Type mismatch for attribute to update");
    for (given, message) in [
        (update("PUT", None), "Only DELETE action is allowed when no attribute value is specified"),
        (update("DELETE", Some(n(1))), "DELETE action with value is not supported for the type N"),
        (update("ADD", Some("x".into())), "ADD action is not supported for the type S"),
    ] {
        let refused = updates(BTreeMap::from([("a".to_owned(), given)])).unwrap_err();
        assert_eq!(refused.to_string(), format!("One or more parameter values were invalid: {message}"));
    }
}

#[test]
fn an_attribute_is_named_once() {
    let refused = attributes_to_get(vec!["a".to_owned(), "b".to_owned(), "a".to_owned()]).unwrap_err();
    assert_eq!(refused.to_string(), "One or more parameter values were invalid: Duplicate value in attribute name: a");
    let projection = attributes_to_get(vec!["s".to_owned(), "no.path".to_owned()]).unwrap();
    assert_eq!(projection.project(&item()), Item::from([("s".to_owned(), "hello".into())]));
}
