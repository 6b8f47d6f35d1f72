//! Texts with wildcards and variables: what actions, resources and conditions are compared with.

use crate::context::Context;
use std::borrow::Cow;

/// What an allocation costs beside its bytes, about.
pub(crate) const ALLOCATION: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Byte(u8),
    /// `?`: one character.
    One,
    /// `*`: any number of them.
    Many,
    /// Of a resource's ARN: `?` and `*` that don't reach over a colon.
    OneWithin,
    ManyWithin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Signs(Vec<Sign>),
    Variable { key: String, default: Option<String> },
}

/// What `*`, `?` and `${…}` mean in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) wildcards: bool,
    pub(crate) variables: bool,
}

/// A text to compare with. Case matters, but for patterns that were made [`Pattern::folded`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
    folded: bool,
    /// What it begins with, before any wildcard or variable: most texts that don't match differ here already.
    prefix: Vec<u8>,
    /// Nothing comes after the prefix.
    exact: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadVariable;

fn push(parts: &mut Vec<Part>, sign: Sign) {
    match parts.last_mut() {
        Some(Part::Signs(signs)) => signs.push(sign),
        _ => parts.push(Part::Signs(vec![sign])),
    }
}

/// The inside of `${…}`: `key` or `key, 'default'`.
fn variable(inside: &str) -> Result<Part, BadVariable> {
    let (key, default) = match inside.split_once(',') {
        None => (inside.trim(), None),
        Some((key, default)) => {
            let default = default.trim();
            let quoted = default.strip_prefix('\'').and_then(|d| d.strip_suffix('\'')).ok_or(BadVariable)?;
            (key.trim(), Some(quoted.to_owned()))
        }
    };
    let fits = |c: char| c.is_alphanumeric() || "_.:/=+-@ ".contains(c);
    if key.is_empty() || !key.contains(':') || !key.chars().all(fits) {
        return Err(BadVariable);
    }
    Ok(Part::Variable { key: key.to_owned(), default })
}

impl Pattern {
    fn new(mut parts: Vec<Part>, folded: bool) -> Pattern {
        // They are made once, and kept for long.
        parts.shrink_to_fit();
        for part in &mut parts {
            if let Part::Signs(signs) = part {
                signs.shrink_to_fit();
            }
        }
        let first = match parts.first() {
            Some(Part::Signs(signs)) => signs.as_slice(),
            Some(Part::Variable { .. }) | None => &[],
        };
        let bytes = first.iter().map_while(|sign| if let Sign::Byte(byte) = sign { Some(*byte) } else { None });
        let prefix: Vec<u8> = bytes.collect();
        let exact =
            parts.len() < 2 && prefix.len() == first.len() && !matches!(parts.first(), Some(Part::Variable { .. }));
        Pattern { parts, folded, prefix, exact }
    }

    pub(crate) fn parse(text: &str, reading: Reading) -> Result<Pattern, BadVariable> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            if reading.variables && rest.starts_with("${") {
                let end = rest.find('}').ok_or(BadVariable)?;
                match &rest[2..end] {
                    // Signs that stand for themselves.
                    sign @ ("*" | "?" | "$") => push(&mut parts, Sign::Byte(sign.as_bytes()[0])),
                    inside => parts.push(variable(inside)?),
                }
                rest = &rest[end + 1..];
                continue;
            }
            let sign = match first {
                b'*' if reading.wildcards => Sign::Many,
                b'?' if reading.wildcards => Sign::One,
                byte => Sign::Byte(byte),
            };
            push(&mut parts, sign);
            // Byte by byte also within a character: they are put together again as they were.
            match first.is_ascii() {
                true => rest = &rest[1..],
                false => {
                    let character = rest.chars().next().map_or(1, char::len_utf8);
                    rest.as_bytes()[1..character].iter().for_each(|b| push(&mut parts, Sign::Byte(*b)));
                    rest = &rest[character..];
                }
            }
        }
        Ok(Pattern::new(parts, false))
    }

    /// Wildcards, no variables, any case: as actions are written.
    pub(crate) fn folded(text: &str) -> Pattern {
        let reading = Reading { wildcards: true, variables: false };
        let parsed = Pattern::parse(&text.to_ascii_lowercase(), reading);
        Pattern::new(parsed.map(|p| p.parts).unwrap_or_default(), true)
    }

    /// The same text with `:` cut out, in at most `most` pieces; variables stay whole.
    pub(crate) fn split(&self, most: usize) -> Vec<Pattern> {
        let mut pieces = vec![Vec::new()];
        for part in &self.parts {
            let Part::Signs(signs) = part else {
                if let Some(piece) = pieces.last_mut() {
                    piece.push(part.clone());
                }
                continue;
            };
            for sign in signs {
                if *sign == Sign::Byte(b':') && pieces.len() < most {
                    pieces.push(Vec::new());
                } else if let Some(piece) = pieces.last_mut() {
                    push(piece, *sign);
                }
            }
        }
        pieces.into_iter().map(|parts| Pattern::new(parts, self.folded)).collect()
    }

    /// Of a resource's ARN: with stars that end one of its first segments reaching over colons, and all other wildcards
    /// there not; how many colons it has, and whether there is such a star.
    fn reaching(&self) -> (Pattern, usize, bool) {
        let (mut colons, mut reaches) = (0, false);
        let last = self.parts.len().saturating_sub(1);
        let parts = self.parts.iter().enumerate().map(|(at, part)| {
            let Part::Signs(signs) = part else { return part.clone() };
            let read = signs.iter().enumerate().map(|(place, sign)| {
                let ends = match signs.get(place + 1) {
                    Some(next) => *next == Sign::Byte(b':'),
                    None => at == last,
                };
                let named = colons >= SEGMENTS - 1;
                match sign {
                    Sign::Byte(b':') => colons += 1,
                    Sign::Many if ends && !named => reaches = true,
                    Sign::Many if !named => return Sign::ManyWithin,
                    Sign::One if !named => return Sign::OneWithin,
                    _ => {}
                }
                *sign
            });
            Part::Signs(read.collect())
        });
        let parts = parts.collect();
        (Pattern::new(parts, self.folded), colons, reaches)
    }

    /// The keys of its variables: of those that have no default, or of those that have one too.
    pub(crate) fn variables(&self, defaulted: bool) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(move |part| match part {
            Part::Variable { key, default } if defaulted || default.is_none() => Some(key.as_str()),
            Part::Variable { .. } | Part::Signs(_) => None,
        })
    }

    /// Of an action: whether any action of the service may fit.
    pub(crate) fn is_of(&self, service: &str) -> bool {
        let pieces = self.split(2);
        match pieces.as_slice() {
            [vendor, _] => vendor.matches(service, &Context::default()),
            // `*` alone.
            _ => self.matches(service, &Context::default()),
        }
    }

    /// About the memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Signs(signs) => ALLOCATION + size_of_val(signs.as_slice()),
            Part::Variable { key, default } => ALLOCATION + key.len() + default.as_ref().map_or(0, String::len),
        });
        size_of::<Pattern>()
            + size_of_val(self.parts.as_slice())
            + self.prefix.len()
            + ALLOCATION
            + parts.sum::<usize>()
    }

    pub(crate) fn anything() -> Pattern {
        Pattern::new(vec![Part::Signs(vec![Sign::Many])], false)
    }

    /// Nothing where a variable has no value.
    fn signs(&self, context: &Context) -> Option<Cow<'_, [Sign]>> {
        match self.parts.as_slice() {
            [] => return Some(Cow::Borrowed(&[])),
            [Part::Signs(signs)] => return Some(Cow::Borrowed(signs)),
            _ => {}
        }
        let mut all = Vec::new();
        for part in &self.parts {
            match part {
                Part::Signs(signs) => all.extend_from_slice(signs),
                Part::Variable { key, default } => {
                    let value = context.get(key).and_then(|v| v.single()).or(default.as_deref())?;
                    // Whatever signs it has, they stand for themselves: a user called `*` is not everybody.
                    all.extend(value.bytes().map(Sign::Byte));
                }
            }
        }
        Some(Cow::Owned(all))
    }

    pub(crate) fn matches(&self, text: &str, context: &Context) -> bool {
        let Some((start, rest)) = text.as_bytes().split_at_checked(self.prefix.len()) else { return false };
        let begins = if self.folded { start.eq_ignore_ascii_case(&self.prefix) } else { start == self.prefix };
        if !begins || self.exact {
            return begins && rest.is_empty();
        }
        match self.signs(context) {
            Some(signs) => glob(&signs[self.prefix.len()..], rest, self.folded),
            None => false,
        }
    }

    /// As text, without case, for what compares no wildcards.
    pub(crate) fn equals_in_any_case(&self, text: &str, context: &Context) -> bool {
        let Some(signs) = self.signs(context) else { return false };
        let bytes: Option<Vec<u8>> =
            signs.iter().map(|s| if let Sign::Byte(b) = s { Some(*b) } else { None }).collect();
        let literal = bytes.and_then(|b| String::from_utf8(b).ok());
        literal.is_some_and(|literal| literal.to_lowercase() == text.to_lowercase())
    }
}

/// Linear but for the last star, to which it goes back: at most text times pattern. Stars that stay within their segment
/// are gone back to first: what they can't reach, the last one that reaches further may.
fn glob(signs: &[Sign], text: &[u8], folded: bool) -> bool {
    let character_end = |mut at: usize| {
        at += 1;
        while text.get(at).is_some_and(|b| b & 0b1100_0000 == 0b1000_0000) {
            at += 1;
        }
        at
    };
    let (mut sign, mut at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut star_within: Option<(usize, usize)> = None;
    loop {
        let stepped = match (signs.get(sign), text.get(at)) {
            (None, None) => return true,
            (Some(Sign::Many), _) => {
                star = Some((sign + 1, at));
                star_within = None;
                sign += 1;
                true
            }
            (Some(Sign::ManyWithin), _) => {
                star_within = Some((sign + 1, at));
                sign += 1;
                true
            }
            (Some(Sign::OneWithin), Some(b':')) => false,
            (Some(Sign::One | Sign::OneWithin), Some(_)) => {
                sign += 1;
                at = character_end(at);
                true
            }
            (Some(Sign::Byte(wanted)), Some(got)) => {
                let same = if folded { *wanted == got.to_ascii_lowercase() } else { wanted == got };
                if same {
                    sign += 1;
                    at += 1;
                }
                same
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        if stepped {
            continue;
        }
        let back = match (star_within, star) {
            (Some((after, from)), _) if text.get(from).is_some_and(|b| *b != b':') => (&mut star_within, after, from),
            (_, Some((after, from))) if from < text.len() => {
                star_within = None;
                (&mut star, after, from)
            }
            _ => return false,
        };
        let (place, after, from) = back;
        let next = character_end(from);
        *place = Some((after, next));
        sign = after;
        at = next;
    }
}

/// An ARN with wildcards: they don't reach over a colon, but for one that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    Everything,
    Segments(Vec<Pattern>),
    /// Of a resource: some of its stars end a segment, and may reach over the colon after it.
    Across {
        segments: Vec<Pattern>,
        whole: Pattern,
        colons: usize,
    },
    /// Variables stand for segments, or for a whole ARN: it is cut once they have their values.
    Uncut {
        whole: Pattern,
        /// Whether some of its stars may reach over the colon after them.
        reaches: bool,
        /// Whether it is completed with stars where it ends early. Not where a value says what kind of ARN it is: who
        /// sets a tag would choose what it ends with.
        completed: bool,
    },
}

const SEGMENTS: usize = 6;

/// A given ARN, cut once for all patterns that it is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CutArn<'a> {
    whole: &'a str,
    colons: usize,
    /// Nothing where it has fewer segments.
    segments: Option<[&'a str; SEGMENTS]>,
}

impl<'a> CutArn<'a> {
    pub(crate) fn new(arn: &'a str) -> Self {
        let mut pieces = arn.splitn(SEGMENTS, ':');
        let mut segments = [""; SEGMENTS];
        let whole = segments.iter_mut().all(|segment| pieces.next().map(|piece| *segment = piece).is_some());
        let colons = arn.bytes().filter(|b| *b == b':').count();
        CutArn { whole: arn, colons, segments: whole.then_some(segments) }
    }
}

impl ArnPattern {
    /// As conditions compare ARNs: segment by segment.
    pub(crate) fn parse(text: &str, variables: bool) -> Result<ArnPattern, BadVariable> {
        if text == "*" {
            return Ok(ArnPattern::Everything);
        }
        let whole = Pattern::parse(text, Reading { wildcards: true, variables })?;
        let mut segments = whole.split(SEGMENTS);
        if segments.iter().take(SEGMENTS - 1).any(|segment| segment.variables(true).next().is_some()) {
            let completed = segments.first().is_some_and(|first| first.variables(true).next().is_none());
            return Ok(ArnPattern::Uncut { whole, reaches: false, completed });
        }
        // An ARN that ends early is completed with stars.
        segments.resize_with(SEGMENTS, Pattern::anything);
        Ok(ArnPattern::Segments(segments))
    }

    /// Of `Resource` and `NotResource`. AWS: "If the * wildcard is the last character of a resource ARN segment, it can
    /// expand to match beyond the colon boundaries".
    pub(crate) fn of_resource(text: &str, variables: bool) -> Result<ArnPattern, BadVariable> {
        let whole = Pattern::parse(text, Reading { wildcards: true, variables })?;
        Ok(match (ArnPattern::parse(text, variables)?, whole.reaching()) {
            (ArnPattern::Segments(segments), (whole, colons, true)) => ArnPattern::Across { segments, whole, colons },
            (ArnPattern::Uncut { completed, .. }, (whole, _, true)) => {
                ArnPattern::Uncut { whole, reaches: true, completed }
            }
            (parsed, _) => parsed,
        })
    }

    fn patterns(&self) -> &[Pattern] {
        match self {
            ArnPattern::Everything => &[],
            ArnPattern::Segments(segments) | ArnPattern::Across { segments, .. } => segments,
            ArnPattern::Uncut { whole, .. } => std::slice::from_ref(whole),
        }
    }

    pub(crate) fn variables(&self, defaulted: bool) -> impl Iterator<Item = &str> {
        self.patterns().iter().flat_map(move |pattern| pattern.variables(defaulted))
    }

    /// About the memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let whole = if let ArnPattern::Across { whole, .. } = self { whole.bytes() } else { 0 };
        size_of::<ArnPattern>() + self.patterns().iter().map(Pattern::bytes).sum::<usize>() + whole
    }

    pub(crate) fn matches(&self, arn: &str, context: &Context) -> bool {
        self.matches_cut(&CutArn::new(arn), context)
    }

    pub(crate) fn matches_cut(&self, arn: &CutArn<'_>, context: &Context) -> bool {
        let by_segment = |segments: &[Pattern]| {
            let given = arn.segments.as_ref();
            given.is_some_and(|given| segments.iter().zip(given).all(|(one, given)| one.matches(given, context)))
        };
        match self {
            ArnPattern::Everything => true,
            ArnPattern::Segments(segments) => by_segment(segments),
            // A star that reaches over a colon takes one that the pattern doesn't have.
            ArnPattern::Across { segments, whole, colons } => {
                by_segment(segments)
                    || arn.colons > *colons && arn.segments.is_some() && whole.matches(arn.whole, context)
            }
            ArnPattern::Uncut { whole, reaches, completed } => {
                let (Some(signs), Some(given)) = (whole.signs(context), &arn.segments) else { return false };
                let is_colon = |sign: &Sign| *sign == Sign::Byte(b':');
                let colons = signs.iter().filter(|sign| is_colon(sign)).count();
                let mut pieces = signs.splitn(SEGMENTS, is_colon).zip(given);
                (*completed || colons + 1 >= SEGMENTS)
                    && pieces.all(|(signs, given)| glob(signs, given.as_bytes(), false))
                    || *reaches && arn.colons > colons && glob(&signs, arn.whole.as_bytes(), false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: Reading = Reading { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::parse(pattern, FULL).unwrap().matches(text, &Context::default())
    }

    #[test]
    fn wildcards() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a?c", "aéc"),
            ("*b*b", "abab"),
            ("a${*}", "a*"),
            ("", ""),
            ("**x", "x"),
            ("é*", "éa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a?c", "ac"), ("a*c", "acd"), ("a${*}", "ab"), ("A", "a"), ("?", ""), ("a", "")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(Pattern::folded("DynamoDB:get*").matches("dynamodb:GetItem", &Context::default()));
    }

    #[test]
    fn variables_stand_for_their_text_and_match_nothing_without_one() {
        let mut context = Context::default();
        context.set("aws:username", "a*");
        let home = Pattern::parse("home/${AWS:UserName}/*", FULL).unwrap();
        assert!(home.matches("home/a*/x", &context));
        assert!(!home.matches("home/ab/x", &context));
        assert!(!home.matches("home//x", &Context::default()));
        let or = Pattern::parse("${aws:PrincipalTag/team, 'company-wide'}", FULL).unwrap();
        assert!(or.matches("company-wide", &context));
        context.set("aws:principaltag/TEAM", "red");
        assert!(or.matches("red", &context));
        for bad in ["${", "${}", "${aws:x, y}", "${nocolon}", "${a:b{}"] {
            assert!(Pattern::parse(bad, FULL).is_err(), "{bad}");
        }
        let old = Pattern::parse("${aws:username}", Reading { wildcards: true, variables: false }).unwrap();
        assert!(old.matches("${aws:username}", &context));
    }

    #[test]
    fn stars_of_arns_stay_in_their_segment() {
        let arn = "arn:aws:dynamodb:us-east-1:111122223333:table/t/index/i";
        let context = Context::default();
        let matches = |pattern: &str| ArnPattern::parse(pattern, true).unwrap().matches(arn, &context);
        assert!(matches("arn:aws:dynamodb:*:111122223333:table/t/*"));
        assert!(matches("arn:aws:dynamodb:*:*:*"));
        assert!(matches("arn:aws:dynamodb"));
        assert!(matches("arn:*"));
        assert!(!matches("arn:aws:*:table/t/index/i"));
        assert!(!matches("arn:aws:dynamodb:*:table/*"));
        assert!(!matches("arn:aws:dynamodb:us-east-1:111122223333:table/t"));
        assert!(!ArnPattern::parse("arn:aws:*", true).unwrap().matches("*", &context));
    }

    /// AWS's example of a Deny on a table beside an Allow of everything: it did not hold.
    #[test]
    fn stars_that_end_a_segment_of_a_resource_reach_over_colons() {
        let context = Context::default();
        let matches = |pattern: &str, arn: &str| {
            let (resource, arn_like) = (ArnPattern::of_resource(pattern, true), ArnPattern::parse(pattern, true));
            (resource.unwrap().matches(arn, &context), arn_like.unwrap().matches(arn, &context))
        };
        let table = "arn:aws:dynamodb:us-east-1:111122223333:table/t";
        let index = "arn:aws:dynamodb:us-east-1:111122223333:table/t/index/i";
        for pattern in ["arn:aws:dynamodb:*:table/t", "arn:aws:dynamodb:us-*:table/?", "arn:aws:*:table/t"] {
            assert_eq!(matches(pattern, table), (true, false), "{pattern}");
            assert_eq!(matches(pattern, index), (false, false), "{pattern}");
        }
        // Not those within a segment, and not `?`.
        for pattern in [
            "arn:aws:dynamodb:us*1:table/t",
            "arn:aws:dynamodb:?:table/t",
            "arn:aws:dynamodb:*:?:table/t",
            "arn:aws:dynamodb:*:x*/t",
            "arn:aws:dynamodb:*:111122223333:index/i",
        ] {
            assert_eq!(matches(pattern, table), (false, false), "{pattern}");
        }
        for (pattern, arn) in [
            ("arn:aws:dynamodb:*:111122223333:table/*", table),
            ("arn:aws:dynamodb:*", table),
            ("arn:aws:s3:::b/*:x", "arn:aws:s3:::b/a:b:x"),
            ("arn:aws:s3:::b/?x", "arn:aws:s3:::b/:x"),
        ] {
            assert_eq!(matches(pattern, arn), (true, true), "{pattern}");
        }
        assert_eq!(matches("arn:aws:logs:*:log-group:a:*", "arn:aws:logs:r:1:log-group:a:s"), (true, false));
        assert_eq!(matches("arn:aws:*:*:*:t", "arn:aws"), (false, false));
    }

    /// A Deny that was written with a variable in front of a table's name did not hold.
    #[test]
    fn variables_change_nothing_about_which_stars_reach_over_colons() {
        let (table, account) = ("arn:aws:dynamodb:us-east-1:111122223333:table/t", "111122223333");
        let index = "arn:aws:dynamodb:us-east-1:111122223333:table/t/index/i";
        let mut context = Context::default();
        for (key, value) in [("t", "t"), ("region", "us-east-1"), ("account", account), ("service", "dynamodb")] {
            context.set(format!("aws:PrincipalTag/{key}"), value);
        }
        let literal = Context::default();
        for written in [
            "arn:aws:dynamodb:*:table/{t}",
            "arn:aws:*:table/{t}",
            "arn:aws:*:{account}:table/t",
            "arn:aws:{service}:*:table/t",
            "arn:aws:{service}:us*1:table/t",
            "arn:aws:{service}:*:?:table/t",
            "arn:aws:{service}:{region}:*:table/*",
            "arn:aws:{service}:{region}:{account}:table/{t}",
            "arn:aws:{service}:{region}:*",
            "arn:aws:{service}:*",
            "arn:aws:{service}:{region}",
            "arn:aws:{service}:*:{region}:table/t",
            "arn:*:{account}:table/{t}/index/?",
        ] {
            let (mut with, mut without) = (written.to_owned(), written.to_owned());
            for (name, value) in [("t", "t"), ("region", "us-east-1"), ("account", account), ("service", "dynamodb")] {
                with = with.replace(&format!("{{{name}}}"), &format!("${{aws:PrincipalTag/{name}}}"));
                without = without.replace(&format!("{{{name}}}"), value);
            }
            for arn in [table, index, "arn:aws:dynamodb", "arn:aws:s3:::b"] {
                for of in [ArnPattern::of_resource, ArnPattern::parse] {
                    let (with, without) = (of(&with, true).unwrap(), of(&without, true).unwrap());
                    assert_eq!(with.matches(arn, &context), without.matches(arn, &literal), "{written} {arn}");
                }
            }
        }
    }

    /// Who sets her own tag would have had the stars that complete an ARN.
    #[test]
    fn a_value_that_ends_early_is_not_completed() {
        let table = "arn:aws:dynamodb:us-east-1:111122223333:table/t";
        for value in ["arn", "arn:aws", "arn:aws:dynamodb", "arn:aws:dynamodb:us-east-1:111122223333", "*", "arn:*"] {
            let mut context = Context::default();
            context.set("aws:PrincipalTag/mine", value);
            for of in [ArnPattern::of_resource, ArnPattern::parse] {
                assert!(!of("${aws:PrincipalTag/mine}", true).unwrap().matches(table, &context), "{value}");
            }
        }
    }

    /// It was cut before the variable had its value: a whole ARN was one segment.
    #[test]
    fn a_variable_may_be_a_whole_arn() {
        let mut context = Context::default();
        let role = "arn:aws:iam::111122223333:role/p/r";
        context.set("aws:PrincipalArn", role);
        context.set("aws:PrincipalTag/star", "arn:*");
        context.set("aws:PrincipalAccount", "111122223333");
        let matches = |pattern: &str| ArnPattern::parse(pattern, true).unwrap().matches(role, &context);
        assert!(matches("${aws:PrincipalArn}") && matches("arn:aws:iam::${aws:PrincipalAccount}:role/*"));
        assert!(matches("arn:aws:iam::${aws:PrincipalAccount}"));
        assert!(matches("${aws:PrincipalTag/none, 'arn:aws:iam::111122223333:role/p/r'}"));
        for pattern in
            ["${aws:PrincipalArn}/x", "${aws:PrincipalTag/star}", "${aws:PrincipalTag/none}", "${aws:username}:*"]
        {
            assert!(!matches(pattern), "{pattern}");
        }
    }

    fn by_definition(signs: &[Sign], text: &[char]) -> bool {
        match (signs.split_first(), text.split_first()) {
            (Some((Sign::ManyWithin, rest)), _) => {
                let most = text.iter().take_while(|c| **c != ':').count();
                (0..=most).any(|n| by_definition(rest, &text[n..]))
            }
            (Some((Sign::OneWithin, signs)), Some((c, text))) => *c != ':' && by_definition(signs, text),
            (None, None) => true,
            (Some((Sign::Many, rest)), _) => (0..=text.len()).any(|n| by_definition(rest, &text[n..])),
            (Some((Sign::One, signs)), Some((_, text))) => by_definition(signs, text),
            (Some((Sign::Byte(b), signs)), Some((c, text))) => {
                u32::from(*b) == u32::from(*c) && by_definition(signs, text)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_fast_match_is_the_defined_one(
            pattern in prop_oneof!["[ab*?]{0,8}", "[ab:*+.]{0,8}"],
            text in "[ab:]{0,10}",
        ) {
            let signs: Vec<Sign> = pattern.bytes().map(|b| match b {
                b'+' => Sign::ManyWithin,
                b'.' => Sign::OneWithin,
                b'*' => Sign::Many,
                b'?' => Sign::One,
                b => Sign::Byte(b),
            }).collect();
            let text: Vec<char> = text.chars().collect();
            let whole: String = text.iter().collect();
            prop_assert_eq!(glob(&signs, whole.as_bytes(), false), by_definition(&signs, &text));
        }

        #[test]
        fn no_text_panics(pattern in ".{0,30}", text in ".{0,30}") {
            if let Ok(p) = Pattern::parse(&pattern, FULL) {
                p.matches(&text, &Context::default());
                p.split(6);
            }
        }
    }
}
