//! XML signatures (<https://www.w3.org/TR/xmldsig-core/>) as SAML profiles them: enveloped in the element that they sign,
//! exclusively canonical, by RSA. Nothing else is known here.

use super::c14n::canonical;
use super::metadata::Metadata;
use super::xml::{self, EXCLUSIVE, SIGNATURE};
use crate::{Refused, invalid};
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, RsaParameters};
use roxmltree::Node;
use std::collections::BTreeSet;

/// SignedInfo is read before anybody is known to have signed it. A provider's own takes about one.
const SIGNED_INFO_BYTES_MAX: usize = 8 << 10;
const PREFIXES_MAX: usize = 16;

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

fn algorithm<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("Algorithm").unwrap_or_default()
}

fn unknown(what: &str) -> Refused {
    invalid(format!("The signature has an unsupported {what}"))
}

fn signature_method(node: Node<'_, '_>) -> Result<&'static RsaParameters, Refused> {
    match algorithm(node) {
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Ok(&signature::RSA_PKCS1_2048_8192_SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Ok(&signature::RSA_PKCS1_2048_8192_SHA384),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Ok(&signature::RSA_PKCS1_2048_8192_SHA512),
        _ => Err(unknown("algorithm")),
    }
}

fn digest_method(node: Node<'_, '_>) -> Result<&'static digest::Algorithm, Refused> {
    match algorithm(node) {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&digest::SHA512),
        _ => Err(unknown("digest")),
    }
}

/// Of exclusive canonicalization: the prefixes that it treats otherwise, each once and in order.
fn prefixes<'a>(node: Node<'a, '_>) -> Result<Vec<&'a str>, Refused> {
    if algorithm(node) != EXCLUSIVE {
        return Err(unknown("canonicalization"));
    }
    let inside: Vec<_> = node.children().filter(Node::is_element).collect();
    match inside.as_slice() {
        [] => Ok(Vec::new()),
        [one] if xml::is(*one, EXCLUSIVE, "InclusiveNamespaces") => {
            let list = one.attribute("PrefixList").unwrap_or_default().split_ascii_whitespace();
            let list = list.map(|prefix| if prefix == "#default" { "" } else { prefix });
            let prefixes: BTreeSet<&str> = list.collect();
            match prefixes.len() <= PREFIXES_MAX {
                true => Ok(prefixes.into_iter().collect()),
                false => Err(unknown("canonicalization")),
            }
        }
        _ => Err(unknown("canonicalization")),
    }
}

/// Whether a key of the provider has signed `signed`, in which this signature stands.
pub fn verify(signed: Node<'_, '_>, signature: Node<'_, '_>, metadata: &Metadata) -> Result<(), Refused> {
    let bad = || invalid("Response signature invalid");
    // What else could stand in it is optional, and read by nobody.
    let info = xml::only(signature, SIGNATURE, "SignedInfo")?;
    if info.range().len() > SIGNED_INFO_BYTES_MAX {
        return Err(bad());
    }
    let value = xml::bytes(xml::only(signature, SIGNATURE, "SignatureValue")?)?;
    if !xml::children(signature, SIGNATURE, "Object").is_empty() {
        return Err(bad());
    }
    let [method, algorithm_node, reference] =
        xml::exactly(info, SIGNATURE, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
    let [transforms, digest_node, digest_value] =
        xml::exactly(reference, SIGNATURE, ["Transforms", "DigestMethod", "DigestValue"])?;
    let [first, second] = xml::exactly(transforms, SIGNATURE, ["Transform", "Transform"])?;
    if algorithm(first) != ENVELOPED || first.children().any(|child| child.is_element()) {
        return Err(unknown("transform"));
    }
    // It has to mean the element that it stands in, and no other may pass for that.
    let id = signed.attribute("ID").filter(|id| !id.is_empty()).ok_or_else(bad)?;
    if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(bad());
    }
    let elements = signed.document().descendants().filter(Node::is_element);
    let same = elements
        .flat_map(|node| node.attributes())
        .filter(|attribute| attribute.name().eq_ignore_ascii_case("id") && attribute.value() == id);
    if same.count() != 1 {
        return Err(bad());
    }
    // Its few lines first: with the rest nobody makes us work who hasn't the provider's key.
    let message = canonical(info, None, &prefixes(method)?)?;
    let parameters = signature_method(algorithm_node)?;
    if !metadata.keys().any(|key| key.verifies(parameters, message.as_bytes(), &value)) {
        return Err(bad());
    }
    let content = canonical(signed, Some(signature), &prefixes(second)?)?;
    let digest = digest::digest(digest_method(digest_node)?, content.as_bytes());
    match digest.as_ref() == xml::bytes(digest_value)? {
        true => Ok(()),
        false => Err(bad()),
    }
}
