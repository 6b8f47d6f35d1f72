//! AWS's constraint checks: all violations are collected and told in one message.

use super::errors::{invalid, no_table};
use breakwater_aws::{Arn, AwsError, Call};
use breakwater_types::Scope;

#[derive(Default)]
pub struct Constraints {
    violations: Vec<String>,
}

const PATTERN: &str = "[a-zA-Z0-9_.-]+";

/// A table's name (or the one in its ARN) as a key of a batch.
pub fn fits_table_key(given: &str) -> bool {
    let name = table_name(given);
    (3..=255).contains(&name.len()) && fits_pattern(name)
}

fn fits_pattern(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

impl Constraints {
    pub fn fail(&mut self, value: &str, at: &str, constraint: &str) {
        self.push(format!("Value '{value}' at '{at}' failed to satisfy constraint: {constraint}"));
    }

    pub fn null(&mut self, at: &str) {
        self.push(format!("Value null at '{at}' failed to satisfy constraint: Member must not be null"));
    }

    /// A table's or index's name: 3 to 255 signs of a set.
    pub fn name(&mut self, value: &str, at: &str) {
        if value.len() < 3 {
            self.fail(value, at, "Member must have length greater than or equal to 3");
        }
        if value.len() > 255 {
            self.fail(value, at, "Member must have length less than or equal to 255");
        }
        if !fits_pattern(value) {
            self.fail(value, at, &format!("Member must satisfy regular expression pattern: {PATTERN}"));
        }
    }

    pub fn start_name(&mut self, value: &str, at: &str) {
        if !fits_pattern(value) {
            self.fail(value, at, &format!("Member must satisfy regular expression pattern: {PATTERN}"));
        }
        if value.len() < 3 {
            self.fail(value, at, "Member must have length greater than or equal to 3");
        }
        if value.len() > 255 {
            self.fail(value, at, "Member must have length less than or equal to 255");
        }
    }

    /// A table of a data operation, given by name or ARN; null where it is missing.
    pub fn table(&mut self, value: Option<&str>) {
        self.table_of(value, 1);
    }

    /// As [`Constraints::table`], for operations on tables themselves.
    pub fn control_table(&mut self, value: Option<&str>) {
        self.table_of(value, 3);
    }

    fn table_of(&mut self, value: Option<&str>, least: usize) {
        let Some(value) = value else { return self.null("tableName") };
        let name = table_name(value);
        let most = if name.len() < value.len() { 1_024 } else { 255 };
        if name.len() < least {
            self.fail(value, "tableName", &format!("Member must have length greater than or equal to {least}"));
        }
        if value.len() > most {
            self.fail(value, "tableName", &format!("Member must have length less than or equal to {most}"));
        }
        if !fits_pattern(name) {
            self.fail(value, "tableName", &format!("Member must satisfy regular expression pattern: {PATTERN}"));
        }
    }

    /// For operations whose framework names the member by its path and doesn't repeat the value.
    pub fn fail_at(&mut self, path: &str, constraint: &str) {
        self.push(format!("Value at '{path}' failed to satisfy constraint: {constraint}"));
    }

    /// AWS tells ten at most.
    fn push(&mut self, violation: String) {
        if self.violations.len() < 10 {
            self.violations.push(violation);
        }
    }

    pub fn one_of(&mut self, value: Option<&str>, at: &str, allowed: &[&str]) {
        if let Some(value) = value
            && !allowed.contains(&value)
        {
            self.fail(value, at, &format!("Member must satisfy enum value set: [{}]", allowed.join(", ")));
        }
    }

    pub fn at_least(&mut self, value: Option<i64>, at: &str, least: i64) {
        if let Some(value) = value
            && value < least
        {
            self.fail(&value.to_string(), at, &format!("Member must have value greater than or equal to {least}"));
        }
    }

    pub fn at_most(&mut self, value: Option<i64>, at: &str, most: i64) {
        if let Some(value) = value
            && value > most
        {
            self.fail(&value.to_string(), at, &format!("Member must have value less than or equal to {most}"));
        }
    }

    pub fn finish(self) -> Result<(), AwsError> {
        match self.violations.len() {
            0 => Ok(()),
            n => {
                let errors = if n == 1 { "error" } else { "errors" };
                Err(invalid(format!("{n} validation {errors} detected: {}", self.violations.join("; "))))
            }
        }
    }
}

/// Region, account and name of `arn:aws:dynamodb:REGION:ACCOUNT:table/NAME`.
fn table_of_arn(given: &str) -> Option<(&str, &str, &str)> {
    let (region, rest) = given.strip_prefix("arn:aws:dynamodb:")?.split_once(':')?;
    let (account, rest) = rest.split_once(':')?;
    Some((region, account, rest.strip_prefix("table/")?))
}

/// The name in a table's ARN, or the name itself.
pub fn table_name(given: &str) -> &str {
    table_of_arn(given).map_or(given, |(_, _, name)| name)
}

/// Whether an ARN names what is another account's, or another region's.
fn is_foreign(scope: &Scope, given: &str) -> bool {
    table_of_arn(given)
        .is_some_and(|(region, account, _)| (region, account) != (scope.region.as_str(), scope.account.as_str()))
}

/// The name of a table here: never one of the same name where an ARN means another.
pub fn own_table<'a>(scope: &Scope, given: Option<&'a str>) -> Result<&'a str, AwsError> {
    let given = given.unwrap_or("");
    if is_foreign(scope, given) { Err(no_table()) } else { Ok(table_name(given)) }
}

pub fn table_arn(scope: &Scope, given: Option<&str>) -> Vec<Arn> {
    match given {
        Some(given) if is_foreign(scope, given) => vec![Arn::raw(given.to_owned())],
        given => vec![Arn::new(scope, "dynamodb", &format!("table/{}", table_name(given.unwrap_or(""))))],
    }
}

pub fn index_arn(call: &Call, table: Option<&str>, index: Option<&str>) -> Vec<Arn> {
    match index {
        None => table_arn(&call.scope, table),
        Some(index) => {
            let table = table_arn(&call.scope, table);
            table.into_iter().map(|table| Arn::raw(format!("{table}/index/{index}"))).collect()
        }
    }
}

pub const RETURN_CONSUMED: &[&str] = &["INDEXES", "TOTAL", "NONE"];
pub const RETURN_METRICS: &[&str] = &["SIZE", "NONE"];
pub const RETURN_ON_FAILURE: &[&str] = &["ALL_OLD", "NONE"];
pub const CONDITIONAL_OPERATORS: &[&str] = &["OR", "AND"];
/// What a name in a map of tables must satisfy, as AWS lists it.
pub const TABLE_KEYS: &str = "Map keys must satisfy constraint: [Member must have length less than or equal to 255, Member must have length greater than or equal to 3, Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]";
pub const RETURN_VALUES: &[&str] = &["ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_told_together() {
        let mut constraints = Constraints::default();
        constraints.name("a!", "tableName");
        let error = constraints.finish().unwrap_err().to_json("m");
        let text = String::from_utf8(error).unwrap();
        assert!(text.contains(
            "2 validation errors detected: Value 'a!' at 'tableName' failed to satisfy constraint: Member must have \
             length greater than or equal to 3; Value 'a!' at 'tableName' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        ), "{text}");
    }

    #[test]
    fn arns_name_tables() {
        assert_eq!(table_name("arn:aws:dynamodb:us-east-1:111122223333:table/t.1"), "t.1");
        assert_eq!(table_name("t"), "t");
        let scope = Scope::new("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        let arn = |region: &str, account: &str| format!("arn:aws:dynamodb:{region}:{account}:table/t.1");
        let own = arn("us-east-1", "111122223333");
        assert_eq!(own_table(&scope, Some(&own)).unwrap(), "t.1");
        assert_eq!(table_arn(&scope, Some(&own)), table_arn(&scope, Some("t.1")));
        for foreign in [arn("eu-west-1", "111122223333"), arn("us-east-1", "444455556666")] {
            assert!(own_table(&scope, Some(&foreign)).is_err());
            assert_eq!(table_arn(&scope, Some(&foreign))[0].as_str(), foreign);
        }
        // What is no ARN of a table is a name, and no good one.
        for bad in ["arn:x:table/t.1", "arn:aws:s3:us-east-1:111122223333:table/t.1", "arn:aws:dynamodb:table/t.1"] {
            assert_eq!(table_name(bad), bad);
            assert!(!fits_pattern(bad));
        }
    }
}
