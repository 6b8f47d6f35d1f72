//! What a request says about its signature, before any of it is believed.

use super::canonical::percent_decode;
use super::{ALGORITHM, timestamp};
use crate::error::AwsError;
use http::HeaderMap;
use std::borrow::Cow;

/// The parts of a signature, read but not checked.
#[derive(Debug)]
pub struct Claim<'a> {
    pub algorithm: Cow<'a, str>,
    /// `keyid/date/region/service/aws4_request`.
    pub credential: Cow<'a, str>,
    /// Names in lower case and in order.
    pub signed_headers: Vec<Cow<'a, str>>,
    pub signature: Cow<'a, str>,
    /// In ISO 8601's basic format.
    pub timestamp: Cow<'a, str>,
    pub unix_s: i64,
    /// Seconds for which a presigned request is good.
    pub expires_s: Option<i64>,
    /// Of temporary credentials.
    pub security_token: Option<Cow<'a, str>>,
    /// In the query rather than in a header.
    pub presigned: bool,
}

fn incomplete(message: String) -> AwsError {
    AwsError::framework("IncompleteSignatureException", message)
}

/// For which service a request says that it is signed; nothing is verified.
pub fn service_of(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let claim = Claim::read(headers, query).ok()?;
    claim.credential_parts().ok().map(|[_, _, _, service, _]| service.to_owned())
}

pub fn missing_token() -> AwsError {
    AwsError::framework("MissingAuthenticationTokenException", "Request is missing Authentication Token")
}

fn bad_date(text: &str) -> AwsError {
    incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()))
}

fn sorted_headers<'a>(list: Cow<'a, str>) -> Vec<Cow<'a, str>> {
    let lower = |name: &str| name.bytes().any(|b| b.is_ascii_uppercase()).then(|| name.to_ascii_lowercase());
    let mut names: Vec<Cow<'a, str>> = match list {
        Cow::Borrowed(list) => list.split(';').map(|n| lower(n).map_or(Cow::Borrowed(n), Cow::Owned)).collect(),
        Cow::Owned(list) => list.split(';').map(|n| Cow::Owned(lower(n).unwrap_or_else(|| n.to_owned()))).collect(),
    };
    if !names.is_sorted() {
        names.sort_unstable();
    }
    names
}

impl<'a> Claim<'a> {
    /// Reads the header form or the query form, whichever is there.
    pub fn read(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<Self, AwsError> {
        let header = headers.get(http::header::AUTHORIZATION);
        let in_query = query.is_some_and(|q| pairs(q).any(|(k, _)| k == "X-Amz-Algorithm"));
        match (header, query) {
            (Some(_), _) if in_query => Err(AwsError::framework(
                "InvalidSignatureException",
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            )),
            (Some(value), _) => Self::from_header(String::from_utf8_lossy(value.as_bytes()), headers),
            (None, Some(query)) if in_query => Self::from_query(query),
            _ => Err(missing_token()),
        }
    }

    fn from_header(value: Cow<'a, str>, headers: &'a HeaderMap) -> Result<Self, AwsError> {
        match value {
            Cow::Borrowed(text) => Self::parse_header(text, headers),
            // Bytes that are no UTF-8: no signature of ours has them, but the words of the error must be had.
            Cow::Owned(text) => match Self::parse_header(&text, headers) {
                Err(e) => Err(e),
                Ok(_) => Err(incomplete(format!("Authorization={text}"))),
            },
        }
    }

    fn parse_header<'b>(text: &'b str, headers: &'b HeaderMap) -> Result<Claim<'b>, AwsError> {
        let text = text.trim();
        if !text.starts_with("AWS4-") {
            return Err(missing_token());
        }
        let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split([',', ' ', '\t']).filter(|p| !p.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(incomplete(format!(
                    "'{part}' not a valid key=value pair (missing equal-sign) in Authorization header: '{text}'."
                )));
            };
            match name {
                "Credential" => credential = Some(value),
                "SignedHeaders" => signed_headers = Some(value),
                "Signature" => signature = Some(value),
                _ => {}
            }
        }
        let date = match headers.get("x-amz-date") {
            Some(_) => header_text(headers, "x-amz-date"),
            None => header_text(headers, "date"),
        };
        let mut missing = String::new();
        for (name, value) in [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed_headers)] {
            if value.is_none_or(str::is_empty) {
                missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
            }
        }
        if date.is_none() {
            missing.push_str("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ");
        }
        let (Some(credential), Some(signed_headers), Some(signature), Some(date), "") =
            (credential, signed_headers, signature, date, missing.as_str())
        else {
            return Err(incomplete(format!("{missing}Authorization={text}")));
        };
        let (timestamp, unix_s) = match timestamp::parse_basic(&date) {
            Some(unix_s) => (date, unix_s),
            None if headers.contains_key("x-amz-date") => return Err(bad_date(&date)),
            None => {
                let unix_s = timestamp::parse_date_header(&date).ok_or_else(|| bad_date(&date))?;
                (Cow::Owned(timestamp::format_basic(unix_s)), unix_s)
            }
        };
        Ok(Claim {
            algorithm: Cow::Borrowed(algorithm),
            credential: Cow::Borrowed(credential),
            signed_headers: sorted_headers(Cow::Borrowed(signed_headers)),
            signature: Cow::Borrowed(signature),
            timestamp,
            unix_s,
            expires_s: None,
            security_token: header_text(headers, "x-amz-security-token"),
            presigned: false,
        })
    }

    fn from_query(query: &'a str) -> Result<Self, AwsError> {
        let get = |name: &str| {
            pairs(query)
                .find(|(k, _)| *k == name)
                .map(|(_, v)| match percent_decode(v) {
                    Cow::Borrowed(b) => String::from_utf8_lossy(b),
                    Cow::Owned(b) => Cow::Owned(String::from_utf8_lossy(&b).into_owned()),
                })
                .filter(|v| !v.is_empty())
        };
        let mut missing = String::new();
        let mut need = |name: &str| {
            let value = get(name);
            if value.is_none() {
                missing.push_str(&format!("AWS query-string parameters must include '{name}'. "));
            }
            value.unwrap_or_default()
        };
        let algorithm = need("X-Amz-Algorithm");
        let credential = need("X-Amz-Credential");
        let signature = need("X-Amz-Signature");
        let signed_headers = need("X-Amz-SignedHeaders");
        let timestamp = need("X-Amz-Date");
        if !missing.is_empty() {
            return Err(incomplete(format!("{missing}Re-examine the query-string parameters.")));
        }
        let unix_s = timestamp::parse_basic(&timestamp).ok_or_else(|| bad_date(&timestamp))?;
        let expires_s = match get("X-Amz-Expires") {
            None => None,
            Some(text) => Some(
                text.parse::<u32>()
                    .map(i64::from)
                    .map_err(|_| incomplete("X-Amz-Expires should be a number".to_owned()))?,
            ),
        };
        Ok(Claim {
            algorithm,
            credential,
            signed_headers: sorted_headers(signed_headers),
            signature,
            timestamp,
            unix_s,
            expires_s,
            security_token: get("X-Amz-Security-Token"),
            presigned: true,
        })
    }

    pub fn check_algorithm(&self) -> Result<(), AwsError> {
        if self.algorithm == ALGORITHM {
            return Ok(());
        }
        Err(incomplete(format!("Unsupported AWS 'algorithm': '{}' (only {ALGORITHM} for now). ", self.algorithm)))
    }

    /// Key id, date, region, service, terminator.
    pub fn credential_parts(&self) -> Result<[&str; 5], AwsError> {
        let mut parts = self.credential.trim_end_matches('/').split('/');
        let mut five = [""; 5];
        for part in &mut five {
            *part = parts.next().ok_or_else(|| self.bad_credential())?;
        }
        if parts.next().is_some() { Err(self.bad_credential()) } else { Ok(five) }
    }

    fn bad_credential(&self) -> AwsError {
        incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            self.credential
        ))
    }
}

/// The pairs of a query string, as sent.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, "")))
}
