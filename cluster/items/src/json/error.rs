//! Why a value that is well-formed JSON can't be an attribute value.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;

use crate::number::NumberError;

/// Its display is the message of AWS's ValidationException in the wording that PutItem, UpdateItem, DeleteItem (there
/// after `1 validation error detected: `), GetItem, BatchGetItem and Query use; [`ValueError::older_message`]
/// is the wording of BatchWriteItem, Scan and the transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueError {
    NoType,
    ManyTypes,
    NullFalse,
    EmptyStringSet,
    EmptyNumberSet,
    EmptyBinarySet,
    /// The members as sent.
    DuplicateStrings(Vec<String>),
    DuplicateNumbers,
    /// The members as sent.
    DuplicateBinary(Vec<Bytes>),
    Number(NumberError),
    TooDeep,
}

const INVALID: &str = "One or more parameter values were invalid: ";

impl ValueError {
    pub fn older_message(&self) -> String {
        match self {
            ValueError::Number(error) => error.older_message(),
            ValueError::DuplicateNumbers => "Input collection contains duplicates".to_owned(),
            ValueError::DuplicateStrings(members) => {
                format!("{INVALID}Input collection [{}] contains duplicates.", members.join(", "))
            }
            ValueError::DuplicateBinary(members) => {
                let members: Vec<String> = members.iter().map(|member| BASE64_STANDARD.encode(member)).collect();
                format!("{INVALID}Input collection [{}]of type BS contains duplicates.", members.join(", "))
            }
            other => other.to_string(),
        }
    }
}

/// AWS lists the members in order up to the first repeat, then the repeat, then the rest as sent.
fn listed<T: Ord + Clone>(members: &[T]) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    let unique = members.iter().take_while(|member| seen.insert((*member).clone())).count();
    seen.into_iter().chain(members[unique..].iter().cloned()).collect()
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::NoType => {
                f.write_str("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
            }
            ValueError::ManyTypes => f.write_str(
                "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
                 datatypes",
            ),
            ValueError::NullFalse => write!(f, "{INVALID}Null attribute value types must have the value of true"),
            // Two spaces, and "An number": AWS's own.
            ValueError::EmptyStringSet => write!(f, "{INVALID}An string set  may not be empty"),
            ValueError::EmptyNumberSet => write!(f, "{INVALID}An number set  may not be empty"),
            ValueError::EmptyBinarySet => write!(f, "{INVALID}Binary sets should not be empty"),
            ValueError::DuplicateStrings(members) => {
                let members: Vec<String> = listed(members).into_iter().map(|member| format!("\"{member}\"")).collect();
                write!(f, "{INVALID}Input collection [{}] contains duplicates.", members.join(", "))
            }
            ValueError::DuplicateNumbers => write!(f, "{INVALID}Input collection contains duplicates."),
            ValueError::DuplicateBinary(members) => {
                let members: Vec<String> =
                    listed(members).iter().map(|member| format!("\"{}\"", BASE64_STANDARD.encode(member))).collect();
                write!(f, "{INVALID}Input collection [{}]of type BS contains duplicates.", members.join(","))
            }
            ValueError::Number(error) => error.fmt(f),
            ValueError::TooDeep => f.write_str(
                "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond \
                 supported limit",
            ),
        }
    }
}

impl std::error::Error for ValueError {}

impl From<NumberError> for ValueError {
    fn from(error: NumberError) -> Self {
        ValueError::Number(error)
    }
}

/// The message of AWS's SerializationException: serde_json's, without the place in the text that it appends.
pub fn serialization_message(error: &serde_json::Error) -> String {
    let mut text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if let Some(end) = text.strip_suffix(&place).map(str::len) {
        text.truncate(end);
    }
    text
}
