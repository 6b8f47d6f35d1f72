//! Condition keys that a simulation is given, and those that follow from its caller.

use super::input::Source;
use crate::iam::prelude::*;
use breakwater_policy::Caller;
use breakwater_types::rfc3339;
use std::net::IpAddr;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContextEntry {
    context_key_name: Option<String>,
    #[serde(default, deserialize_with = "check::list")]
    context_key_values: Option<Vec<String>>,
    context_key_type: Option<String>,
}

const TYPES: &str = "Member must satisfy enum value set: [string, stringList, numeric, numericList, boolean, \
                     booleanList, ip, ipList, binary, binaryList, date, dateList]";

/// Whether a value is one of its type.
fn fits(kind: &str, value: &str) -> Option<bool> {
    let address = || value.split_once('/').map_or(value, |(address, _)| address).parse::<IpAddr>().is_ok();
    let short = || matches!(value.len(), 4 | 7 | 10) && value.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date = || value.parse::<i64>().is_ok() || short() || OffsetDateTime::parse(value, &Iso8601::DEFAULT).is_ok();
    Some(match kind {
        "string" => true,
        "numeric" => value.trim().parse::<f64>().is_ok_and(f64::is_finite),
        "boolean" => ["true", "false"].contains(&value.to_ascii_lowercase().as_str()),
        "ip" => address(),
        "binary" => data_encoding::BASE64.decode(value.as_bytes()).is_ok(),
        "date" => date(),
        _ => return None,
    })
}

impl ContextEntry {
    pub fn set(self, context: &mut ConditionKeys) -> Result<(), AwsError> {
        let name = self.context_key_name.unwrap_or_default();
        if !(5..=256).contains(&name.chars().count()) || !name.contains(':') {
            return Err(errors::invalid_input(format!("Invalid context key name: {name}")));
        }
        let kind = self.context_key_type.unwrap_or_else(|| "string".to_owned());
        let (single, many) = match kind.strip_suffix("List") {
            Some(single) => (single, true),
            None => (kind.as_str(), false),
        };
        let mut values = self.context_key_values.unwrap_or_default();
        for value in &values {
            match fits(single, value) {
                Some(true) => {}
                Some(false) => {
                    return Err(errors::invalid_input(format!("Invalid value for context key {name} of type {kind}.")));
                }
                None => return Err(check::constraint(&kind, "contextEntries.member.contextKeyType", TYPES)),
            }
        }
        if fits(single, "").is_none() {
            return Err(check::constraint(&kind, "contextEntries.member.contextKeyType", TYPES));
        }
        match (many, values.len()) {
            (true, _) => context.set_many(name, values),
            (false, 1) => context.set(name, values.remove(0)),
            (false, _) => {
                return Err(errors::invalid_input(format!("Context key {name} of type {kind} must have one value.")));
            }
        }
        Ok(())
    }
}

/// What a request of this caller would have, whatever it asks for.
pub fn of_caller(ctx: &Context, caller: &Caller, source: Option<&Source>) -> ConditionKeys {
    let mut keys = ConditionKeys::default();
    let now = ctx.now();
    keys.set("aws:CurrentTime", rfc3339(now));
    keys.set("aws:EpochTime", now.to_string());
    keys.set("aws:PrincipalAccount", caller.account.as_str());
    let Some(source) = source.filter(|source| source.arn == caller.arn || source.kind == Kind::Role) else {
        return keys;
    };
    keys.set("aws:PrincipalArn", source.arn.as_str());
    match source.kind {
        Kind::User => {
            keys.set("aws:PrincipalType", "User");
            keys.set("aws:username", source.name.as_str());
            keys.set("aws:userid", source.id.as_str());
        }
        _ => keys.set("aws:PrincipalType", "AssumedRole"),
    }
    for (tag, value) in &source.tags {
        keys.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_type() {
        for (kind, good, bad) in [
            ("numeric", "1.5", "x"),
            ("boolean", "True", "yes"),
            ("ip", "10.0.0.0/8", "ten"),
            ("binary", "QUJD", "%"),
            ("date", "2020-01-01T00:00:00Z", "the day before yesterday"),
        ] {
            assert_eq!((fits(kind, good), fits(kind, bad)), (Some(true), Some(false)), "{kind}");
        }
        let entry = |kind: &str, values: &[&str]| {
            let entry = ContextEntry {
                context_key_name: Some("aws:Some".to_owned()),
                context_key_values: Some(values.iter().map(|v| (*v).to_owned()).collect()),
                context_key_type: Some(kind.to_owned()),
            };
            entry.set(&mut ConditionKeys::default())
        };
        assert!(entry("string", &["a"]).is_ok() && entry("stringList", &[]).is_ok());
        assert!(entry("string", &["a", "b"]).is_err() && entry("string", &[]).is_err());
        assert!(entry("numericList", &["1", "x"]).is_err() && entry("colour", &[]).is_err());
    }
}
