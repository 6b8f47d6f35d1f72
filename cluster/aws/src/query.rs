//! AWS's Query protocol: forms in, XML out. Operations see neither: a form becomes the JSON that awsJson would have
//! sent (its scalars all texts), and the JSON that an operation answers with becomes XML.
//!
//! An answer's arrays are lists of `member`s, its nulls are left out; an object under the name [`ENTRIES`] is a map of
//! `entry`s.

use crate::error::{AwsError, Namespace};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

/// Marks an object of an answer that AWS writes as a map: `{"SummaryMap": {"#entries": {"Users": 3}}}`.
pub const ENTRIES: &str = "#entries";

/// The longest form: the longest policy that AWS reads has 131,072 characters, each of which may take three.
const BYTES_MAX: usize = 1 << 20;
const PARAMETERS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 12;

fn malformed() -> AwsError {
    AwsError::new("MalformedQueryString", 404, "The query string contains a syntax error.")
}

/// `a%20b+c` → `a b c`; text that isn't UTF-8 is refused.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// A form's fields.
#[derive(Debug, Default)]
pub struct Form(BTreeMap<String, String>);

#[derive(Default)]
struct Node {
    text: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, text: String) -> Result<(), AwsError> {
        let mut node = self;
        for (depth, part) in path.split('.').enumerate() {
            if part.is_empty() || depth >= DEPTH_MAX {
                return Err(malformed());
            }
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.text = Some(text);
        Ok(())
    }

    fn into_value(self) -> Result<Value, AwsError> {
        if let Some(text) = self.text {
            // `A=1&A.b=2`: neither can be what was meant.
            return if self.children.is_empty() { Ok(Value::String(text)) } else { Err(malformed()) };
        }
        let mut children = self.children;
        if children.len() == 1
            && let Some(members) = children.remove("member")
        {
            return members.into_list();
        }
        let fields = children.into_iter().map(|(name, child)| Ok((name, child.into_value()?)));
        Ok(Value::Object(fields.collect::<Result<Map<_, _>, AwsError>>()?))
    }

    /// In the order of their numbers, which may leave some out.
    fn into_list(self) -> Result<Value, AwsError> {
        if self.text.is_some_and(|text| !text.is_empty()) {
            return Err(malformed());
        }
        let mut members = BTreeMap::new();
        for (number, child) in self.children {
            let number: u32 = number.parse().map_err(|_| malformed())?;
            if members.insert(number, child.into_value()?).is_some() {
                return Err(malformed());
            }
        }
        Ok(Value::Array(members.into_values().collect()))
    }
}

/// Whether an address's query is a form: any other GET is of somebody who looks whether we are there.
pub fn names_action(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("Action=") || pair.starts_with(SIGNATURE))
}

/// Begins the names of fields that belong to an address's signature.
const SIGNATURE: &str = "X-Amz-";

impl Form {
    /// Of an address; what belongs to its signature is no field of the operation, and is told to nobody.
    pub fn of_address(query: &str) -> Result<Form, AwsError> {
        let mut form = Form::parse(query.as_bytes())?;
        form.0.retain(|name, _| !name.starts_with(SIGNATURE));
        Ok(form)
    }

    /// A field that is there twice is refused: two readers could see two requests.
    pub fn parse(body: &[u8]) -> Result<Form, AwsError> {
        if body.len() > BYTES_MAX {
            let message = format!("The request is longer than {BYTES_MAX} bytes.");
            return Err(AwsError::new("RequestEntityTooLarge", 413, message));
        }
        let body = std::str::from_utf8(body).map_err(|_| malformed())?;
        let mut fields = BTreeMap::new();
        for pair in body.trim().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name).ok_or_else(malformed)?, decoded(value).ok_or_else(malformed)?);
            if fields.len() >= PARAMETERS_MAX || fields.insert(name, value).is_some() {
                return Err(malformed());
            }
        }
        Ok(Form(fields))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What an operation reads: all but the operation's name and version.
    pub fn into_json(self) -> Result<Vec<u8>, AwsError> {
        let mut root = Node::default();
        for (name, value) in self.0.into_iter().filter(|(name, _)| name != "Action" && name != "Version") {
            root.insert(&name, value)?;
        }
        // A request without parameters is an object all the same.
        let value = if root.children.is_empty() { Value::Object(Map::new()) } else { root.into_value()? };
        Ok(value.to_string().into_bytes())
    }
}

/// For numbers and flags of requests: forms bring them as texts.
pub fn from_text<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) => match text.trim().parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(D::Error::custom(format!("{}{text} is not valid", crate::json::VALIDATION_MARK))),
        },
    }
}

/// For every list of a request: forms bring one without members as an empty text, as `Tags=`.
pub fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(Some(Vec::new())),
        Some(value) => serde_json::from_value(value).map(Some).map_err(D::Error::custom),
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            '\n' | '\t' => out.push(c),
            // What no XML can hold.
            c if c < ' ' || c == '\u{FFFE}' || c == '\u{FFFF}' => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
}

fn element(name: &str, value: &Value, out: &mut String) {
    if value.is_null() {
        return;
    }
    let _ = write!(out, "<{name}>");
    content(value, out);
    let _ = write!(out, "</{name}>");
}

fn content(value: &Value, out: &mut String) {
    match value {
        Value::Null => {}
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&n.to_string()),
        Value::String(text) => escape(text, out),
        Value::Array(members) => members.iter().for_each(|member| element("member", member, out)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    (ENTRIES, Value::Object(entries)) => {
                        for (key, value) in entries {
                            out.push_str("<entry>");
                            element("key", &Value::String(key.clone()), out);
                            element("value", value, out);
                            out.push_str("</entry>");
                        }
                    }
                    (name, value) => element(name, value, out),
                }
            }
        }
    }
}

/// Whose outputs have no members, and are sent all the same: Terraform looks for them.
const EMPTY_RESULTS: &[&str] = &["UpdateRole"];

/// An operation's answer, as its JSON.
pub fn answer(operation: &str, namespace: &str, request_id: &str, json: &[u8]) -> Result<String, AwsError> {
    let value: Value = serde_json::from_slice(json).map_err(AwsError::internal)?;
    let mut out = format!("<{operation}Response xmlns=\"{namespace}\">\n");
    // Operations without an output have no result either.
    if value.as_object().is_none_or(|fields| !fields.is_empty()) || EMPTY_RESULTS.contains(&operation) {
        element(&format!("{operation}Result"), &value, &mut out);
    }
    let _ = write!(
        out,
        "\n<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\n</{operation}Response>\n"
    );
    Ok(out)
}

/// Code and status: the framework's errors have other ones here than in awsJson.
pub fn spelled(e: &AwsError) -> (&str, u16) {
    match &*e.code {
        "UnrecognizedClientException" => ("InvalidClientTokenId", 403),
        "InvalidSignatureException" => ("SignatureDoesNotMatch", 403),
        "IncompleteSignatureException" => ("IncompleteSignature", 400),
        "MissingAuthenticationTokenException" => ("MissingAuthenticationToken", 403),
        // STS has one of the same name, of the tokens of identity providers.
        "ExpiredTokenException" if e.namespace == Namespace::Framework => ("ExpiredToken", 403),
        "AccessDeniedException" => ("AccessDenied", 403),
        "ThrottlingException" => ("Throttling", 400),
        "ValidationException" => ("ValidationError", 400),
        "SerializationException" => ("MalformedInput", 400),
        "InternalServerError" => ("InternalFailure", 500),
        "UnknownOperationException" => ("InvalidAction", 400),
        code => (code, e.status),
    }
}

/// The error's status code, and its body.
pub fn error(e: &AwsError, namespace: &str, request_id: &str) -> (u16, String) {
    let (code, status) = spelled(e);
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let mut message = String::new();
    escape(&e.message, &mut message);
    let body = format!(
        "<ErrorResponse xmlns=\"{namespace}\">\n<Error><Type>{kind}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error>\n<RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
    );
    (status, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &str) -> Option<Value> {
        let json = Form::parse(body.as_bytes()).ok()?.into_json().ok()?;
        Some(serde_json::from_slice(&json).unwrap())
    }

    #[test]
    fn forms_become_what_json_would_have_said() {
        let body = "Action=TagUser&Version=2010-05-08&UserName=a+b%2Fc&Tags.member.2.Key=y&Tags.member.2.Value=\
            &Tags.member.1.Key=x&Tags.member.1.Value=1&Tags.member.10.Key=z";
        assert_eq!(
            read(body),
            Some(
                json!({"UserName": "a b/c", "Tags": [{"Key": "x", "Value": "1"}, {"Key": "y", "Value": ""}, {"Key": "z"}]})
            )
        );
        assert_eq!(read("Action=ListUsers&Version=x"), Some(json!({})));
        assert_eq!(read("Names.member.1=a"), Some(json!({"Names": ["a"]})));
        assert_eq!(read("Names.member="), Some(json!({"Names": []})));
        for bad in ["A=1&A=2", "A=1&A.b=2", "A.member.x=1", "A.member.1=1&A.member.01=2", "A=%f", "A=%ff", "A..b=1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("{}x=1", "a.".repeat(1_000))), None);
    }

    #[test]
    fn a_list_without_members_is_an_empty_text() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tag {
            key: String,
        }
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Request {
            #[serde(default, deserialize_with = "list")]
            tags: Option<Vec<Tag>>,
            #[serde(default, deserialize_with = "list")]
            tag_keys: Option<Vec<String>>,
        }
        let read = |form: &str| {
            let json = Form::parse(form.as_bytes()).unwrap().into_json().unwrap();
            crate::json::decode::<Request>(&json)
        };
        let request = |tags, tag_keys| Request { tags, tag_keys };
        assert_eq!(read("Action=x").unwrap(), request(None, None));
        assert_eq!(read("Tags=&TagKeys=").unwrap(), request(Some(vec![]), Some(vec![])));
        let one = Some(vec![Tag { key: "k".to_owned() }]);
        assert_eq!(read("Tags.member.1.Key=k&TagKeys.member=").unwrap(), request(one, Some(vec![])));
        for bad in ["TagKeys=a", "Tags=a", "TagKeys.a=b", "Tags.member.1=a"] {
            assert_eq!(read(bad).unwrap_err().code, "SerializationException", "{bad}");
        }
    }

    #[test]
    fn answers_become_xml() {
        let json = json!({"User": {"UserName": "a<b&\u{1}", "Tags": [{"Key": "k"}], "Path": null, "Age": 3, "On": true},
            "Summary": {"#entries": {"Users": 1}}, "None": []});
        let xml = answer("GetUser", "urn:x", "id-1", json.to_string().as_bytes()).unwrap();
        assert_eq!(
            xml,
            "<GetUserResponse xmlns=\"urn:x\">\n<GetUserResult><User><UserName>a&lt;b&amp;\u{FFFD}</UserName><Tags><member>\
             <Key>k</Key></member></Tags><Age>3</Age><On>true</On></User><Summary><entry><key>Users</key><value>1</value>\
             </entry></Summary><None></None></GetUserResult>\n<ResponseMetadata><RequestId>id-1</RequestId>\
             </ResponseMetadata>\n</GetUserResponse>\n"
        );
        assert!(!answer("DeleteUser", "urn:x", "i", b"{}").unwrap().contains("Result"));
        // Terraform's SDK fails without it.
        assert!(answer("UpdateRole", "urn:x", "i", b"{}").unwrap().contains("<UpdateRoleResult></UpdateRoleResult>"));
    }

    #[test]
    fn errors_have_their_names_of_this_protocol() {
        let (status, body) = error(&AwsError::access_denied("User: <x>"), "urn:x", "i");
        assert_eq!(status, 403);
        assert!(body.contains("<Type>Sender</Type><Code>AccessDenied</Code><Message>User: &lt;x&gt;</Message>"));
        let (status, body) = error(&AwsError::new("NoSuchEntity", 404, "x"), "urn:x", "i");
        assert!(status == 404 && body.contains("<Code>NoSuchEntity</Code>"));
        assert!(
            error(&AwsError::internal("secret"), "u", "i").1.contains("<Type>Receiver</Type><Code>InternalFailure")
        );
    }

    proptest! {
        #[test]
        fn no_form_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(form) = Form::parse(&body) {
                let _ = form.into_json();
            }
        }
    }
}
