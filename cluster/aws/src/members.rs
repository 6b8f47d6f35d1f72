//! The members that an operation reads of its request: serde knows them.

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde_json::Value;
use std::fmt::{Display, Formatter};

/// Told by asking for a struct: an error that carries its fields.
#[derive(Debug)]
struct Fields(Option<&'static [&'static str]>);

impl Display for Fields {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing is read")
    }
}

impl std::error::Error for Fields {}

impl serde::de::Error for Fields {
    fn custom<T: Display>(_message: T) -> Self {
        Fields(None)
    }
}

struct Asking;

impl<'de> Deserializer<'de> for Asking {
    type Error = Fields;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(Some(fields)))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fields> {
        Err(Fields(None))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// None where they can't be told, as of a request with flattened parts.
pub(crate) fn read_by<T: DeserializeOwned>() -> Option<&'static [&'static str]> {
    T::deserialize(Asking).err()?.0
}

/// Leaves out of a request what the operation doesn't read: an event must not tell of what had no effect, least of all
/// in a spelling that passes for that of a member which had. AWS's members begin with a capital.
pub(crate) fn keep(request: &mut Value, read: Option<&'static [&'static str]>) {
    let Value::Object(members) = request else { return };
    members.retain(|name, _| match read {
        Some(read) => read.contains(&name.as_str()),
        None => !name.starts_with(|c: char| c.is_ascii_lowercase()),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[allow(dead_code)]
    struct Request {
        user_name: String,
        #[serde(rename = "SAMLAssertion")]
        assertion: Option<String>,
        #[serde(skip)]
        found: bool,
    }

    #[derive(serde::Deserialize)]
    #[allow(dead_code)]
    struct Flattened {
        #[serde(flatten)]
        request: Request,
    }

    #[test]
    fn what_is_not_read_is_not_told() {
        assert_eq!(read_by::<Request>(), Some(&["UserName", "SAMLAssertion"][..]));
        assert_eq!((read_by::<Flattened>(), read_by::<Value>()), (None, None));
        let sent = json!({"UserName": "ann", "userName": "bea", "SourceIdentity": "boss"});
        let mut request = sent.clone();
        keep(&mut request, read_by::<Request>());
        assert_eq!(request, json!({"UserName": "ann"}));
        let mut request = sent;
        keep(&mut request, read_by::<Flattened>());
        assert_eq!(request, json!({"UserName": "ann", "SourceIdentity": "boss"}));
    }
}
