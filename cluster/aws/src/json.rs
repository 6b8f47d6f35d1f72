//! JSON in and out, with the words that AWS's framework has for what it can't read.

use crate::error::AwsError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// A `Deserialize` of a data model may fail with text that begins with one of these: the rest is the message that
/// the caller gets, and the mark says under which code. Pure crates can write it without knowing this one.
pub const VALIDATION_MARK: &str = "ValidationException: ";
pub const SERIALIZATION_MARK: &str = "SerializationException: ";

pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    // serde would read an array as a structure's fields in order.
    if body.trim_ascii_start().first().is_some_and(|b| *b != b'{') {
        return Err(AwsError::serialization(""));
    }
    serde_json::from_slice(body).map_err(|e| decode_error(&e))
}

pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, AwsError> {
    let mut out = Vec::with_capacity(256);
    serde_json::to_writer(&mut out, value).map_err(|e| AwsError::internal(format_args!("encoding the answer: {e}")))?;
    Ok(out)
}

/// Text that isn't JSON gets no message, as at AWS; a value of the wrong type gets the framework's words for it.
pub fn decode_error(error: &serde_json::Error) -> AwsError {
    let whole = error.to_string();
    if error.classify() != Category::Data {
        return AwsError::serialization("").with_cause(whole);
    }
    // serde_json appends the position to the text.
    let text = match whole.rfind(" at line ") {
        Some(at) => &whole[..at],
        None => &whole,
    };
    if let Some(message) = text.strip_prefix(VALIDATION_MARK) {
        return AwsError::validation(message.to_owned());
    }
    if let Some(message) = text.strip_prefix(SERIALIZATION_MARK) {
        return AwsError::serialization(message.to_owned());
    }
    if let Some(name) = text.strip_prefix("missing field `").and_then(|t| t.strip_suffix('`')) {
        return AwsError::validation(format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
            lower_first(name)
        ));
    }
    AwsError::serialization(wrong_type(text)).with_cause(whole)
}

/// `TableName` → `tableName`, as the framework's messages spell members.
pub fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(chars).collect()
}

/// serde's `invalid type: integer `1`, expected a string` in the framework's words.
fn wrong_type(text: &str) -> String {
    let Some((found, expected)) = text.strip_prefix("invalid type: ").and_then(|t| t.rsplit_once(", expected ")) else {
        return String::new();
    };
    let wanted = if expected.contains("string") || expected.contains("str") && !expected.contains("struct") {
        Some("String")
    } else if expected.contains("bool") {
        Some("Boolean")
    } else if expected.contains("i32") || expected.contains("u32") {
        Some("Integer")
    } else if expected.contains("i64") || expected.contains("u64") {
        Some("Long")
    } else if expected.contains("f64") {
        Some("Double")
    } else {
        None
    };
    let scalar = if found.starts_with("string") {
        "STRING_VALUE"
    } else if found.starts_with("integer") {
        "NUMBER_VALUE"
    } else if found.starts_with("floating") || found == "number" {
        "DECIMAL_VALUE"
    } else if found == "boolean `true`" {
        "TRUE_VALUE"
    } else if found == "boolean `false`" {
        "FALSE_VALUE"
    } else if found == "map" {
        return "Start of structure or map found where not expected".to_owned();
    } else if found == "sequence" {
        return match wanted {
            Some(class) => format!("Unrecognized collection type class java.lang.{class}"),
            None => "Start of list found where not expected".to_owned(),
        };
    } else {
        return String::new();
    };
    match wanted {
        Some("Boolean") if scalar == "STRING_VALUE" => "Unexpected token received from parser".to_owned(),
        Some(class) => format!("{scalar} cannot be converted to {class}"),
        None => "Unexpected field type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[allow(dead_code)]
    struct Request {
        table_name: String,
        limit: Option<i32>,
        flag: Option<bool>,
        names: Option<Vec<String>>,
        marked: Option<Marked>,
    }

    #[derive(Debug)]
    struct Marked;
    impl<'de> Deserialize<'de> for Marked {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            let text = String::deserialize(d)?;
            Err(serde::de::Error::custom(text))
        }
    }

    fn error(body: &str) -> (String, String) {
        let e = decode::<Request>(body.as_bytes()).unwrap_err();
        (e.code.into_owned(), e.message.into_owned())
    }

    #[test]
    fn what_cannot_be_read_answers_as_aws() {
        for (body, message) in [
            ("{", ""),
            ("", ""),
            ("[1", ""),
            (r#"["t"]"#, ""),
            ("7", ""),
            (r#"{"TableName":1}"#, "NUMBER_VALUE cannot be converted to String"),
            (r#"{"TableName":1.5}"#, "DECIMAL_VALUE cannot be converted to String"),
            (r#"{"TableName":true}"#, "TRUE_VALUE cannot be converted to String"),
            (r#"{"TableName":[]}"#, "Unrecognized collection type class java.lang.String"),
            (r#"{"TableName":{}}"#, "Start of structure or map found where not expected"),
            (r#"{"Limit":"a"}"#, "STRING_VALUE cannot be converted to Integer"),
            (r#"{"Flag":"a"}"#, "Unexpected token received from parser"),
            (r#"{"Names":"a"}"#, "Unexpected field type"),
            (r#"{"Marked":"SerializationException: as I say"}"#, "as I say"),
        ] {
            assert_eq!(error(body), ("SerializationException".to_owned(), message.to_owned()), "{body}");
        }
        assert_eq!(
            error("{}").1,
            "1 validation error detected: Value null at 'tableName' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            error(r#"{"Marked":"ValidationException: a number is too long"}"#),
            ("ValidationException".to_owned(), "a number is too long".to_owned())
        );
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let deep = "[".repeat(5_000_000);
        assert_eq!(error(&deep).0, "SerializationException");
        let deep = format!(r#"{{"Other":{}}}"#, "[".repeat(1_000_000));
        assert_eq!(error(&deep).0, "SerializationException");
    }
}
