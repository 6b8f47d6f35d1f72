//! AWS's JSON of attribute values: `{"S": "text"}`.
//!
//! Read and written straight, without a tree in between. What is not JSON of the right shape is AWS's
//! SerializationException; what has the right shape but can't be a value is its ValidationException: such an error's text
//! carries a mark, which [`validation_message`] finds.

use crate::number::Number;
use crate::value::{AttributeValue, Item, NESTING_MAX};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const MARK: &str = "\u{1}validation:";
const MARK_END: char = '\u{2}';

fn invalid<E: de::Error>(message: impl fmt::Display) -> E {
    E::custom(format!("{MARK}{message}{MARK_END}"))
}

/// The message of AWS's ValidationException, where a decoding error is one.
pub fn validation_message(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    let start = text.find(MARK)? + MARK.len();
    let end = text[start..].find(MARK_END)?;
    Some(text[start..start + end].to_owned())
}

/// A value as AWS's JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct WireValue(pub AttributeValue);

/// An item, or any map of names to values, as AWS's JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireItem(pub Item);

/// Borrowed, for writing.
pub struct WireValueRef<'a>(pub &'a AttributeValue);
pub struct WireItemRef<'a>(pub &'a Item);

impl Serialize for WireValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Base64<'a>(&'a Bytes);
        impl Serialize for Base64<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&base64::display::Base64Display::new(self.0, &BASE64_STANDARD))
            }
        }
        struct Text<'a>(&'a Number);
        impl Serialize for Text<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self.0)
            }
        }
        struct List<'a>(&'a [AttributeValue]);
        impl Serialize for List<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
                for value in self.0 {
                    seq.serialize_element(&WireValueRef(value))?;
                }
                seq.end()
            }
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            AttributeValue::S(s) => map.serialize_entry("S", s)?,
            AttributeValue::N(n) => map.serialize_entry("N", &Text(n))?,
            AttributeValue::B(b) => map.serialize_entry("B", &Base64(b))?,
            AttributeValue::SS(set) => map.serialize_entry("SS", set)?,
            AttributeValue::NS(set) => map.serialize_entry("NS", &set.iter().map(Text).collect::<Vec<_>>())?,
            AttributeValue::BS(set) => map.serialize_entry("BS", &set.iter().map(Base64).collect::<Vec<_>>())?,
            AttributeValue::M(m) => map.serialize_entry("M", &WireItemRef(m))?,
            AttributeValue::L(l) => map.serialize_entry("L", &List(l))?,
            AttributeValue::Bool(b) => map.serialize_entry("BOOL", b)?,
            AttributeValue::Null => map.serialize_entry("NULL", &true)?,
        }
        map.end()
    }
}

impl Serialize for WireItemRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, &WireValueRef(value))?;
        }
        map.end()
    }
}

impl Serialize for WireValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireValueRef(&self.0).serialize(serializer)
    }
}

impl Serialize for WireItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireItemRef(&self.0).serialize(serializer)
    }
}

fn decode_base64<E: de::Error>(text: &str) -> Result<Bytes, E> {
    // AWS's own wording of a wrong shape; the value is not repeated.
    BASE64_STANDARD.decode(text).map(Bytes::from).map_err(|_| E::custom("Base64 can't be decoded"))
}

/// How deep the value stands.
#[derive(Clone, Copy)]
struct Value(usize);
struct Map(usize);
struct List(usize);

fn set_of<T: Ord, E: de::Error>(kind: &str, values: Vec<T>, show: impl Fn(&T) -> String) -> Result<BTreeSet<T>, E> {
    if values.is_empty() {
        return Err(invalid(format!("One or more parameter values were invalid: An {kind} set  may not be empty")));
    }
    let shown: Vec<String> = values.iter().map(show).collect();
    let n = values.len();
    let set: BTreeSet<T> = values.into_iter().collect();
    if set.len() != n {
        return Err(invalid(format!(
            "One or more parameter values were invalid: Input collection [{}] contains duplicates.",
            shown.join(", ")
        )));
    }
    Ok(set)
}

fn number<E: de::Error>(text: &str) -> Result<Number, E> {
    text.parse().map_err(invalid)
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = AttributeValue;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttributeValue, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = AttributeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttributeValue, A::Error> {
        if self.0 > NESTING_MAX {
            return Err(invalid("Nesting Levels have exceeded supported limits: Attributes can be nested up to 32 levels"));
        }
        let mut found: Option<AttributeValue> = None;
        while let Some(kind) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            let value = match &*kind {
                "S" => map.next_value::<Option<String>>()?.map(AttributeValue::S),
                "N" => match map.next_value::<Option<String>>()? {
                    Some(text) => Some(AttributeValue::N(number(&text)?)),
                    None => None,
                },
                "B" => match map.next_value::<Option<String>>()? {
                    Some(text) => Some(AttributeValue::B(decode_base64(&text)?)),
                    None => None,
                },
                "SS" => match map.next_value::<Option<Vec<String>>>()? {
                    Some(values) => Some(AttributeValue::SS(set_of("string", values, String::clone)?)),
                    None => None,
                },
                "NS" => match map.next_value::<Option<Vec<String>>>()? {
                    Some(values) => {
                        let numbers = values.iter().map(|t| number(t)).collect::<Result<Vec<_>, A::Error>>()?;
                        Some(AttributeValue::NS(set_of("number", numbers, Number::to_string)?))
                    }
                    None => None,
                },
                "BS" => match map.next_value::<Option<Vec<String>>>()? {
                    Some(values) => {
                        let bytes = values.iter().map(|t| decode_base64(t)).collect::<Result<Vec<_>, A::Error>>()?;
                        Some(AttributeValue::BS(set_of("binary", bytes, |b| format!("{} bytes", b.len()))?))
                    }
                    None => None,
                },
                "M" => Some(AttributeValue::M(map.next_value_seed(Map(self.0 + 1))?)),
                "L" => Some(AttributeValue::L(map.next_value_seed(List(self.0 + 1))?)),
                "BOOL" => map.next_value::<Option<bool>>()?.map(AttributeValue::Bool),
                "NULL" => match map.next_value::<Option<bool>>()? {
                    Some(true) => Some(AttributeValue::Null),
                    Some(false) => {
                        return Err(invalid(
                            "One or more parameter values were invalid: Null attribute value types must have the value of true",
                        ));
                    }
                    None => None,
                },
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            if let Some(value) = value {
                if found.replace(value).is_some() {
                    return Err(invalid(
                        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
                    ));
                }
            }
        }
        found.ok_or_else(|| {
            invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Map {
    type Value = BTreeMap<String, AttributeValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Map {
    type Value = BTreeMap<String, AttributeValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of attribute values")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut out = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Value(self.0))?;
            out.insert(name, value);
        }
        Ok(out)
    }
}

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<AttributeValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List {
    type Value = Vec<AttributeValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attribute values")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = seq.next_element_seed(Value(self.0))? {
            out.push(value);
        }
        Ok(out)
    }
}

impl<'de> Deserialize<'de> for WireValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value(0).deserialize(deserializer).map(WireValue)
    }
}

impl<'de> Deserialize<'de> for WireItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map(0).deserialize(deserializer).map(WireItem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::tests::values;
    use proptest::prelude::*;

    fn message(json: &str) -> String {
        let error = serde_json::from_str::<WireValue>(json).unwrap_err();
        validation_message(&error).unwrap_or_else(|| "serialization".to_owned())
    }

    #[test]
    fn errors_are_awss() {
        assert!(message("{}").starts_with("Supplied AttributeValue is empty"));
        assert!(message(r#"{"S":"a","N":"1"}"#).starts_with("Supplied AttributeValue has more than one"));
        assert!(message(r#"{"N":"x"}"#).starts_with("The parameter cannot be converted to a numeric value: x"));
        assert_eq!(
            message(r#"{"SS":[]}"#),
            "One or more parameter values were invalid: An string set  may not be empty"
        );
        assert_eq!(
            message(r#"{"SS":["a","a"]}"#),
            "One or more parameter values were invalid: Input collection [a, a] contains duplicates."
        );
        assert!(message(r#"{"NULL":false}"#).ends_with("must have the value of true"));
        for wrong in [r#"{"S":1}"#, "[]", r#"{"M":[]}"#, r#"{"BOOL":"true"}"#, r#"{"B":"???"}"#] {
            assert_eq!(message(wrong), "serialization", "{wrong}");
        }
        let deep = format!("{}{}{}", r#"{"L":["#.repeat(40), r#"{"S":"x"}"#, "]}".repeat(40));
        assert!(message(&deep).starts_with("Nesting Levels"));
    }

    proptest! {
        #[test]
        fn values_read_back(value in values()) {
            let json = serde_json::to_string(&WireValueRef(&value)).unwrap();
            prop_assert_eq!(serde_json::from_str::<WireValue>(&json).unwrap().0, value);
        }
    }
}
