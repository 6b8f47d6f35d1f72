//! Reading XML that somebody else wrote, strictly.

use super::bounds;
use crate::{Refused, invalid};
use roxmltree::{Document, Node, ParsingOptions};

pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

const NODES_MAX: u32 = 20_000;
const DEPTH_MAX: usize = 40;

/// A document without anything that readers see differently: no DTD, no entities of its own, no comments, no processing
/// instructions.
pub fn parse(text: &str) -> Result<Document<'_>, Refused> {
    bounds::check(text)?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|_| invalid("The document is not valid XML"))?;
    // Those would cut a text in two where others see one.
    if document.descendants().any(|node| node.is_comment() || node.is_pi()) {
        return Err(invalid("The document has comments or processing instructions"));
    }
    if document.descendants().any(|node| node.ancestors().nth(DEPTH_MAX).is_some()) {
        return Err(invalid("The document is nested too deeply"));
    }
    Ok(document)
}

pub fn is(node: Node<'_, '_>, namespace: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace() == Some(namespace)
}

pub fn children<'a, 'i>(parent: Node<'a, 'i>, namespace: &str, name: &str) -> Vec<Node<'a, 'i>> {
    parent.children().filter(|child| is(*child, namespace, name)).collect()
}

/// The one child of this name.
pub fn only<'a, 'i>(parent: Node<'a, 'i>, namespace: &str, name: &str) -> Result<Node<'a, 'i>, Refused> {
    match children(parent, namespace, name).as_slice() {
        [only] => Ok(*only),
        _ => Err(invalid(format!("There must be one {name} element in {}", parent.tag_name().name()))),
    }
}

/// All elements in it, which must be these and in this order.
pub fn exactly<'a, 'i, const N: usize>(
    parent: Node<'a, 'i>,
    namespace: &str,
    names: [&str; N],
) -> Result<[Node<'a, 'i>; N], Refused> {
    let wrong = || invalid(format!("The {} element is not as it must be", parent.tag_name().name()));
    let all: Vec<_> = parent.children().filter(Node::is_element).collect();
    let all: [Node<'a, 'i>; N] = all.try_into().map_err(|_| wrong())?;
    match all.iter().zip(names).all(|(node, name)| is(*node, namespace, name)) {
        true => Ok(all),
        false => Err(wrong()),
    }
}

/// Its whole text; it holds nothing else.
pub fn text(node: Node<'_, '_>) -> Result<String, Refused> {
    if node.children().any(|child| child.is_element()) {
        return Err(invalid(format!("The {} element is not a text", node.tag_name().name())));
    }
    Ok(node.children().filter_map(|child| child.text()).collect::<String>().trim().to_owned())
}

/// Bytes in base64, with white space between.
pub fn bytes(node: Node<'_, '_>) -> Result<Vec<u8>, Refused> {
    use base64::Engine as _;
    let text: String = text(node)?.split_ascii_whitespace().collect();
    let decoded = base64::engine::general_purpose::STANDARD.decode(text);
    decoded.map_err(|_| invalid(format!("The {} element is not base64", node.tag_name().name())))
}

/// Seconds since 1970, of an attribute that holds a time.
pub fn time(node: Node<'_, '_>, attribute: &str) -> Result<Option<i64>, Refused> {
    let Some(value) = node.attribute(attribute) else { return Ok(None) };
    let time = time::OffsetDateTime::parse(value, &time::format_description::well_known::Rfc3339);
    let time = time.map_err(|_| invalid(format!("{attribute} is not a time")))?;
    Ok(Some(time.unix_timestamp()))
}
