//! What a document may hold, counted before it is parsed. The parser compares every attribute of an element with each of its
//! others, and every namespace that an element declares with each that is in scope: without these bounds a document of
//! some kilobytes, which anybody may send, costs minutes.

use crate::{Refused, invalid};
use std::collections::BTreeSet;

/// Of one element, declarations of namespaces among them.
const ATTRIBUTES_MAX: usize = 64;
/// Different ones that the whole document declares: no more are in scope anywhere.
const PREFIXES_MAX: usize = 64;
/// Namespaces are compared often.
const NAMESPACE_BYTES_MAX: usize = 512;

fn wrong(what: &str) -> Refused {
    invalid(format!("The document {what}"))
}

fn is_space(c: char) -> bool {
    c.is_ascii_whitespace()
}

/// The prefix that an attribute of this name declares; the default namespace's is empty.
fn declared(name: &str) -> Result<Option<&str>, Refused> {
    match name.split_once(':') {
        None => Ok((name == "xmlns").then_some("")),
        Some(("xmlns", prefix)) => Ok(Some(prefix)),
        // Which the parser would take for the default namespace.
        Some((_, "xmlns")) => Err(wrong("is not valid XML")),
        Some(_) => Ok(None),
    }
}

/// Reads a tag to its end, and gives back what comes after it.
fn tag<'a>(markup: &'a str, prefixes: &mut BTreeSet<&'a str>) -> Result<&'a str, Refused> {
    let mut rest = markup;
    let (mut attributes, mut defaults) = (0, 0);
    loop {
        // What isn't well-formed the parser doesn't read either.
        let Some((at, mark)) = rest.char_indices().find(|(_, c)| ['>', '"', '\''].contains(c)) else { return Ok("") };
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if mark == '>' {
            return Ok(after);
        }
        let Some((value, after)) = after.split_once(mark) else { return Ok("") };
        rest = after;
        attributes += 1;
        let name = before.trim_end_matches(is_space).trim_end_matches('=').trim_end_matches(is_space);
        if let Some(prefix) = declared(name.rsplit(is_space).next().unwrap_or_default())? {
            prefixes.insert(prefix);
            defaults += usize::from(prefix.is_empty());
            if value.len() > NAMESPACE_BYTES_MAX {
                return Err(wrong("has too long a namespace"));
            }
        }
        if defaults > 1 {
            return Err(wrong("is not valid XML"));
        }
        if attributes > ATTRIBUTES_MAX {
            return Err(wrong("has an element with too many attributes"));
        }
        if prefixes.len() > PREFIXES_MAX {
            return Err(wrong("has too many namespaces"));
        }
    }
}

/// Whether a quotation mark that begins in it doesn't end in it.
fn is_open(text: &str) -> bool {
    let marks = text.chars().filter(|c| ['"', '\''].contains(c));
    let open = marks.fold(None, |open, c| match open {
        None => Some(c),
        Some(mark) if mark == c => None,
        Some(mark) => Some(mark),
    });
    open.is_some()
}

/// In one pass over the text. It sees the same tags in it as the parser, as far as the parser comes.
pub fn check(text: &str) -> Result<(), Refused> {
    let mut prefixes = BTreeSet::new();
    let mut rest = text;
    while let Some((before, markup)) = rest.split_once('<') {
        rest = if let Some(data) = markup.strip_prefix("![CDATA[") {
            data.split_once("]]>").map_or("", |(_, after)| after)
        } else if let Some(declaration) = markup.strip_prefix('?') {
            let (inside, after) = declaration.split_once("?>").unwrap_or((declaration, ""));
            // No other but the one that every document may begin with.
            let is_first = before.len() + 1 + markup.len() == text.len();
            if !is_first || !inside.starts_with("xml") || is_open(inside) {
                return Err(wrong("has processing instructions"));
            }
            after
        } else if markup.starts_with('!') {
            return Err(wrong("has comments or a DTD"));
        } else {
            tag(markup, &mut prefixes)?
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_is_slow_with_is_refused_before() {
        let many = |n: usize, each: &dyn Fn(usize) -> String| (0..n).map(each).collect::<String>();
        let of = |attributes: String| check(&format!("<?xml version='1.0'?>\n<a{attributes}><b/></a>"));
        assert!(of(many(64, &|i| format!(" a{i}='>'"))).is_ok());
        assert!(of(many(65, &|i| format!(" a{i}='>'"))).is_err());
        assert!(of(format!(" xmlns:a='{}'", "u".repeat(512))).is_ok());
        assert!(of(format!(" xmlns:a\n=\n'{}'", "u".repeat(513))).is_err());
        assert!(of(" x:xmlns='u'".to_owned()).is_err());
        assert!(of(" xmlns='u' xmlns='v'".to_owned()).is_err());
        // Over elements, however they are hidden from a reader of less than XML.
        for between in ["", "<![CDATA[<a b='\"]]>", "it's", "<c d='\"'/>", "<c d=\"'>\"></c >"] {
            let nested = |n| format!("<a>{}</a>", many(n, &|i| format!("{between}<b xmlns:p{i}='u'/>")));
            assert!(check(&nested(64)).is_ok(), "{between}");
            assert!(check(&nested(65)).is_err(), "{between}");
        }
        // The same one again and again is one.
        assert!(check(&format!("<a>{}</a>", "<b xmlns:p='u' xmlns='v'/>".repeat(1_000))).is_ok());
    }

    #[test]
    fn nothing_is_hidden_in_what_is_no_element() {
        for text in [
            "<?xml version='?><a b='",
            "<?xml version=\"'?>\"?><a/>",
            "<a/><?xml version='1.0'?>",
            "<?other?><a/>",
            "<a><!-- x --></a>",
            "<!DOCTYPE a><a/>",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
        for text in ["", "<", "<a", "<a b", "<a b='", "<![CDATA[", "text"] {
            assert!(check(text).is_ok(), "{text}");
        }
    }
}
