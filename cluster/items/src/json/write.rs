//! Writing attribute values.

use base64::display::Base64Display;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::number::{Number, NumberText};
use crate::value::{AttributeValue, Item};

/// A value as AWS's JSON.
pub struct WireValueRef<'a>(pub &'a AttributeValue);

/// A map of names to values as AWS's JSON.
pub struct WireItemRef<'a>(pub &'a Item);

struct Blob<'a>(&'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &BASE64_STANDARD))
    }
}

struct Digits<'a>(&'a Number);

impl Serialize for Digits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.write_text(&mut NumberText::new()))
    }
}

/// Anything that can be walked more than once, each element through `V`.
struct List<I>(I);

impl<I> Serialize for List<I>
where
    I: Iterator + Clone,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(self.0.size_hint().1)?;
        for element in self.0.clone() {
            list.serialize_element(&element)?;
        }
        list.end()
    }
}

impl Serialize for WireValueRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let name = self.0.type_name();
        match self.0 {
            AttributeValue::S(text) => map.serialize_entry(name, text)?,
            AttributeValue::N(number) => map.serialize_entry(name, &Digits(number))?,
            AttributeValue::B(bytes) => map.serialize_entry(name, &Blob(bytes))?,
            AttributeValue::SS(set) => map.serialize_entry(name, set)?,
            AttributeValue::NS(set) => map.serialize_entry(name, &List(set.iter().map(Digits)))?,
            AttributeValue::BS(set) => map.serialize_entry(name, &List(set.iter().map(|bytes| Blob(bytes))))?,
            AttributeValue::M(document) => map.serialize_entry(name, &WireItemRef(document))?,
            AttributeValue::L(values) => map.serialize_entry(name, &List(values.iter().map(WireValueRef)))?,
            AttributeValue::Bool(value) => map.serialize_entry(name, value)?,
            AttributeValue::Null => map.serialize_entry(name, &true)?,
        }
        map.end()
    }
}

impl Serialize for WireItemRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, WireValueRef(value))))
    }
}

/// For `#[serde(serialize_with = "...")]` on fields of answers.
pub fn serialize_item<S: Serializer>(item: &Item, serializer: S) -> Result<S::Ok, S::Error> {
    WireItemRef(item).serialize(serializer)
}

/// As [`serialize_item`]; use it with `skip_serializing_if = "Option::is_none"`.
pub fn serialize_option_item<S: Serializer>(item: &Option<Item>, serializer: S) -> Result<S::Ok, S::Error> {
    item.as_ref().map(WireItemRef).serialize(serializer)
}

pub fn serialize_items<S: Serializer>(items: &[Item], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(WireItemRef))
}

pub fn serialize_value<S: Serializer>(value: &AttributeValue, serializer: S) -> Result<S::Ok, S::Error> {
    WireValueRef(value).serialize(serializer)
}

pub fn serialize_option_value<S: Serializer>(value: &Option<AttributeValue>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(WireValueRef).serialize(serializer)
}
