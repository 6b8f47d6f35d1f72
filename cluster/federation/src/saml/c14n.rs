//! Exclusive XML Canonicalization 1.0 without comments (<https://www.w3.org/TR/xml-exc-c14n/>), of an element with all that
//! is in it. Documents with comments or processing instructions never come this far.

use roxmltree::{Attribute, Node};
use std::collections::BTreeMap;

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

/// What a prefix stands for at this element; the default namespace has the empty prefix.
fn in_scope<'a>(node: Node<'a, '_>, prefix: &str) -> &'a str {
    let found = node.namespaces().find(|ns| ns.name().unwrap_or_default() == prefix);
    found.map_or("", |ns| ns.uri())
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
    /// Left out with all that is in it: the signature that the element holds.
    without: Option<roxmltree::NodeId>,
    /// Prefixes that are treated as Canonical XML treats them.
    inclusive: &'a [&'a str],
}

impl Writer<'_> {
    /// `declared`: the namespaces that elements around this one have declared in what was written.
    fn element(&mut self, node: Node<'_, '_>, declared: &BTreeMap<String, String>) {
        let name = written(node);
        let mut used: Vec<&str> = vec![prefix(name).unwrap_or_default()];
        let mut attributes: Vec<_> = node.attributes().map(|a| (a, attribute_name(node, &a))).collect();
        used.extend(attributes.iter().filter_map(|(_, name)| prefix(name)));
        used.extend(self.inclusive.iter().copied().filter(|p| !in_scope(node, p).is_empty()));
        used.sort_unstable();
        used.dedup();
        let mut declared = declared.clone();
        self.out.push('<');
        self.out.push_str(name);
        for prefix in used.into_iter().filter(|prefix| *prefix != "xml") {
            let uri = in_scope(node, prefix);
            if declared.get(prefix).map_or("", String::as_str) == uri {
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
            declared.insert(prefix.to_owned(), uri.to_owned());
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
        let without = self.without;
        for child in node.children().filter(|child| Some(child.id()) != without) {
            match child.is_element() {
                // As deep as the document, which is bounded.
                true => self.element(child, &declared),
                false => text(&mut self.out, child.text().unwrap_or_default()),
            }
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// The element in its canonical form, without one of its children.
pub fn canonical(node: Node<'_, '_>, without: Option<Node<'_, '_>>, inclusive: &[&str]) -> String {
    let mut writer = Writer { out: String::new(), without: without.map(|node| node.id()), inclusive };
    writer.element(node, &BTreeMap::new());
    writer.out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(xml: &str, name: &str, inclusive: &[&str]) -> String {
        let document = roxmltree::Document::parse(xml).unwrap();
        let node = document.descendants().find(|node| node.tag_name().name() == name).unwrap();
        canonical(node, None, inclusive)
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
}
