//! Exclusive XML Canonicalization 1.0 without comments (<https://www.w3.org/TR/xml-exc-c14n/>), of an element with all that
//! is in it. Documents with comments or processing instructions never come this far.
//!
//! Part of it is done with what nobody has signed: its work is counted, grows with the document and not faster, and ends
//! at a bound.

use crate::{Refused, invalid};
use roxmltree::{Attribute, Node};
use std::collections::BTreeMap;

/// Bytes written and compared, and namespaces looked at: some milliseconds. What an honest provider sends takes a tenth.
const WORK_MAX: usize = 2 << 20;

/// The name as it was written, with its prefix, which the parser doesn't keep.
fn written<'a>(node: Node<'a, '_>) -> &'a str {
    let text = node.document().input_text().get(node.range()).unwrap_or_default();
    let name = text.strip_prefix('<').unwrap_or_default();
    name.split(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>').next().unwrap_or_default()
}

fn attribute_name<'a>(node: Node<'a, '_>, attribute: &Attribute<'a, '_>) -> &'a str {
    node.document().input_text().get(attribute.range_qname()).unwrap_or_default()
}

fn prefix(name: &str) -> Option<&str> {
    name.split_once(':').map(|(prefix, _)| prefix)
}

fn text(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '\r' => into.push_str("&#xD;"),
            c => into.push(c),
        }
    }
}

fn value(into: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '"' => into.push_str("&quot;"),
            '\t' => into.push_str("&#x9;"),
            '\n' => into.push_str("&#xA;"),
            '\r' => into.push_str("&#xD;"),
            c => into.push(c),
        }
    }
}

struct Writer<'a> {
    out: String,
    work: usize,
    /// Left out with all that is in it: the signature that the element holds.
    without: Option<roxmltree::NodeId>,
    /// Prefixes that are treated as Canonical XML treats them, in order.
    inclusive: &'a [&'a str],
    /// The namespaces that elements around the present one have declared in what was written.
    declared: BTreeMap<&'a str, &'a str>,
}

impl<'a> Writer<'a> {
    fn worked(&mut self, work: usize) -> Result<(), Refused> {
        self.work += work;
        match self.work <= WORK_MAX {
            true => Ok(()),
            false => Err(invalid("What is signed is too large in its canonical form")),
        }
    }

    /// What prefixes stand for that have to be declared at this element; the default namespace has the empty prefix.
    fn used(
        &mut self,
        node: Node<'a, '_>,
        name: &'a str,
        attributes: &[(Attribute<'a, '_>, &'a str)],
    ) -> Result<BTreeMap<&'a str, &'a str>, Refused> {
        let mut used = BTreeMap::new();
        used.insert(prefix(name).unwrap_or_default(), node.tag_name().namespace().unwrap_or_default());
        for (attribute, name) in attributes {
            if let Some(prefix) = prefix(name) {
                used.insert(prefix, attribute.namespace().unwrap_or_default());
            }
        }
        if !self.inclusive.is_empty() {
            let in_scope = node.namespaces();
            self.worked(in_scope.len())?;
            for namespace in in_scope.filter(|namespace| !namespace.uri().is_empty()) {
                let prefix = namespace.name().unwrap_or_default();
                if self.inclusive.binary_search(&prefix).is_ok() {
                    used.entry(prefix).or_insert(namespace.uri());
                }
            }
        }
        used.remove("xml");
        self.worked(1 + attributes.len() + used.values().map(|uri| uri.len()).sum::<usize>())?;
        Ok(used)
    }

    fn element(&mut self, node: Node<'a, '_>) -> Result<(), Refused> {
        let name = written(node);
        let mut attributes: Vec<_> = node.attributes().map(|a| (a, attribute_name(node, &a))).collect();
        let used = self.used(node, name, &attributes)?;
        let mut before = Vec::new();
        let begins = self.out.len();
        self.out.push('<');
        self.out.push_str(name);
        for (prefix, uri) in used {
            if self.declared.get(prefix).copied().unwrap_or_default() == uri {
                continue;
            }
            match prefix {
                "" => self.out.push_str(" xmlns=\""),
                prefix => {
                    self.out.push_str(" xmlns:");
                    self.out.push_str(prefix);
                    self.out.push_str("=\"");
                }
            }
            value(&mut self.out, uri);
            self.out.push('"');
            before.push((prefix, self.declared.insert(prefix, uri)));
        }
        attributes.sort_by_key(|(attribute, _)| (attribute.namespace().unwrap_or_default(), attribute.name()));
        for (attribute, name) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            value(&mut self.out, attribute.value());
            self.out.push('"');
        }
        self.out.push('>');
        self.worked(self.out.len() - begins)?;
        let without = self.without;
        for child in node.children().filter(|child| Some(child.id()) != without) {
            match child.is_element() {
                // As deep as the document, which is bounded.
                true => self.element(child)?,
                false => {
                    let begins = self.out.len();
                    text(&mut self.out, child.text().unwrap_or_default());
                    self.worked(self.out.len() - begins)?;
                }
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        self.worked(name.len())?;
        for (prefix, uri) in before {
            match uri {
                Some(uri) => self.declared.insert(prefix, uri),
                None => self.declared.remove(prefix),
            };
        }
        Ok(())
    }
}

/// The element in its canonical form, without one of its children. The inclusive prefixes are in order.
pub fn canonical(node: Node<'_, '_>, without: Option<Node<'_, '_>>, inclusive: &[&str]) -> Result<String, Refused> {
    counted(node, without, inclusive).map(|(canonical, _)| canonical)
}

/// And the work that it was.
fn counted(node: Node<'_, '_>, without: Option<Node<'_, '_>>, inclusive: &[&str]) -> Result<(String, usize), Refused> {
    let without = without.map(|node| node.id());
    let mut writer = Writer { out: String::new(), work: 0, without, inclusive, declared: BTreeMap::new() };
    writer.element(node)?;
    Ok((writer.out, writer.work))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(xml: &str, name: &str, inclusive: &[&str]) -> String {
        let document = roxmltree::Document::parse(xml).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
        canonical(node, None, inclusive).unwrap()
    }

    /// The specification's own example, and what else is easily got wrong.
    #[test]
    fn namespaces_are_declared_where_they_are_used() {
        let inner = r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#;
        let first = r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org"><n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2></n0:local>"#;
        assert_eq!(of(first, "elem2", &[]), inner);
        let with = r#"<n1:elem2 xmlns:n0="foo:bar" xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#;
        assert_eq!(of(first, "elem2", &["n0"]), with);
        let defaults = r#"<a xmlns="urn:a"><b xmlns=""><c/></b><d xmlns="urn:a" z="1" y='&quot;&#10;2"'> &gt;&#13;<![CDATA[<&]]></d></a>"#;
        assert_eq!(
            of(defaults, "a", &[]),
            "<a xmlns=\"urn:a\"><b xmlns=\"\"><c></c></b><d y=\"&quot;&#xA;2&quot;\" z=\"1\"> &gt;&#xD;&lt;&amp;</d></a>"
        );
        assert_eq!(of(defaults, "c", &[]), "<c></c>");
        let sorted = r#"<x xmlns:b="urn:1" xmlns:a="urn:2" a:m="1" b:m="2" m="3" k="4"/>"#;
        let canonical = r#"<x xmlns:a="urn:2" xmlns:b="urn:1" k="4" m="3" b:m="2" a:m="1"></x>"#;
        assert_eq!(of(sorted, "x", &[]), canonical);
    }

    /// Elements that use the one namespace whose prefix is listed, with `scope` more around them.
    fn wide(elements: usize, scope: usize) -> String {
        let declared: String = (0..scope).map(|i| format!(" xmlns:p{i}='urn:{i}'")).collect();
        format!("<a{declared}>{}</a>", "<b/><b xmlns:x='urn:x'/>".repeat(elements / 2))
    }

    /// Its work once grew with the elements times the namespaces times the listed prefixes.
    #[test]
    fn twice_the_document_is_twice_the_work() {
        let listed: Vec<String> = (0..16).map(|i| format!("p{i}")).collect();
        let mut listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        listed.sort_unstable();
        let work = |elements, scope, listed: &[&str]| {
            let xml = wide(elements, scope);
            let document = roxmltree::Document::parse(&xml).unwrap();
            counted(document.root_element(), None, listed).unwrap().1
        };
        let once = work(1_000, 60, &listed);
        assert!(work(2_000, 60, &listed) < once * 21 / 10);
        // Each element looks once at what is in scope, and compares what is listed; without a list neither.
        assert!(once < 1_100 * (62 + 16 * 8 + 20), "{once}");
        assert!(work(1_000, 60, &[]) < 1_100 * 20);
    }

    /// A namespace that is declared once and used by many is written as often as it is used.
    #[test]
    fn what_grows_too_large_is_given_up() {
        let xml = format!("<a xmlns:p='{}'>{}</a>", "u".repeat(500), "<p:b/>".repeat(10_000));
        let document = roxmltree::Document::parse(&xml).unwrap();
        assert!(canonical(document.root_element(), None, &[]).is_err());
        assert!(canonical(document.root_element(), None, &["p"]).is_err());
        let first = document.root_element().first_child().unwrap();
        assert!(canonical(first, None, &[]).is_ok());
    }

    #[test]
    fn what_one_element_declares_is_not_declared_in_the_next() {
        let xml = "<a><p:b xmlns:p='1'><p:c/><p:d xmlns:p='2'/><p:e/></p:b><p:f xmlns:p='1'/></a>";
        let wanted =
            "<a><p:b xmlns:p=\"1\"><p:c></p:c><p:d xmlns:p=\"2\"></p:d><p:e></p:e></p:b><p:f xmlns:p=\"1\"></p:f></a>";
        assert_eq!(of(xml, "a", &[]), wanted);
    }
}
