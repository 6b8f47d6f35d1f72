//! Reading attribute values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::ValueError;
use crate::number::Number;
use crate::value::{AttributeValue, Item, NESTING_MAX};

/// A value of a request, valid or not.
#[derive(Clone, Debug, PartialEq)]
pub struct WireValue(Result<AttributeValue, ValueError>);

impl WireValue {
    pub fn into_value(self) -> Result<AttributeValue, ValueError> {
        self.0
    }
}

/// The first invalid value of a map, and the name that it stands under.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct InvalidAttribute {
    pub name: String,
    pub error: ValueError,
}

/// A map of names to values of a request (an item, a key, ExpressionAttributeValues), valid or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WireItem {
    item: Item,
    error: Option<Box<InvalidAttribute>>,
}

impl WireItem {
    pub fn into_item(self) -> Result<Item, InvalidAttribute> {
        match self.error {
            None => Ok(self.item),
            Some(error) => Err(*error),
        }
    }

    /// A value that was sent, whether or not all of them are valid.
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.item.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.item.keys()
    }

    /// How many names were sent.
    pub fn len(&self) -> usize {
        self.item.len()
    }

    pub fn is_empty(&self) -> bool {
        self.item.is_empty()
    }
}

impl<'de> Deserialize<'de> for WireValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut error = None;
        let value = ValueShape { level: 1, error: &mut error }.deserialize(deserializer)?;
        Ok(WireValue(error.map_or(Ok(value), Err)))
    }
}

impl<'de> Deserialize<'de> for WireItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemShape;
        impl<'de> Shape<'de> for ItemShape {
            type Output = WireItem;
            const EXPECTED: Expected = Expected::Map;

            fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireItem, A::Error> {
                let mut read = WireItem::default();
                while let Some(name) = map.next_key::<String>()? {
                    let mut error = None;
                    let value = map.next_value_seed(Of(ValueShape { level: 1, error: &mut error }, PhantomData))?;
                    if let (Some(error), None) = (error, &read.error) {
                        read.error = Some(Box::new(InvalidAttribute { name: name.clone(), error }));
                    }
                    read.item.insert(name, value);
                }
                Ok(read)
            }
        }
        ItemShape.deserialize(deserializer)
    }
}

/// What AWS's reader expects at a place; with what it finds it makes the message of its SerializationException.
#[derive(Clone, Copy)]
enum Expected {
    Text,
    Blob,
    Flag,
    List,
    Map,
    Value,
}

#[derive(Clone, Copy)]
enum Found {
    True,
    False,
    Number,
    Decimal,
    Text,
    List,
    Map,
}

fn wrong_type(expected: Expected, found: Found) -> String {
    let scalar = |class: &str| {
        let token = match found {
            Found::True => "TRUE_VALUE",
            Found::False => "FALSE_VALUE",
            Found::Number => "NUMBER_VALUE",
            Found::Decimal => "DECIMAL_VALUE",
            Found::Text => return "Unexpected token received from parser".to_owned(),
            Found::List => return format!("Unrecognized collection type class java.lang.{class}"),
            Found::Map => return "Start of structure or map found where not expected".to_owned(),
        };
        format!("{token} cannot be converted to {class}")
    };
    match (expected, found) {
        (Expected::Text, _) => scalar("String"),
        (Expected::Flag, _) => scalar("Boolean"),
        (Expected::Blob | Expected::List, Found::Map) => {
            "Start of structure or map found where not expected".to_owned()
        }
        (Expected::Blob, Found::List) => "Unrecognized collection type class java.nio.ByteBuffer".to_owned(),
        (Expected::Blob, _) => "only base-64-encoded strings are convertible to bytes".to_owned(),
        (Expected::Map, Found::List) => "Unrecognized collection type java.util.Map<java.lang.String, \
             com.amazonaws.dynamodb.v20120810.AttributeValue>"
            .to_owned(),
        (Expected::Value, Found::List) => {
            "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue".to_owned()
        }
        (Expected::List | Expected::Map, _) => "Unexpected field type".to_owned(),
        (Expected::Value, _) => "Unexpected value type in payload".to_owned(),
    }
}

/// Under this name serde_json's `arbitrary_precision` hands numbers to a visitor's `visit_map`.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

/// One kind of place in the JSON: what is taken there, and the error for everything else.
trait Shape<'de>: Sized {
    type Output;
    const EXPECTED: Expected;

    fn wrong<E: de::Error>(found: Found) -> Result<Self::Output, E> {
        Err(E::custom(wrong_type(Self::EXPECTED, found)))
    }

    fn text<E: de::Error>(self, _: Cow<'de, str>) -> Result<Self::Output, E> {
        Self::wrong(Found::Text)
    }

    fn flag<E: de::Error>(self, value: bool) -> Result<Self::Output, E> {
        Self::wrong(if value { Found::True } else { Found::False })
    }

    fn list<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Output, A::Error> {
        Self::wrong(Found::List)
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Output, A::Error> {
        if map.next_key::<Cow<'de, str>>()?.as_deref() == Some(NUMBER_TOKEN) {
            let text = map.next_value::<Cow<'de, str>>()?;
            return Self::wrong(if text.contains(['.', 'e', 'E']) { Found::Decimal } else { Found::Number });
        }
        Self::wrong(Found::Map)
    }

    /// What JSON's null stands for here, where AWS reads it as absent.
    fn absent() -> Option<Self::Output> {
        None
    }

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Output, D::Error> {
        deserializer.deserialize_any(Of(self, PhantomData))
    }
}

/// A shape as serde's visitor and seed.
struct Of<'de, S>(S, PhantomData<&'de ()>);

impl<'de, S: Shape<'de>> DeserializeSeed<'de> for Of<'de, S> {
    type Value = S::Output;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Output, D::Error> {
        self.0.deserialize(deserializer)
    }
}

impl<'de, S: Shape<'de>> Visitor<'de> for Of<'de, S> {
    type Value = S::Output;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AWS's JSON")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<S::Output, E> {
        self.0.flag(value)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<S::Output, E> {
        S::wrong(Found::Number)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<S::Output, E> {
        S::wrong(Found::Number)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<S::Output, E> {
        S::wrong(Found::Decimal)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<S::Output, E> {
        self.0.text(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<S::Output, E> {
        self.0.text(Cow::Owned(text))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<S::Output, E> {
        self.0.text(Cow::Borrowed(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<S::Output, E> {
        S::absent().ok_or_else(|| E::custom("Unexpected token received from parser"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<S::Output, A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<S::Output, A::Error> {
        self.0.map(map)
    }
}

fn seed<'de, S: Shape<'de>>(shape: S) -> Of<'de, S> {
    Of(shape, PhantomData)
}

struct TextShape;

impl<'de> Shape<'de> for TextShape {
    type Output = Option<Cow<'de, str>>;
    const EXPECTED: Expected = Expected::Text;

    fn text<E: de::Error>(self, text: Cow<'de, str>) -> Result<Self::Output, E> {
        Ok(Some(text))
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}

struct BlobShape;

impl<'de> Shape<'de> for BlobShape {
    type Output = Option<Bytes>;
    const EXPECTED: Expected = Expected::Blob;

    fn text<E: de::Error>(self, text: Cow<'de, str>) -> Result<Self::Output, E> {
        if !text.len().is_multiple_of(4) {
            let length = text.len();
            return Err(E::custom(format!(
                "Base64 encoded length is expected a multiple of 4 bytes but found: {length}"
            )));
        }
        let bytes = BASE64_STANDARD.decode(&*text).map_err(|error| match error {
            base64::DecodeError::InvalidByte(_, byte) => {
                E::custom(format!("Invalid Base64 character: '{}'", char::from(byte)))
            }
            // "dectected" is AWS's.
            _ => E::custom("Invalid last non-pad Base64 character dectected"),
        })?;
        Ok(Some(Bytes::from(bytes)))
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}

struct FlagShape;

impl<'de> Shape<'de> for FlagShape {
    type Output = Option<bool>;
    const EXPECTED: Expected = Expected::Flag;

    fn flag<E: de::Error>(self, value: bool) -> Result<Self::Output, E> {
        Ok(Some(value))
    }

    /// AWS takes these words, in any case, for booleans.
    fn text<E: de::Error>(self, text: Cow<'de, str>) -> Result<Self::Output, E> {
        let is = |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
        if is(["true", "1", "yes"]) {
            Ok(Some(true))
        } else if is(["false", "0", "no"]) {
            Ok(Some(false))
        } else {
            Self::wrong(Found::Text)
        }
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}

/// The members of a set, each of shape `S`; nulls among them are passed over.
struct MembersShape<S>(PhantomData<S>);

impl<'de, S, T> Shape<'de> for MembersShape<S>
where
    S: Shape<'de, Output = Option<T>> + Default,
{
    type Output = Option<Vec<T>>;
    const EXPECTED: Expected = Expected::List;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Output, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = list.next_element_seed(seed(S::default()))? {
            members.extend(member);
        }
        Ok(Some(members))
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}

impl Default for TextShape {
    fn default() -> Self {
        TextShape
    }
}

impl Default for BlobShape {
    fn default() -> Self {
        BlobShape
    }
}

/// One attribute value. Its first fault is put into `error`, and reading goes on: a wrong JSON type further down
/// is the error that AWS would answer.
struct ValueShape<'e> {
    level: usize,
    error: &'e mut Option<ValueError>,
}

impl ValueShape<'_> {
    fn fault(&mut self, error: ValueError) -> AttributeValue {
        self.error.get_or_insert(error);
        AttributeValue::Null
    }

    fn number(&mut self, text: &str) -> AttributeValue {
        match text.parse::<Number>() {
            Ok(number) => AttributeValue::N(number),
            Err(error) => self.fault(error.into()),
        }
    }

    fn string_set(&mut self, members: Vec<Cow<'_, str>>) -> AttributeValue {
        if members.is_empty() {
            return self.fault(ValueError::EmptyStringSet);
        }
        let set: BTreeSet<String> = members.iter().map(|member| member.to_string()).collect();
        if set.len() < members.len() {
            let members = members.into_iter().map(Cow::into_owned).collect();
            return self.fault(ValueError::DuplicateStrings(members));
        }
        AttributeValue::SS(set)
    }

    fn number_set(&mut self, members: Vec<Cow<'_, str>>) -> AttributeValue {
        if members.is_empty() {
            return self.fault(ValueError::EmptyNumberSet);
        }
        match members.iter().map(|member| member.parse::<Number>()).collect::<Result<BTreeSet<Number>, _>>() {
            Ok(set) if set.len() < members.len() => self.fault(ValueError::DuplicateNumbers),
            Ok(set) => AttributeValue::NS(set),
            Err(error) => self.fault(error.into()),
        }
    }

    fn binary_set(&mut self, members: Vec<Bytes>) -> AttributeValue {
        if members.is_empty() {
            return self.fault(ValueError::EmptyBinarySet);
        }
        let set: BTreeSet<Bytes> = members.iter().cloned().collect();
        if set.len() < members.len() {
            return self.fault(ValueError::DuplicateBinary(members));
        }
        AttributeValue::BS(set)
    }
}

impl<'de> Shape<'de> for ValueShape<'_> {
    type Output = AttributeValue;
    const EXPECTED: Expected = Expected::Value;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<AttributeValue, D::Error> {
        if self.level > NESTING_MAX {
            // Skipping needs no stack, however deep it goes.
            IgnoredAny::deserialize(deserializer)?;
            return Ok(self.fault(ValueError::TooDeep));
        }
        // Null in a value's place is a value without a type.
        struct OrNull<'e>(ValueShape<'e>);
        impl<'de> Shape<'de> for OrNull<'_> {
            type Output = Option<AttributeValue>;
            const EXPECTED: Expected = Expected::Value;

            fn map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Output, A::Error> {
                self.0.map(map).map(Some)
            }

            fn absent() -> Option<Self::Output> {
                Some(None)
            }
        }
        let within = ValueShape { level: self.level, error: &mut *self.error };
        match deserializer.deserialize_any(seed(OrNull(within)))? {
            Some(value) => Ok(value),
            None => Ok(self.fault(ValueError::NoType)),
        }
    }

    fn map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<AttributeValue, A::Error> {
        let mut value = None;
        let mut types = 0;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let next = match &*name {
                "S" => map.next_value_seed(seed(TextShape))?.map(|text| AttributeValue::S(text.into_owned())),
                "N" => map.next_value_seed(seed(TextShape))?.map(|text| self.number(&text)),
                "B" => map.next_value_seed(seed(BlobShape))?.map(AttributeValue::B),
                "SS" => map.next_value_seed(seed(MembersShape::<TextShape>(PhantomData)))?.map(|m| self.string_set(m)),
                "NS" => map.next_value_seed(seed(MembersShape::<TextShape>(PhantomData)))?.map(|m| self.number_set(m)),
                "BS" => map.next_value_seed(seed(MembersShape::<BlobShape>(PhantomData)))?.map(|m| self.binary_set(m)),
                "M" => map
                    .next_value_seed(seed(DocumentShape { level: self.level + 1, error: &mut *self.error }))?
                    .map(AttributeValue::M),
                "L" => map
                    .next_value_seed(seed(ListShape { level: self.level + 1, error: &mut *self.error }))?
                    .map(AttributeValue::L),
                "BOOL" => map.next_value_seed(seed(FlagShape))?.map(AttributeValue::Bool),
                "NULL" => map.next_value_seed(seed(FlagShape))?.map(|null| match null {
                    true => AttributeValue::Null,
                    false => self.fault(ValueError::NullFalse),
                }),
                NUMBER_TOKEN => return Self::wrong(Found::Number),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            types += usize::from(next.is_some());
            value = next.or(value);
        }
        Ok(match (value, types) {
            (Some(value), 1) => value,
            (Some(_), _) => self.fault(ValueError::ManyTypes),
            (None, _) => self.fault(ValueError::NoType),
        })
    }
}

/// What an `M` holds.
struct DocumentShape<'e> {
    level: usize,
    error: &'e mut Option<ValueError>,
}

impl<'de> Shape<'de> for DocumentShape<'_> {
    type Output = Option<BTreeMap<String, AttributeValue>>;
    const EXPECTED: Expected = Expected::Map;

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Output, A::Error> {
        let mut document = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(seed(ValueShape { level: self.level, error: &mut *self.error }))?;
            document.insert(name, value);
        }
        Ok(Some(document))
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}

/// What an `L` holds.
struct ListShape<'e> {
    level: usize,
    error: &'e mut Option<ValueError>,
}

impl<'de> Shape<'de> for ListShape<'_> {
    type Output = Option<Vec<AttributeValue>>;
    const EXPECTED: Expected = Expected::List;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Output, A::Error> {
        let mut values = Vec::new();
        while let Some(value) =
            list.next_element_seed(seed(ValueShape { level: self.level, error: &mut *self.error }))?
        {
            values.push(value);
        }
        Ok(Some(values))
    }

    fn absent() -> Option<Self::Output> {
        Some(None)
    }
}
