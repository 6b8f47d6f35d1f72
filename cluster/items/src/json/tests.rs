use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::stored::tests::{items, values};
use crate::value::{AttributeValue, Item};

fn value(json: &str) -> Result<AttributeValue, ValueError> {
    serde_json::from_str::<WireValue>(json).unwrap_or_else(|error| panic!("{json}: {error}")).into_value()
}

fn refused(json: &str) -> String {
    value(json).expect_err(json).to_string()
}

fn serialization(json: &str) -> String {
    serialization_message(&serde_json::from_str::<WireValue>(json).expect_err(json))
}

proptest! {
    #[test]
    fn values_read_back(v in values()) {
        let json = serde_json::to_string(&WireValueRef(&v)).unwrap();
        prop_assert_eq!(value(&json), Ok(v.clone()));
        // From a reader no text can be borrowed, and a tree passes numbers otherwise.
        let read: WireValue = serde_json::from_reader(json.as_bytes()).unwrap();
        prop_assert_eq!(read.into_value(), Ok(v.clone()));
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(serde_json::from_value::<WireValue>(tree).unwrap().into_value(), Ok(v));
    }

    #[test]
    fn items_read_back(item in items()) {
        let json = serde_json::to_string(&WireItemRef(&item)).unwrap();
        prop_assert_eq!(serde_json::from_str::<WireItem>(&json).unwrap().into_item(), Ok(item));
    }

    #[test]
    fn noise_never_panics(noise in "[{}\\[\\]\":,SNBMLULO0-9a-z=\\- ]{0,60}") {
        let _ = serde_json::from_str::<WireValue>(&noise);
        let _ = serde_json::from_str::<WireItem>(&noise);
    }
}

#[test]
fn the_wire_form_is_awss() {
    let item: Item = serde_json::from_str::<WireItem>(
        r#"{"s":{"S":"é\"\n"},"n":{"N":"1.50e2"},"b":{"B":"AAH/"},"ss":{"SS":["b","a"]},"ns":{"NS":["2","1.0"]},
            "bs":{"BS":["/w==","AA=="]},"m":{"M":{"x":{"NULL":true},"e":{"M":{}}}},"l":{"L":[{"BOOL":false},{"L":[]}]},
            "es":{"S":""},"eb":{"B":""},"sse":{"SS":[""]}}"#,
    )
    .unwrap()
    .into_item()
    .unwrap();
    assert_eq!(
        serde_json::to_string(&WireItemRef(&item)).unwrap(),
        r#"{"b":{"B":"AAH/"},"bs":{"BS":["AA==","/w=="]},"eb":{"B":""},"es":{"S":""},"l":{"L":[{"BOOL":false},{"L":[]}]},"m":{"M":{"e":{"M":{}},"x":{"NULL":true}}},"n":{"N":"150"},"ns":{"NS":["1","2"]},"s":{"S":"é\"\n"},"ss":{"SS":["a","b"]},"sse":{"SS":[""]}}"#
    );
}

#[test]
fn invalid_values_get_awss_messages() {
    let invalid = |rest: &str| format!("One or more parameter values were invalid: {rest}");
    let none = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
    for json in
        ["{}", "null", r#"{"S":null}"#, r#"{"X":"a"}"#, r#"{"L":[{}]}"#, r#"{"L":[null]}"#, r#"{"M":{"a":null}}"#]
    {
        assert_eq!(refused(json), none, "{json}");
    }
    assert_eq!(
        refused(r#"{"S":"a","N":"1"}"#),
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    );
    assert_eq!(refused(r#"{"N":"abc"}"#), "The parameter cannot be converted to a numeric value: abc");
    assert_eq!(refused(r#"{"NS":["1",""]}"#), "The parameter cannot be converted to a numeric value: ");
    assert_eq!(refused(r#"{"M":{"x":{"L":[{"N":"1e126"}]}}}"#), crate::NumberError::Overflow.to_string());
    assert_eq!(refused(r#"{"NULL":false}"#), invalid("Null attribute value types must have the value of true"));
    assert_eq!(refused(r#"{"SS":[]}"#), invalid("An string set  may not be empty"));
    assert_eq!(refused(r#"{"NS":[]}"#), invalid("An number set  may not be empty"));
    assert_eq!(refused(r#"{"BS":[]}"#), invalid("Binary sets should not be empty"));
}

/// Captured from AWS by paritysuite/dynamodb-conformance, valueLayers.test.ts.
#[test]
fn duplicates_are_told_in_both_wordings() {
    let invalid = "One or more parameter values were invalid: ";
    for (json, current, older) in [
        (
            r#"{"SS":["b","a","b"]}"#,
            format!(r#"{invalid}Input collection ["a", "b", "b"] contains duplicates."#),
            format!("{invalid}Input collection [b, a, b] contains duplicates."),
        ),
        (
            r#"{"BS":["/w==","AA==","AA=="]}"#,
            format!(r#"{invalid}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates."#),
            format!("{invalid}Input collection [/w==, AA==, AA==]of type BS contains duplicates."),
        ),
        (
            r#"{"NS":["2","1","2.0"]}"#,
            format!("{invalid}Input collection contains duplicates."),
            "Input collection contains duplicates".to_owned(),
        ),
    ] {
        let error = value(json).unwrap_err();
        assert_eq!(error.to_string(), current);
        assert_eq!(error.older_message(), older);
    }
    let empty = value(r#"{"N":""}"#).unwrap_err();
    assert_eq!(empty.older_message(), "The parameter cannot be converted to a numeric value");
}

#[test]
fn wrong_types_are_serialization_errors() {
    let map = "Start of structure or map found where not expected";
    for (json, message) in [
        (r#"{"S":1}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"N":123}"#, "NUMBER_VALUE cannot be converted to String"),
        (r#"{"N":-1.5}"#, "DECIMAL_VALUE cannot be converted to String"),
        (r#"{"S":true}"#, "TRUE_VALUE cannot be converted to String"),
        (r#"{"SS":[false]}"#, "FALSE_VALUE cannot be converted to String"),
        (r#"{"S":["a"]}"#, "Unrecognized collection type class java.lang.String"),
        (r#"{"S":{"a":1}}"#, map),
        (r#"{"S":{}}"#, map),
        (r#"{"SS":{}}"#, map),
        (r#"{"SS":"a"}"#, "Unexpected field type"),
        (r#"{"L":4}"#, "Unexpected field type"),
        (r#"{"L":["a"]}"#, "Unexpected value type in payload"),
        (r#"{"L":[5]}"#, "Unexpected value type in payload"),
        (r#"{"M":{"a":"b"}}"#, "Unexpected value type in payload"),
        (r#""a""#, "Unexpected value type in payload"),
        (r#"7"#, "Unexpected value type in payload"),
        ("[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue"),
        (
            r#"{"M":[]}"#,
            "Unrecognized collection type java.util.Map<java.lang.String, \
             com.amazonaws.dynamodb.v20120810.AttributeValue>",
        ),
        (r#"{"BOOL":"maybe"}"#, "Unexpected token received from parser"),
        (r#"{"BOOL":1}"#, "NUMBER_VALUE cannot be converted to Boolean"),
        (r#"{"B":true}"#, "only base-64-encoded strings are convertible to bytes"),
        (r#"{"B":"AAA"}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
        (r#"{"B":"A?=="}"#, "Invalid Base64 character: '?'"),
        (r#"{"B":"AB=="}"#, "Invalid last non-pad Base64 character dectected"),
    ] {
        assert_eq!(serialization(json), message, "{json}");
    }
    assert_eq!(value(r#"{"BOOL":"True"}"#), Ok(true.into()));
    assert!(serde_json::from_str::<WireItem>("[]").is_err());
    assert!(serde_json::from_str::<WireItem>(r#"{"a":{"S":"x"}"#).is_err());
}

/// AWS reads the whole request before it validates: a wrong type after an invalid value is the error.
#[test]
fn wrong_types_win_over_invalid_values() {
    assert_eq!(serialization(r#"{"L":[{"N":"x"},{"S":1}]}"#), "NUMBER_VALUE cannot be converted to String");
}

#[test]
fn the_first_invalid_attribute_is_named() {
    let json = r#"{":a":{"S":"x"},":v":{"N":"x"},":b":{"SS":[]}}"#;
    let error = serde_json::from_str::<WireItem>(json).unwrap().into_item().unwrap_err();
    assert_eq!(error.name, ":v");
    assert_eq!(error.to_string(), "The parameter cannot be converted to a numeric value: x");
}

#[test]
fn nesting_is_bounded() {
    // A scalar inside so many maps, as dynamodb-conformance builds it.
    let deep = |wraps: usize| format!("{}{}{}", r#"{"M":{"n":"#.repeat(wraps), r#"{"S":"leaf"}"#, "}}".repeat(wraps));
    assert_eq!(value(&deep(31)).unwrap().depth(), 32);
    let message = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond \
                   supported limit";
    assert_eq!(refused(&deep(32)), message);
    assert_eq!(refused(&deep(100)), message);
    // Ten megabytes of it, closed and open, in a value's place and in an unknown member's.
    assert_eq!(refused(&deep(1_000_000)), message);
    assert!(serde_json::from_str::<WireValue>(&r#"{"L":["#.repeat(2_000_000)).is_err());
    let ignored = format!(r#"{{"S":"x","Z":{}{}}}"#, "[".repeat(5_000_000), "]".repeat(5_000_000));
    assert_eq!(value(&ignored), Ok("x".into()));
}

#[test]
fn a_million_elements_are_read() {
    let json = format!(r#"{{"L":[{}{{"NULL":true}}]}}"#, r#"{"S":""},"#.repeat(1_000_000));
    let AttributeValue::L(list) = value(&json).unwrap() else { panic!("no list") };
    assert_eq!(list.len(), 1_000_001);
}

#[test]
fn they_stand_in_requests_and_answers() {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        item: Option<WireItem>,
        keys: Vec<WireItem>,
        value: Option<WireValue>,
    }
    #[derive(serde::Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(serialize_with = "serialize_option_item", skip_serializing_if = "Option::is_none")]
        attributes: Option<Item>,
        #[serde(serialize_with = "serialize_items")]
        items: Vec<Item>,
        #[serde(serialize_with = "serialize_value")]
        value: AttributeValue,
        #[serde(serialize_with = "serialize_item")]
        item: Item,
        #[serde(serialize_with = "serialize_option_value", skip_serializing_if = "Option::is_none")]
        gone: Option<AttributeValue>,
    }
    let request: Request = serde_json::from_str(r#"{"Item":null,"Keys":[{"a":{"N":"1"}}],"Value":{"S":"x"}}"#).unwrap();
    assert!(request.item.is_none());
    let items: Vec<Item> = request.keys.into_iter().map(|key| key.into_item().unwrap()).collect();
    let answer = Answer {
        attributes: Some(items[0].clone()),
        item: items[0].clone(),
        items,
        value: request.value.unwrap().into_value().unwrap(),
        gone: None,
    };
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"Attributes":{"a":{"N":"1"}},"Items":[{"a":{"N":"1"}}],"Value":{"S":"x"},"Item":{"a":{"N":"1"}}}"#
    );
}
