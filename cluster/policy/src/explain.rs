//! What people ask about policies without asking for a decision: where a statement stands, which condition keys it looks
//! at, which services it opens.

use crate::context::Context;
use crate::decide::{Place, Question, Sources};
use crate::document::{Effect, Policy, Statement};
use crate::json::Json;
use crate::pattern::ArnPattern;
use std::collections::HashSet;
use std::ops::Range;

impl Statement {
    /// The condition keys and variables that it looks at, in order.
    fn looks_at(&self) -> impl Iterator<Item = &str> {
        let resources = self.resources.iter().flat_map(|clause| &clause.any).flat_map(|arn| arn.variables(false));
        let conditions = self.conditions.iter().flat_map(|c| std::iter::once(c.key()).chain(c.variables(false)));
        resources.chain(conditions)
    }

    /// Whether it is about this action and resource, whatever its conditions say. A variable without a value is taken as
    /// one that could fit.
    fn concerns(&self, question: &Question<'_>) -> bool {
        let Question { action, resource, context, .. } = question;
        let acts = self.actions.any.iter().any(|a| a.matches(action, context)) != self.actions.not;
        let fits =
            |r: &ArnPattern| r.variables(false).any(|key| context.get(key).is_none()) || r.matches(resource, context);
        acts && self.resources.as_ref().is_none_or(|clause| clause.any.iter().any(fits) != clause.not)
    }
}

impl Policy {
    /// Whether one of its statements allows anything of this service, as `dynamodb`, on any resource.
    pub fn opens(&self, service: &str) -> bool {
        self.statements.iter().filter(|s| s.effect == Effect::Allow).any(|statement| {
            let actions = &statement.actions;
            match actions.not {
                false => actions.any.iter().any(|action| action.is_of(service)),
                // All but these: it is open unless all of the service is among them.
                true => {
                    let all = format!("{}:\u{7f}", service.to_ascii_lowercase());
                    !actions.any.iter().any(|action| action.matches(&all, &Context::default()))
                }
            }
        })
    }
}

/// The condition keys and variables that statements look at, in order, each once, whatever its case.
pub fn context_keys<'a>(statements: impl IntoIterator<Item = &'a Statement>) -> Vec<&'a str> {
    // Documents may have very many: each is looked up, none is compared with all others.
    let mut known = HashSet::new();
    let keys = statements.into_iter().flat_map(Statement::looks_at);
    keys.filter(|key| known.insert(key.to_ascii_lowercase())).collect()
}

/// Condition keys that statements about this action and resource look at, and that the request has no value for.
pub fn missing_keys(question: &Question<'_>, sources: &Sources<'_>) -> Vec<String> {
    let boundary = sources.boundary.as_slice();
    let resource = sources.resource.as_slice();
    let layers = [sources.identity, boundary, sources.session.unwrap_or_default(), resource];
    let statements = layers.into_iter().flatten().flat_map(|named| &named.policy.statements);
    let given: HashSet<String> = question.context.keys().map(str::to_ascii_lowercase).collect();
    let keys = context_keys(statements.filter(|statement| statement.concerns(question))).into_iter();
    keys.filter(|key| !given.contains(&key.to_ascii_lowercase())).map(str::to_owned).collect()
}

/// Where in its text each statement of a document stands, in order; empty where the document can't be read.
fn positions(document: &str) -> Vec<Range<usize>> {
    let Ok(Json::Map(elements)) = serde_json::from_str::<Json>(document) else { return Vec::new() };
    let Some(place) = elements.iter().position(|(name, _)| name == "Statement") else { return Vec::new() };
    let bytes = document.as_bytes();
    // The document is known to be well-formed JSON: what follows only measures.
    let Some(open) = bytes.iter().position(|b| *b == b'{') else { return Vec::new() };
    let members = children(bytes, open);
    let Some(member) = members.get(place) else { return Vec::new() };
    let Some(value) = after_name(bytes, member.clone()) else { return Vec::new() };
    match bytes.get(value.start) {
        Some(b'[') => children(bytes, value.start).into_iter().map(|range| trimmed(bytes, range)).collect(),
        _ => vec![value],
    }
}

/// Where each statement of a document starts and ends, as lines and columns, both from 1; a column is a character. It
/// reads the document once, however many statements it has.
pub fn lines_and_columns(document: &str) -> Vec<[(usize, usize); 2]> {
    let (mut done, mut line, mut column) = (0, 1, 1);
    let mut go_to = |at: usize| {
        for character in document.get(done..at).unwrap_or_default().chars() {
            (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        done = at;
        (line, column)
    };
    positions(document).into_iter().map(|range| [go_to(range.start), go_to(range.end)]).collect()
}

/// What stands between the commas of the object or list that opens at `open`.
fn children(bytes: &[u8], open: usize) -> Vec<Range<usize>> {
    let mut all = Vec::new();
    let (mut depth, mut text, mut escaped) = (0usize, false, false);
    let mut start = open + 1;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    if bytes[start..at].iter().any(|b| !b.is_ascii_whitespace()) {
                        all.push(start..at);
                    }
                    return all;
                }
            }
            b',' if depth == 1 => {
                all.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    all
}

fn trimmed(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let space = |b: &u8| b.is_ascii_whitespace();
    let front = bytes[range.clone()].iter().take_while(|b| space(b)).count();
    let back = bytes[range.clone()].iter().rev().take_while(|b| space(b)).count();
    range.start + front..(range.end - back).max(range.start + front)
}

/// Of `"name": value`, the value.
fn after_name(bytes: &[u8], member: Range<usize>) -> Option<Range<usize>> {
    let (mut text, mut escaped) = (false, false);
    for at in member.clone() {
        match bytes.get(at)? {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b':' if !text => return Some(trimmed(bytes, at + 1..member.end)),
            _ => {}
        }
    }
    None
}

/// The statements that make the outcome what it is: those that deny, or else those that allow.
pub fn deciding<'a>(matched: &[(Place<'a>, Effect)]) -> Vec<Place<'a>> {
    let of = |effect| matched.iter().filter(move |(_, e)| *e == effect).map(|(place, _)| *place);
    let denying: Vec<Place<'a>> = of(Effect::Deny).collect();
    if denying.is_empty() { of(Effect::Allow).collect() } else { denying }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Use;
    use proptest::prelude::*;

    #[test]
    fn statements_are_found_where_they_stand() {
        let one = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": {\n    \"Sid\": \"a,b}\\\"\",\n    \"Effect\": \"Allow\"\n  }\n}";
        let found = positions(one);
        assert_eq!(found.len(), 1);
        assert!(one[found[0].clone()].starts_with("{\n    \"Sid\"") && one[found[0].clone()].ends_with('}'));
        assert_eq!(lines_and_columns(one), [[(3, 16), (6, 4)]]);
        let many = r#"{"Statement":[ {"Sid":"é]"} ,{"Sid":"["}],"Id":"x"}"#;
        let found: Vec<&str> = positions(many).into_iter().map(|r| &many[r]).collect();
        assert_eq!(found, [r#"{"Sid":"é]"}"#, r#"{"Sid":"["}"#]);
        assert_eq!(lines_and_columns(many), [[(1, 16), (1, 28)], [(1, 30), (1, 41)]]);
        for bad in ["", "{", "[]", "{}", r#"{"Statement":"#, "\"x\""] {
            assert!(positions(bad).is_empty(), "{bad}");
        }
        assert_eq!(positions(r#"{"\u0053tatement":{}}"#).first(), Some(&(18..20)));
    }

    fn policy(statements: &str) -> Policy {
        Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#), Use::Identity).unwrap()
    }

    #[test]
    fn keys_are_those_of_conditions_and_variables() {
        let it = policy(
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*",
                "Condition":{"StringEquals":{"aws:PrincipalTag/a":"${s3:prefix}","AWS:UserName":"x"}}}"#,
        );
        assert_eq!(context_keys(&it.statements), ["aws:username", "aws:PrincipalTag/a", "s3:prefix"]);
    }

    /// Each was compared with all others: 76,000 of them took 12 s.
    #[test]
    fn very_many_keys_take_no_longer_than_reading_them() {
        let operands: Vec<String> = (0..76_000).map(|n| format!("\"${{aws:PrincipalTag/{n}}}\"")).collect();
        let it = policy(&format!(
            r#"{{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{{"StringEquals":{{"a:b":[{}]}}}}}}"#,
            operands.join(",")
        ));
        let start = std::time::Instant::now();
        assert_eq!(context_keys(it.statements.iter().chain(&it.statements)).len(), 76_001);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    /// The document was read anew for each of its statements.
    #[test]
    fn very_many_statements_are_found_in_one_reading() {
        let statements = vec![r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#; 20_000].join(",\n");
        let document = format!(r#"{{"Statement":[{statements}]}}"#);
        let start = std::time::Instant::now();
        let found = lines_and_columns(&document);
        assert_eq!((found.len(), found[19_999]), (20_000, [(20_000, 1), (20_000, 47)]));
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }

    #[test]
    fn services_are_opened_by_what_allows_any_of_them() {
        let opens = |action: &str, service: &str| {
            policy(&format!(r#"{{"Effect":"Allow",{action},"Resource":"*"}}"#)).opens(service)
        };
        for (action, service, yes) in [
            (r#""Action":"dynamodb:GetItem""#, "dynamodb", true),
            (r#""Action":"dynamodb:GetItem""#, "dynamo", false),
            (r#""Action":"DynamoDB:Get*""#, "dynamodb", true),
            (r#""Action":"*""#, "iam", true),
            (r#""Action":"*:*""#, "iam", true),
            (r#""NotAction":"iam:*""#, "iam", false),
            (r#""NotAction":"iam:*""#, "s3", true),
            (r#""NotAction":"iam:Create*""#, "iam", true),
        ] {
            assert_eq!(opens(action, service), yes, "{action} {service}");
        }
        assert!(!policy(r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#).opens("s3"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", json in r#"[{}\[\]",:\\ aS]{0,60}"#) {
            for text in [text, json.clone(), format!(r#"{{"Statement":{json}}}"#)] {
                prop_assert_eq!(lines_and_columns(&text).len(), positions(&text).len());
                for range in positions(&text) {
                    prop_assert!(text.get(range).is_some());
                }
            }
        }

        #[test]
        fn every_statement_has_its_place(sids in prop::collection::vec(r#"[a-z{}\[\],:"]{0,8}"#, 1..5), pretty: bool) {
            let statements: Vec<_> = sids.iter().map(|sid| serde_json::json!({"Sid": sid, "Not": [{}]})).collect();
            let document = serde_json::json!({"Id": "x", "Statement": statements, "Version": "2012-10-17"});
            let text = if pretty { serde_json::to_string_pretty(&document).unwrap() } else { document.to_string() };
            let found: Vec<serde_json::Value> =
                positions(&text).into_iter().map(|range| serde_json::from_str(&text[range]).unwrap()).collect();
            prop_assert_eq!(found, statements);
        }
    }
}
