//! `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request, and which of them were used.

use std::collections::BTreeMap;

use super::error::{ExpressionError, ExpressionKind, Placeholders, Problem};
use crate::value::AttributeValue;

/// AWS's bound on a placeholder's length, in bytes.
const MAX_PLACEHOLDER_BYTES: usize = 255;

#[derive(Debug)]
struct Substitution<T> {
    value: T,
    used: bool,
}

/// Create one for a request, compile all its expressions with it, then call [`Substitutions::finish`].
#[derive(Debug, Default)]
pub struct Substitutions {
    names: Option<BTreeMap<String, Substitution<String>>>,
    values: Option<BTreeMap<String, Substitution<AttributeValue>>>,
}

impl Substitutions {
    /// Refuses empty maps and malformed placeholders.
    pub fn new(
        names: Option<BTreeMap<String, String>>,
        values: Option<BTreeMap<String, AttributeValue>>,
    ) -> Result<Self, ExpressionError> {
        let names = names.map(|names| checked(names, Placeholders::Names, '#')).transpose()?;
        for (key, name) in names.iter().flatten() {
            if name.value.is_empty() {
                let message = "Empty attribute name".to_owned();
                return Err(ExpressionError::InvalidPlaceholderValue(Placeholders::Names, message, key.clone()));
            }
        }
        let values = values.map(|values| checked(values, Placeholders::Values, ':')).transpose()?;
        Ok(Substitutions { names, values })
    }

    /// Refuses what no expression has used.
    pub fn finish(&self) -> Result<(), ExpressionError> {
        refuse_unused(&self.names, Placeholders::Names)?;
        refuse_unused(&self.values, Placeholders::Values)
    }

    pub(super) fn name(&mut self, placeholder: &str) -> Result<String, Problem> {
        lookup(&mut self.names, placeholder).ok_or_else(|| Problem::UndefinedName(placeholder.to_owned()))
    }

    pub(super) fn value(&mut self, placeholder: &str) -> Result<AttributeValue, Problem> {
        lookup(&mut self.values, placeholder).ok_or_else(|| Problem::UndefinedValue(placeholder.to_owned()))
    }
}

fn checked<T>(
    given: BTreeMap<String, T>,
    which: Placeholders,
    sign: char,
) -> Result<BTreeMap<String, Substitution<T>>, ExpressionError> {
    if given.is_empty() {
        return Err(ExpressionError::EmptyPlaceholders(which));
    }
    let mut checked = BTreeMap::new();
    for (key, value) in given {
        let rest = key.strip_prefix(sign).unwrap_or("");
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(ExpressionError::InvalidPlaceholder(which, key));
        }
        if key.len() > MAX_PLACEHOLDER_BYTES {
            return Err(ExpressionError::PlaceholderTooLong(which, key));
        }
        checked.insert(key, Substitution { value, used: false });
    }
    Ok(checked)
}

fn lookup<T: Clone>(map: &mut Option<BTreeMap<String, Substitution<T>>>, placeholder: &str) -> Option<T> {
    let substitution = map.as_mut()?.get_mut(placeholder)?;
    substitution.used = true;
    Some(substitution.value.clone())
}

fn refuse_unused<T>(
    map: &Option<BTreeMap<String, Substitution<T>>>,
    which: Placeholders,
) -> Result<(), ExpressionError> {
    let unused: Vec<_> = map.iter().flatten().filter(|(_, value)| !value.used).map(|(key, _)| key.clone()).collect();
    if unused.is_empty() { Ok(()) } else { Err(ExpressionError::UnusedPlaceholders(which, unused)) }
}

/// Which parameters a request holds, for the checks that come before any expression is read.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'p> {
    /// The expressions that the operation takes, in AWS's order, and whether the request has each.
    pub expressions: &'p [(ExpressionKind, bool)],
    /// The legacy parameters that the operation takes, in AWS's order, and whether the request has each.
    pub legacy: &'p [(&'static str, bool)],
    pub names: bool,
    pub values: bool,
}

impl Parameters<'_> {
    /// Refuses a mix of expressions and legacy parameters, and placeholders without an expression.
    pub fn check(&self) -> Result<(), ExpressionError> {
        let given: Vec<_> = self.expressions.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind).collect();
        if !given.is_empty() {
            // KeyConditions may stand beside FilterExpression and ProjectionExpression.
            let key_conditions_allowed = !given.contains(&ExpressionKind::KeyCondition);
            let non_expression: Vec<_> = (self.legacy.iter())
                .filter(|(name, given)| *given && !(key_conditions_allowed && *name == "KeyConditions"))
                .map(|(name, _)| *name)
                .collect();
            if !non_expression.is_empty() {
                let expression = given.iter().map(|kind| kind.parameter()).collect();
                return Err(ExpressionError::MixedParameters { non_expression, expression });
            }
        }
        if self.names && given.is_empty() {
            return Err(ExpressionError::NamesWithoutExpressions);
        }
        let with_values: Vec<_> =
            self.expressions.iter().map(|(kind, _)| *kind).filter(|kind| *kind != ExpressionKind::Projection).collect();
        if self.values && !with_values.is_empty() && !with_values.iter().any(|kind| given.contains(kind)) {
            return Err(ExpressionError::ValuesWithoutExpressions(with_values));
        }
        Ok(())
    }
}
