//! SAML 2.0: a provider's response with one assertion about who signs in, verified. Of what can be said in many ways in
//! SAML one is understood, the one that AWS documents; everything else is refused.

mod bounds;
mod c14n;
mod metadata;
mod signature;
mod xml;

pub use metadata::Metadata;

use crate::{Refused, invalid};
use base64::Engine as _;
use roxmltree::{Document, Node};
use std::collections::BTreeMap;
use xml::{ASSERTION, PROTOCOL, SIGNATURE};

/// AWS's bound, of the response in base64.
pub const RESPONSE_BYTES_MAX: usize = 100_000;
/// Within which an assertion has to be used.
const FRESH_S: i64 = 300;
/// By which clocks may differ.
const SKEW_S: i64 = 60;
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
/// For whom assertions are made that AWS takes.
const AUDIENCES: [&str; 2] = ["https://signin.aws.amazon.com/saml", "urn:amazon:webservices"];
const VALUES_MAX: usize = 1_000;

/// What a provider says of who signs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// Empty where its provider gave it none.
    pub id: String,
    pub issuer: String,
    pub subject: String,
    /// As `urn:oasis:names:tc:SAML:2.0:nameid-format:persistent`.
    pub subject_format: String,
    /// To whom it was sent.
    pub recipient: String,
    pub attributes: BTreeMap<String, Vec<String>>,
    /// After which the provider itself wants a new sign-in.
    pub session_ends_unix_s: Option<i64>,
}

impl Assertion {
    /// The values of AWS's attribute of this name, as `Role`.
    pub fn values(&self, name: &str) -> &[String] {
        self.attributes.get(&format!("https://aws.amazon.com/SAML/Attributes/{name}")).map_or(&[], Vec::as_slice)
    }
}

/// A response that was sent: nothing is known of it but that it isn't too large to look at.
#[derive(Debug)]
pub struct Response(String);

impl Response {
    /// From base64. Cheap, whatever was sent.
    pub fn decode(base64: &str) -> Result<Response, Refused> {
        let malformed = || invalid("Invalid base64 SAMLResponse");
        if base64.len() > RESPONSE_BYTES_MAX {
            return Err(malformed());
        }
        let packed: String = base64.split_ascii_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| malformed())?;
        let text = String::from_utf8(bytes).map_err(|_| malformed())?;
        bounds::check(&text)?;
        Ok(Response(text))
    }

    /// What it says, for which the provider with this metadata must have signed. Takes milliseconds.
    pub fn verify(&self, metadata: &Metadata, now_unix_s: i64) -> Result<Assertion, Refused> {
        let document = xml::parse(&self.0)?;
        let assertion = signed(&document, metadata)?;
        read(assertion, metadata, now_unix_s)
    }
}

/// Verifies a response in base64.
pub fn verify(response: &str, metadata: &Metadata, now_unix_s: i64) -> Result<Assertion, Refused> {
    Response::decode(response)?.verify(metadata, now_unix_s)
}

/// Who says it, so it says.
fn issued_by(assertion: Node<'_, '_>, metadata: &Metadata) -> Result<String, Refused> {
    let issuer = xml::text(xml::only(assertion, ASSERTION, "Issuer")?)?;
    match issuer == metadata.entity_id {
        true => Ok(issuer),
        false => Err(invalid("Issuer not present in specified provider")),
    }
}

/// The assertion, where it or the response around it is signed, and so is all that is signed at all.
fn signed<'a, 'i>(document: &'a Document<'i>, metadata: &Metadata) -> Result<Node<'a, 'i>, Refused> {
    let response = document.root_element();
    if !xml::is(response, PROTOCOL, "Response") || response.attribute("Version") != Some("2.0") {
        return Err(invalid("It is not a response of SAML 2.0"));
    }
    let status = xml::only(xml::only(response, PROTOCOL, "Status")?, PROTOCOL, "StatusCode")?;
    if status.attribute("Value") != Some(SUCCESS) {
        return Err(Refused::Rejected("The identity provider reported that authentication failed".to_owned()));
    }
    let assertion = xml::only(response, ASSERTION, "Assertion")?;
    // Read again once it is signed; what is another's needs no work.
    issued_by(assertion, metadata)?;
    // Another one, wherever it hides, could be taken for the signed one.
    let all = document.descendants().filter(|node| node.is_element() && node.tag_name().name() == "Assertion");
    let encrypted = document.descendants().any(|node| node.tag_name().name().starts_with("Encrypted"));
    if all.count() != 1 || encrypted {
        return Err(invalid("There must be one assertion, and not encrypted"));
    }
    let signatures = document.descendants().filter(|node| node.is_element() && node.tag_name().name() == "Signature");
    let signatures: Vec<_> = signatures.collect();
    if signatures.is_empty() {
        return Err(invalid("Response is not signed"));
    }
    for signature in signatures {
        let parent = signature.parent().filter(|parent| [response, assertion].contains(parent));
        let parent = parent.ok_or_else(|| invalid("Response signature invalid"))?;
        if xml::only(parent, SIGNATURE, "Signature")? != signature {
            return Err(invalid("Response signature invalid"));
        }
        signature::verify(parent, signature, metadata)?;
    }
    Ok(assertion)
}

const ID_CHARACTERS_MAX: usize = 256;

/// Reads nothing but what is in the assertion.
fn read(assertion: Node<'_, '_>, metadata: &Metadata, now: i64) -> Result<Assertion, Refused> {
    let missing = |what: &str| invalid(format!("The assertion has no {what}"));
    if assertion.attribute("Version") != Some("2.0") {
        return Err(invalid("It is not an assertion of SAML 2.0"));
    }
    let issuer = issued_by(assertion, metadata)?;
    let issued = xml::time(assertion, "IssueInstant")?.ok_or_else(|| missing("IssueInstant"))?;
    if now >= issued + FRESH_S + SKEW_S {
        return Err(Refused::Expired("Token must be redeemed within 5 minutes of issuance".to_owned()));
    }
    if now < issued - SKEW_S {
        return Err(invalid("The assertion is not valid yet"));
    }
    let subject = xml::only(assertion, ASSERTION, "Subject")?;
    let name = xml::only(subject, ASSERTION, "NameID")?;
    let recipient = confirmed(subject, now)?;
    conditions(xml::only(assertion, ASSERTION, "Conditions")?, now)?;
    let statement = xml::only(assertion, ASSERTION, "AuthnStatement")?;
    let ends = xml::time(statement, "SessionNotOnOrAfter")?;
    if ends.is_some_and(|ends| now >= ends) {
        return Err(Refused::Expired("Response has expired".to_owned()));
    }
    let name_text = xml::text(name)?;
    if name_text.is_empty() || name_text.chars().count() > 1_024 {
        return Err(missing("NameID"));
    }
    let id: String = assertion.attribute("ID").unwrap_or_default().chars().take(ID_CHARACTERS_MAX).collect();
    Ok(Assertion {
        id,
        issuer,
        subject: name_text,
        subject_format: name.attribute("Format").unwrap_or_default().to_owned(),
        recipient,
        attributes: attributes(assertion)?,
        session_ends_unix_s: ends,
    })
}

fn within(node: Node<'_, '_>, now: i64) -> Result<(), Refused> {
    if xml::time(node, "NotOnOrAfter")?.is_some_and(|end| now >= end + SKEW_S) {
        return Err(Refused::Expired("Response has expired".to_owned()));
    }
    match xml::time(node, "NotBefore")?.is_some_and(|from| now < from - SKEW_S) {
        true => Err(invalid("The assertion is not valid yet")),
        false => Ok(()),
    }
}

/// To whom the bearer was to bring it: to us, and in time.
fn confirmed(subject: Node<'_, '_>, now: i64) -> Result<String, Refused> {
    let confirmation = xml::only(subject, ASSERTION, "SubjectConfirmation")?;
    if confirmation.attribute("Method") != Some(BEARER) {
        return Err(invalid("The subject is not confirmed as a bearer"));
    }
    let data = xml::only(confirmation, ASSERTION, "SubjectConfirmationData")?;
    let recipient = data.attribute("Recipient").filter(|recipient| AUDIENCES.contains(recipient));
    let recipient = recipient.ok_or_else(|| invalid("The assertion was sent to somebody else"))?;
    if data.attribute("NotOnOrAfter").is_none() {
        return Err(invalid("The confirmation of the subject has no end"));
    }
    within(data, now)?;
    Ok(recipient.to_owned())
}

/// It must be for us, now; what else it may ask isn't understood.
fn conditions(conditions: Node<'_, '_>, now: i64) -> Result<(), Refused> {
    within(conditions, now)?;
    let [restriction] = xml::exactly(conditions, ASSERTION, ["AudienceRestriction"])?;
    let audiences = xml::children(restriction, ASSERTION, "Audience");
    let audiences = audiences.into_iter().map(xml::text).collect::<Result<Vec<_>, _>>()?;
    match audiences.iter().any(|audience| AUDIENCES.contains(&audience.as_str())) {
        true => Ok(()),
        false => Err(invalid("Audience restriction does not name this service")),
    }
}

fn attributes(assertion: Node<'_, '_>) -> Result<BTreeMap<String, Vec<String>>, Refused> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for statement in xml::children(assertion, ASSERTION, "AttributeStatement") {
        for attribute in xml::children(statement, ASSERTION, "Attribute") {
            let name = attribute.attribute("Name").ok_or_else(|| invalid("An attribute has no name"))?;
            let values = all.entry(name.to_owned()).or_default();
            for value in xml::children(attribute, ASSERTION, "AttributeValue") {
                values.push(xml::text(value)?);
                count += 1;
            }
        }
    }
    match count <= VALUES_MAX {
        true => Ok(all),
        false => Err(invalid("The assertion has too many attributes")),
    }
}

#[cfg(test)]
mod tests;
