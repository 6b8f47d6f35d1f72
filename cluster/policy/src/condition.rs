//! Condition blocks: an operator, a key, and the values that it is compared with.

use crate::context::{Context, Value};
use crate::json::Json;
use crate::pattern::{ALLOCATION, ArnPattern, Pattern, Reading};
use base64::Engine as _;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Text,
    TextInAnyCase,
    Like,
    Number,
    Date,
    Bool,
    Bytes,
    Ip,
    Arn,
    Null,
}

/// Which way a number or a date has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Same,
    Less,
    LessOrSame,
    Greater,
    GreaterOrSame,
}

impl Order {
    fn holds(self, ordering: Option<std::cmp::Ordering>) -> bool {
        ordering.is_some_and(|ordering| match self {
            Order::Same => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessOrSame => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrSame => ordering.is_ge(),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    ForAll,
    ForAny,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Text(Pattern),
    Number(f64),
    /// Milliseconds since 1970.
    Date(i64),
    Bool(bool),
    Bytes(Vec<u8>),
    Net(IpAddr, u8),
    Arn(ArnPattern),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    comparison: Comparison,
    order: Order,
    negated: bool,
    set: Option<Set>,
    if_exists: bool,
    key: String,
    operands: Vec<Operand>,
}

/// Why a condition can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    Operator,
    Value,
}

fn operator(name: &str) -> Option<(Comparison, Order, bool)> {
    use Comparison::{Arn, Bool, Bytes, Date, Ip, Like, Null, Number, Text, TextInAnyCase};
    let same = |comparison, negated| Some((comparison, Order::Same, negated));
    let ordered = |comparison, rest: &str| {
        let (order, negated) = match rest {
            "Equals" => (Order::Same, false),
            "NotEquals" => (Order::Same, true),
            "LessThan" => (Order::Less, false),
            "LessThanEquals" => (Order::LessOrSame, false),
            "GreaterThan" => (Order::Greater, false),
            "GreaterThanEquals" => (Order::GreaterOrSame, false),
            _ => return None,
        };
        Some((comparison, order, negated))
    };
    match name {
        "StringEquals" => same(Text, false),
        "StringNotEquals" => same(Text, true),
        "StringEqualsIgnoreCase" => same(TextInAnyCase, false),
        "StringNotEqualsIgnoreCase" => same(TextInAnyCase, true),
        "StringLike" => same(Like, false),
        "StringNotLike" => same(Like, true),
        "Bool" => same(Bool, false),
        "BinaryEquals" => same(Bytes, false),
        "IpAddress" => same(Ip, false),
        "NotIpAddress" => same(Ip, true),
        "ArnEquals" | "ArnLike" => same(Arn, false),
        "ArnNotEquals" | "ArnNotLike" => same(Arn, true),
        "Null" => same(Null, false),
        _ => match (name.strip_prefix("Numeric"), name.strip_prefix("Date")) {
            (Some(rest), _) => ordered(Number, rest),
            (_, Some(rest)) => ordered(Date, rest),
            _ => None,
        },
    }
}

fn number(text: &str) -> Option<f64> {
    let digits = text.trim();
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    digits.parse().ok().filter(|n: &f64| plain && n.is_finite())
}

/// A W3C profile of ISO 8601, from the year alone to fractions of a second, or seconds since 1970.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>()
        && text.len() != 4
    {
        return seconds.checked_mul(1_000);
    }
    let whole = match (text.len(), text.contains('T')) {
        (4, false) => format!("{text}-01-01T00:00:00Z"),
        (7, false) => format!("{text}-01T00:00:00Z"),
        (10, false) => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    let at = OffsetDateTime::parse(&whole, &Iso8601::DEFAULT).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

fn net(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse().ok()?, bits.parse().ok()?),
        None => {
            let address: IpAddr = text.parse().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    let most = if IpAddr::is_ipv4(&address) { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

fn within(address: IpAddr, net: IpAddr, bits: u8) -> bool {
    let shared = |a: u128, b: u128, width: u8| {
        let outside = u32::from(width - bits);
        a.checked_shr(outside).unwrap_or(0) == b.checked_shr(outside).unwrap_or(0)
    };
    match (address.to_canonical(), net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => shared(u32::from(a).into(), u32::from(n).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => shared(a.into(), n.into(), 128),
        _ => false,
    }
}

impl Condition {
    pub(crate) fn parse(operator_name: &str, key: &str, values: &Json, variables: bool) -> Result<Condition, Bad> {
        let (set, name) = match operator_name.split_once(':') {
            Some(("ForAllValues", rest)) => (Some(Set::ForAll), rest),
            Some(("ForAnyValue", rest)) => (Some(Set::ForAny), rest),
            Some(_) => return Err(Bad::Operator),
            None => (None, operator_name),
        };
        let (if_exists, name) = match name.strip_suffix("IfExists") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let (comparison, order, negated) = operator(name).ok_or(Bad::Operator)?;
        if comparison == Comparison::Null && (if_exists || set.is_some()) {
            return Err(Bad::Operator);
        }
        let read = |value: &Json| {
            let text = value.scalar().ok_or(Bad::Value)?;
            let pattern = |wildcards| Pattern::parse(&text, Reading { wildcards, variables }).map(Operand::Text).ok();
            let operand = match comparison {
                Comparison::Text | Comparison::TextInAnyCase => pattern(false),
                Comparison::Like => pattern(true),
                Comparison::Number => number(&text).map(Operand::Number),
                Comparison::Date => date(&text).map(Operand::Date),
                Comparison::Bool | Comparison::Null => text.to_ascii_lowercase().parse().map(Operand::Bool).ok(),
                Comparison::Bytes => base64::engine::general_purpose::STANDARD.decode(&text).map(Operand::Bytes).ok(),
                Comparison::Ip => net(&text).map(|(address, bits)| Operand::Net(address, bits)),
                Comparison::Arn => ArnPattern::parse(&text, variables).map(Operand::Arn).ok(),
            };
            operand.ok_or(Bad::Value)
        };
        let operands = values.each().iter().map(read).collect::<Result<_, _>>()?;
        Ok(Condition { comparison, order, negated, set, if_exists, key: key.to_owned(), operands })
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// About the memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let operands = self.operands.iter().map(|operand| match operand {
            Operand::Text(pattern) => pattern.bytes(),
            Operand::Arn(pattern) => pattern.bytes(),
            Operand::Bytes(bytes) => bytes.len() + ALLOCATION,
            Operand::Number(_) | Operand::Date(_) | Operand::Bool(_) | Operand::Net(..) => 0,
        });
        size_of::<Condition>() + self.key.len() + size_of_val(self.operands.as_slice()) + operands.sum::<usize>()
    }

    pub(crate) fn variables(&self, defaulted: bool) -> impl Iterator<Item = &str> {
        self.operands.iter().flat_map(move |operand| {
            let (text, arn) = match operand {
                Operand::Text(pattern) => (Some(pattern), None),
                Operand::Arn(pattern) => (None, Some(pattern)),
                Operand::Number(_) | Operand::Date(_) | Operand::Bool(_) | Operand::Bytes(_) | Operand::Net(..) => {
                    (None, None)
                }
            };
            let of_text = text.into_iter().flat_map(move |p| p.variables(defaulted));
            of_text.chain(arn.into_iter().flat_map(move |p| p.variables(defaulted)))
        })
    }

    /// One value of the request and one of the policy, before any `Not`.
    fn compare(&self, given: &str, operand: &Operand, context: &Context) -> bool {
        match operand {
            Operand::Text(pattern) if self.comparison == Comparison::TextInAnyCase => {
                pattern.equals_in_any_case(given, context)
            }
            Operand::Text(pattern) => pattern.matches(given, context),
            Operand::Number(wanted) => number(given).is_some_and(|n| self.order.holds(n.partial_cmp(wanted))),
            Operand::Date(wanted) => date(given).is_some_and(|d| self.order.holds(Some(d.cmp(wanted)))),
            Operand::Bool(wanted) => given.to_ascii_lowercase().parse() == Ok(*wanted),
            Operand::Bytes(wanted) => {
                base64::engine::general_purpose::STANDARD.decode(given).is_ok_and(|bytes| bytes == *wanted)
            }
            Operand::Net(net, bits) => given.parse().is_ok_and(|address| within(address, *net, *bits)),
            Operand::Arn(pattern) => pattern.matches(given, context),
        }
    }

    /// One value of the request against all of the policy: any of them, or with `Not` none of them.
    fn value_holds(&self, given: &str, context: &Context) -> bool {
        self.operands.iter().any(|operand| self.compare(given, operand, context)) != self.negated
    }

    pub(crate) fn holds(&self, context: &Context) -> bool {
        let given = context.get(&self.key);
        if self.comparison == Comparison::Null {
            return self.operands.contains(&Operand::Bool(given.is_none()));
        }
        let values = given.map(Value::all).unwrap_or_default();
        if values.is_empty() {
            return match self.set {
                _ if self.if_exists => true,
                Some(Set::ForAll) => true,
                Some(Set::ForAny) => false,
                None => self.negated,
            };
        }
        match self.set {
            Some(Set::ForAll) => values.iter().all(|v| self.value_holds(v, context)),
            Some(Set::ForAny) => values.iter().any(|v| self.value_holds(v, context)),
            // A key of many values without a qualifier: one that fits is enough, and with `Not` one is too many.
            None if self.negated => values.iter().all(|v| self.value_holds(v, context)),
            None => values.iter().any(|v| self.value_holds(v, context)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(key: &str, values: &[&str]) -> Context {
        let mut context = Context::default();
        match values {
            [] => {}
            [one] => context.set(key.to_owned(), *one),
            many => context.set_many(key.to_owned(), many.iter().map(|s| (*s).to_owned()).collect()),
        }
        context
    }

    fn holds(operator: &str, wanted: &[&str], given: &[&str]) -> bool {
        let values = Json::List(wanted.iter().map(|w| Json::Text((*w).to_owned())).collect());
        Condition::parse(operator, "k:k", &values, true).unwrap().holds(&context("K:k", given))
    }

    #[test]
    fn operators() {
        // Operator, the policy's values, the request's, and whether it holds.
        let cases: &[(&str, &[&str], &[&str], bool)] = &[
            ("StringEquals", &["a", "b"], &["b"], true),
            ("StringEquals", &["a"], &["A"], false),
            ("StringEquals", &["a*"], &["ab"], false),
            ("StringEquals", &["a"], &[], false),
            ("StringNotEquals", &["a", "b"], &["b"], false),
            ("StringNotEquals", &["a", "b"], &["c"], true),
            ("StringNotEquals", &["a"], &[], true),
            ("StringEqualsIgnoreCase", &["aÉ"], &["Aé"], true),
            ("StringNotEqualsIgnoreCase", &["a"], &["A"], false),
            ("StringLike", &["a*", "?b"], &["xb"], true),
            ("StringNotLike", &["a*"], &["ab"], false),
            ("StringEqualsIfExists", &["a"], &[], true),
            ("StringEqualsIfExists", &["a"], &["b"], false),
            ("NumericLessThan", &["10"], &["9.5"], true),
            ("NumericLessThanEquals", &["10"], &["10"], true),
            ("NumericGreaterThan", &["10"], &["10"], false),
            ("NumericGreaterThanEquals", &["10"], &["11"], true),
            ("NumericEquals", &["1", "2"], &["2.0"], true),
            ("NumericNotEquals", &["1"], &["1"], false),
            ("NumericEquals", &["1"], &["one"], false),
            ("DateLessThan", &["2020-01-01T00:00:00Z"], &["2019-12-31T23:59:59Z"], true),
            ("DateGreaterThan", &["1577836800"], &["2020-01-01T00:00:00.001Z"], true),
            ("DateEquals", &["2020-06-01"], &["2020-06-01T02:00:00+02:00"], true),
            ("DateNotEquals", &["2020"], &["2020-01-01T00:00:00Z"], false),
            ("Bool", &["true"], &["true"], true),
            ("Bool", &["false"], &[], false),
            ("BoolIfExists", &["false"], &[], true),
            ("BinaryEquals", &["QUJD"], &["QUJD"], true),
            ("BinaryEquals", &["QUJD"], &["QUJE"], false),
            ("IpAddress", &["203.0.113.0/24"], &["203.0.113.77"], true),
            ("IpAddress", &["203.0.113.0/24"], &["::ffff:203.0.113.77"], true),
            ("IpAddress", &["203.0.113.0/24"], &["203.0.114.1"], false),
            ("IpAddress", &["0.0.0.0/0"], &["9.9.9.9"], true),
            ("IpAddress", &["2001:db8::/32"], &["2001:db8:1::1"], true),
            ("IpAddress", &["2001:db8::/32"], &["10.0.0.1"], false),
            ("NotIpAddress", &["10.0.0.1"], &["10.0.0.1"], false),
            ("NotIpAddress", &["10.0.0.1", "10.0.0.2"], &["10.0.0.3"], true),
            ("ArnEquals", &["arn:aws:sns:*:*:t*"], &["arn:aws:sns:r:1:topic"], true),
            ("ArnLike", &["arn:aws:sns:*:*:t"], &["arn:aws:sns:r:1:topic"], false),
            ("ArnNotLike", &["arn:aws:sns:*:*:t"], &["arn:aws:sns:r:1:topic"], true),
            ("Null", &["true"], &[], true),
            ("Null", &["true"], &["x"], false),
            ("Null", &["false"], &["x"], true),
            ("ForAllValues:StringEquals", &["a", "b"], &["a", "b"], true),
            ("ForAllValues:StringEquals", &["a", "b"], &["a", "c"], false),
            ("ForAllValues:StringEquals", &["a"], &[], true),
            ("ForAllValues:StringNotEquals", &["a", "b"], &["c", "d"], true),
            ("ForAllValues:StringNotEquals", &["a", "b"], &["c", "b"], false),
            ("ForAnyValue:StringEquals", &["a", "b"], &["c", "b"], true),
            ("ForAnyValue:StringEquals", &["a"], &[], false),
            ("ForAnyValue:StringEqualsIfExists", &["a"], &[], true),
            ("ForAnyValue:StringNotEquals", &["a"], &["a", "b"], true),
            ("ForAnyValue:StringNotLike", &["a*"], &["ab", "ac"], false),
        ];
        for (operator, wanted, given, expected) in cases {
            assert_eq!(holds(operator, wanted, given), *expected, "{operator} {wanted:?} {given:?}");
        }
    }

    #[test]
    fn what_can_not_be_read_is_refused() {
        let text = |t: &str| Json::Text(t.to_owned());
        for (operator, value) in [
            ("StringSame", "x"),
            ("ForSome:StringEquals", "x"),
            ("NullIfExists", "true"),
            ("ForAllValues:Null", "true"),
            ("NumericEquals", "NaN"),
            ("NumericEquals", "inf"),
            ("DateEquals", "yesterday"),
            ("Bool", "maybe"),
            ("IpAddress", "10.0.0.0/33"),
            ("IpAddress", "ten"),
            ("BinaryEquals", "%"),
            ("StringLike", "${"),
        ] {
            assert!(Condition::parse(operator, "k:k", &text(value), true).is_err(), "{operator} {value}");
        }
        assert!(Condition::parse("StringEquals", "k:k", &Json::Null, true).is_err());
        assert!(Condition::parse("Bool", "k:k", &Json::Bool(true), true).is_ok());
    }
}
