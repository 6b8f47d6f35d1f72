//! Text to tokens. Never fails: a character that no token starts with becomes a token of its own, which no
//! grammar rule accepts, so that the parser reports it with its neighbours as AWS does.

use super::error::Problem;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A letter, then letters, digits and underscores: attribute names, functions and keywords.
    Identifier,
    /// `#name`
    NamePlaceholder,
    /// `:value`
    ValuePlaceholder,
    Number,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Comma,
    Dot,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Plus,
    Minus,
    Unknown,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: TokenKind,
    start: usize,
    end: usize,
}

/// Words between paths; all are reserved, so no attribute is called so.
const KEYWORDS: [&str; 9] = ["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"];

pub(super) fn attribute_names(text: &str, names: Option<&BTreeMap<String, String>>) -> Option<BTreeSet<String>> {
    let tokens = Tokens::of(text);
    let mut found = BTreeSet::new();
    for at in 0..tokens.len() {
        let token = tokens.get(at);
        let word = tokens.text(token);
        let begins = at == 0 || tokens.get(at - 1).kind != TokenKind::Dot;
        match token.kind {
            TokenKind::NamePlaceholder if begins => {
                found.insert(names?.get(word)?.clone());
            }
            TokenKind::Identifier
                if begins
                    && tokens.get(at + 1).kind != TokenKind::LeftParen
                    && !KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) =>
            {
                found.insert(word.to_owned());
            }
            _ => {}
        }
    }
    Some(found)
}

/// The tokens of one expression, with an `End` after the last.
pub(super) struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

impl<'a> Tokens<'a> {
    pub fn of(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut tokens = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if matches!(bytes[at], b' ' | b'\t' | b'\r' | b'\n') {
                at += 1;
                continue;
            }
            let (kind, length) = next_token(&text[at..]);
            tokens.push(Token { kind, start: at, end: at + length });
            at += length;
        }
        tokens.push(Token { kind: TokenKind::End, start: text.len(), end: text.len() });
        Tokens { text, tokens }
    }

    /// The token at `position`; `End` beyond the last.
    pub fn get(&self, position: usize) -> Token {
        self.tokens[position.min(self.tokens.len() - 1)]
    }

    pub fn text(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// AWS's syntax error: the token, and the source from the token before it to the token after it.
    pub fn syntax_error(&self, position: usize) -> Problem {
        let position = position.min(self.tokens.len() - 1);
        let token = self.tokens[position];
        let start = self.tokens[position.saturating_sub(1)].start;
        let end = self.get(position + 1).end;
        let near = match token.kind {
            // The blanks after the last token are no part of the report.
            TokenKind::End => self.text[start..self.tokens[position.saturating_sub(1)].end].to_owned(),
            _ if self.get(position + 1).kind == TokenKind::End => self.text[start..token.end].to_owned(),
            _ => self.text[start..end].to_owned(),
        };
        let token = if token.kind == TokenKind::End { "<EOF>".to_owned() } else { self.text(token).to_owned() };
        Problem::Syntax { token, near }
    }
}

fn next_token(rest: &str) -> (TokenKind, usize) {
    use TokenKind::*;
    let bytes = rest.as_bytes();
    let run = |from: usize, accept: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|b| accept(b)).count();
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let second = bytes.get(1).copied();
    match bytes[0] {
        first if first.is_ascii_alphabetic() => (Identifier, run(1, word)),
        first if first.is_ascii_digit() => (Number, run(1, u8::is_ascii_digit)),
        b'#' if second.is_some_and(|b| word(&b)) => (NamePlaceholder, run(1, word)),
        b':' if second.is_some_and(|b| word(&b)) => (ValuePlaceholder, run(1, word)),
        b'(' => (LeftParen, 1),
        b')' => (RightParen, 1),
        b'[' => (LeftBracket, 1),
        b']' => (RightBracket, 1),
        b',' => (Comma, 1),
        b'.' => (Dot, 1),
        b'=' => (Equal, 1),
        b'<' if second == Some(b'>') => (NotEqual, 2),
        b'<' if second == Some(b'=') => (LessOrEqual, 2),
        b'<' => (Less, 1),
        b'>' if second == Some(b'=') => (GreaterOrEqual, 2),
        b'>' => (Greater, 1),
        b'+' => (Plus, 1),
        b'-' => (Minus, 1),
        _ => (Unknown, rest.chars().next().map_or(1, char::len_utf8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        let tokens = Tokens::of(source);
        (0..tokens.len() - 1).map(|position| tokens.text(tokens.get(position))).collect()
    }

    #[test]
    fn top_level_names_are_found_wherever_they_stand() {
        let names = BTreeMap::from([("#a".to_owned(), "x y".to_owned()), ("#b".to_owned(), "z".to_owned())]);
        let found = |text| attribute_names(text, Some(&names)).map(|all| all.into_iter().collect::<Vec<_>>().join("|"));
        assert_eq!(found("SET a.b[1] = if_not_exists(c, :v) remove #a.#b").as_deref(), Some("a|c|x y"));
        assert_eq!(found("not (a between b and c) or size(d.e) > f").as_deref(), Some("a|b|c|d|f"));
        assert_eq!(found("#b, g.h").as_deref(), Some("g|z"));
        assert_eq!(found("#c"), None);
    }

    #[test]
    fn splits_at_every_boundary() {
        for (source, expected) in [
            ("a.b[10]", vec!["a", ".", "b", "[", "10", "]"]),
            ("a<>b<=c>=d<e>f=g", vec!["a", "<>", "b", "<=", "c", ">=", "d", "<", "e", ">", "f", "=", "g"]),
            ("#a1_ = :4g", vec!["#a1_", "=", ":4g"]),
            ("# :", vec!["#", ":"]),
            ("#hi-there", vec!["#hi", "-", "there"]),
            ("100abc", vec!["100", "abc"]),
            ("_f ü!=\"", vec!["_", "f", "ü", "!", "=", "\""]),
            (" \t\r\n", vec![]),
        ] {
            assert_eq!(texts(source), expected, "{source}");
        }
    }

    #[test]
    fn syntax_errors_show_their_neighbours() {
        for (source, position, expected) in [
            ("INVALID SYNTAX HERE", 0, r#"Syntax error; token: "INVALID", near: "INVALID SYNTAX""#),
            ("a x b", 1, r#"Syntax error; token: "x", near: "a x b""#),
            ("f()", 2, r#"Syntax error; token: ")", near: "()""#),
            ("NOT #a ", 2, r##"Syntax error; token: "<EOF>", near: "#a""##),
            ("if_not_exists(a, 0)", 4, r#"Syntax error; token: "0", near: ", 0)""#),
            ("", 0, r#"Syntax error; token: "<EOF>", near: """#),
        ] {
            assert_eq!(Tokens::of(source).syntax_error(position).to_string(), expected, "{source}");
        }
    }
}
