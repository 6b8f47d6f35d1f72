//! Conditions and projections from their text; what updates and key conditions share with them.
//!
//! Order of the checks: the text's length and syntax, then `check`'s, then condition by condition names and
//! values, numbers of operands, distinctness, types.

use super::ast::*;
use super::check;
use super::condition::{AttributeType, Comparator, Condition, Operand, size};
use super::error::{ExpressionError, ExpressionKind, Problem};
use super::parser::{Grammar, Parser};
use super::path::{MAX_PATH_STEPS, Path, Step, check_disjoint};
use super::projection::Projection;
use super::substitutions::Substitutions;
use crate::value::AttributeValue;

/// AWS's bound on an expression's text, before substitution.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
const MAX_IN_OPERANDS: usize = 100;
/// How AWS names "anything" where `attribute_type` wants a literal.
const ANY_TYPE: &str = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}";

/// Compiles a ConditionExpression or, with [`ExpressionKind::Filter`], a FilterExpression.
pub fn condition(
    text: &str,
    kind: ExpressionKind,
    substitutions: &mut Substitutions,
) -> Result<Condition, ExpressionError> {
    let mut compile = || {
        let raw = parse_condition(text)?;
        compile_condition(&raw, substitutions)
    };
    compile().map_err(|problem| ExpressionError::Invalid { kind, problem })
}

pub fn projection(text: &str, substitutions: &mut Substitutions) -> Result<Projection, ExpressionError> {
    let mut compile = || {
        check_size(text)?;
        let (raw, _) = Parser::new(text, Grammar::Projection).projection()?;
        check::projection(&raw)?;
        let paths = raw.iter().map(|path| resolve_path(path, substitutions)).collect::<Result<Vec<_>, _>>()?;
        check_disjoint(&paths.iter().collect::<Vec<_>>())?;
        Ok(Projection::of(paths))
    };
    compile().map_err(|problem| ExpressionError::Invalid { kind: ExpressionKind::Projection, problem })
}

pub(super) fn check_size(text: &str) -> Result<(), Problem> {
    match text.len() {
        0 => Err(Problem::Empty),
        1..=MAX_EXPRESSION_BYTES => Ok(()),
        size => Err(Problem::TooLong(size)),
    }
}

pub(super) fn parse_condition(text: &str) -> Result<RawCondition<'_>, Problem> {
    check_size(text)?;
    let (raw, shape) = Parser::new(text, Grammar::Condition).condition()?;
    check::condition(&raw, shape)?;
    Ok(raw)
}

// ---- placeholders

pub(super) fn resolve_path(raw: &RawPath<'_>, substitutions: &mut Substitutions) -> Result<Path, Problem> {
    let mut steps = Vec::with_capacity(raw.0.len());
    for step in &raw.0 {
        steps.push(match step {
            RawStep::Name(name) => Step::Name((*name).to_owned()),
            RawStep::Placeholder(placeholder) => Step::Name(substitutions.name(placeholder)?),
            RawStep::Index(digits) => {
                let out_of_range = |_| Problem::IndexOutOfRange((*digits).to_owned());
                Step::Index(digits.parse().map_err(out_of_range)?)
            }
        });
    }
    if steps.len() > MAX_PATH_STEPS {
        return Err(Problem::PathTooDeep(steps.len()));
    }
    let rest = steps.split_off(1);
    match steps.pop() {
        Some(Step::Name(attribute)) => Ok(Path { attribute, steps: rest }),
        _ => unreachable!("the grammar starts every path with a name"),
    }
}

/// An operand with its placeholders put in and nothing checked yet.
pub(super) enum Resolved {
    Path(Path),
    Value(AttributeValue),
    Function { name: String, arguments: Vec<Resolved> },
}

impl Resolved {
    pub(super) fn of(raw: &RawOperand<'_>, substitutions: &mut Substitutions) -> Result<Self, Problem> {
        Ok(match raw {
            RawOperand::Path(path) => Resolved::Path(resolve_path(path, substitutions)?),
            RawOperand::Value(placeholder) => Resolved::Value(substitutions.value(placeholder)?),
            RawOperand::Function(function) => Resolved::Function {
                name: function.name.to_owned(),
                arguments: Self::all(&function.arguments, substitutions)?,
            },
        })
    }

    fn all(raw: &[RawOperand<'_>], substitutions: &mut Substitutions) -> Result<Vec<Self>, Problem> {
        raw.iter().map(|operand| Self::of(operand, substitutions)).collect()
    }

    /// The type that this is sure to have. A path's depends on the item.
    pub(super) fn static_type(&self) -> Option<&'static str> {
        match self {
            Resolved::Path(_) => None,
            Resolved::Value(value) => Some(value.type_name()),
            Resolved::Function { name, .. } if name == "size" => Some("N"),
            Resolved::Function { name, .. } if name == "list_append" => Some("L"),
            Resolved::Function { .. } => None,
        }
    }

    /// The type error if this can't have one of the types `allowed`.
    pub(super) fn require_type(&self, operator: &str, allowed: &[&str]) -> Result<(), Problem> {
        match self.static_type() {
            Some(found) if !allowed.contains(&found) => Err(operand_type(operator, found)),
            _ => Ok(()),
        }
    }

    fn check_operand_counts(&self) -> Result<(), Problem> {
        if let Resolved::Function { name, arguments } = self {
            arguments.iter().try_for_each(Self::check_operand_counts)?;
            check_operand_count(name, arguments.len())?;
        }
        Ok(())
    }

    /// Checks types from the inside out and gives the operand to evaluate.
    fn into_operand(self) -> Result<Operand, Problem> {
        match self {
            Resolved::Path(path) => Ok(Operand::Path(path)),
            Resolved::Value(value) => Ok(Operand::Value(value)),
            Resolved::Function { name, arguments } => match arguments.into_iter().next() {
                Some(Resolved::Path(path)) => Ok(Operand::Size(path)),
                Some(Resolved::Value(value)) => match size(&value) {
                    Some(size) => Ok(Operand::Value(size)),
                    None => Err(operand_type(&name, value.type_name())),
                },
                Some(inner) => {
                    inner.into_operand()?;
                    Err(operand_type(&name, "N"))
                }
                None => Err(Problem::OperandCount { function: name, count: 0 }),
            },
        }
    }
}

pub(super) fn operand_type(operator: &str, operand: &str) -> Problem {
    Problem::OperandType { operator: operator.to_owned(), operand: operand.to_owned() }
}

pub(super) fn check_operand_count(function: &str, count: usize) -> Result<(), Problem> {
    let expected = match function {
        "attribute_exists" | "attribute_not_exists" | "size" => 1,
        _ => 2,
    };
    if count == expected { Ok(()) } else { Err(Problem::OperandCount { function: function.to_owned(), count }) }
}

// ---- conditions

pub(super) fn compile_condition(
    raw: &RawCondition<'_>,
    substitutions: &mut Substitutions,
) -> Result<Condition, Problem> {
    let mut all = |parts: &[RawCondition<'_>]| {
        parts.iter().map(|part| compile_condition(part, substitutions)).collect::<Result<Vec<_>, _>>()
    };
    match raw {
        RawCondition::All(parts) => Ok(Condition::All(all(parts)?)),
        RawCondition::Any(parts) => Ok(Condition::Any(all(parts)?)),
        RawCondition::Not(part) => Ok(Condition::Not(Box::new(compile_condition(part, substitutions)?))),
        RawCondition::Compare(left, comparator, right) => {
            let operands = [Resolved::of(left, substitutions)?, Resolved::of(right, substitutions)?];
            compare(operands, *comparator)
        }
        RawCondition::Between([value, lower, upper]) => between([
            Resolved::of(value, substitutions)?,
            Resolved::of(lower, substitutions)?,
            Resolved::of(upper, substitutions)?,
        ]),
        RawCondition::In(value, candidates) => {
            is_in(Resolved::of(value, substitutions)?, Resolved::all(candidates, substitutions)?)
        }
        RawCondition::Function(function) => {
            condition_function(function.name, Resolved::all(&function.arguments, substitutions)?)
        }
    }
}

fn compare(operands: [Resolved; 2], comparator: Comparator) -> Result<Condition, Problem> {
    operands.iter().try_for_each(Resolved::check_operand_counts)?;
    check_distinct(comparator.symbol(), &operands)?;
    if comparator.orders() {
        check_ordered(comparator.symbol(), &operands)?;
    }
    let [left, right] = operands;
    let (left, right) = (left.into_operand()?, right.into_operand()?);
    Ok(Condition::Compare { left, comparator, right })
}

fn between(operands: [Resolved; 3]) -> Result<Condition, Problem> {
    operands.iter().try_for_each(Resolved::check_operand_counts)?;
    check_distinct("BETWEEN", &operands)?;
    check_ordered("BETWEEN", &operands)?;
    if let [_, Resolved::Value(lower), Resolved::Value(upper)] = &operands {
        let order = lower.compare(upper);
        if order.is_none_or(std::cmp::Ordering::is_gt) {
            let (lower, upper) = (bound_text(lower), bound_text(upper));
            return Err(match order {
                None => Problem::BetweenTypes { lower, upper },
                Some(_) => Problem::BetweenBounds { lower, upper },
            });
        }
    }
    let [value, lower, upper] = operands;
    let (value, lower, upper) = (value.into_operand()?, lower.into_operand()?, upper.into_operand()?);
    Ok(Condition::Between { value, lower, upper })
}

fn is_in(value: Resolved, candidates: Vec<Resolved>) -> Result<Condition, Problem> {
    value.check_operand_counts()?;
    candidates.iter().try_for_each(Resolved::check_operand_counts)?;
    if candidates.len() > MAX_IN_OPERANDS {
        return Err(Problem::TooManyInOperands(candidates.len()));
    }
    if let Some(same) = candidates.iter().find(|candidate| same_path(&value, candidate)) {
        return Err(same_operands("IN", same));
    }
    let value = value.into_operand()?;
    let candidates = candidates.into_iter().map(Resolved::into_operand).collect::<Result<_, _>>()?;
    Ok(Condition::In { value, candidates })
}

fn condition_function(name: &str, arguments: Vec<Resolved>) -> Result<Condition, Problem> {
    arguments.iter().try_for_each(Resolved::check_operand_counts)?;
    check_operand_count(name, arguments.len())?;
    check_distinct(name, &arguments)?;
    let types: Vec<_> = arguments.iter().map(Resolved::static_type).collect();
    let mut operands = Vec::with_capacity(arguments.len());
    for argument in arguments {
        operands.push(argument.into_operand()?);
    }
    let second = operands.pop();
    match (name, operands.pop(), second) {
        ("attribute_exists", None, Some(Operand::Path(path))) => Ok(Condition::Exists(path)),
        ("attribute_not_exists", None, Some(Operand::Path(path))) => Ok(Condition::NotExists(path)),
        ("attribute_type", Some(value), Some(Operand::Value(AttributeValue::S(wanted)))) => {
            let wanted = AttributeType::from_name(&wanted).ok_or(Problem::UnknownAttributeType(wanted))?;
            Ok(Condition::HasType(value, wanted))
        }
        ("attribute_type", ..) => Err(operand_type(name, types.last().copied().flatten().unwrap_or(ANY_TYPE))),
        ("begins_with", Some(value), Some(prefix)) => {
            match types.into_iter().flatten().find(|found| !matches!(*found, "S" | "B")) {
                Some(found) => Err(operand_type(name, found)),
                None => Ok(Condition::BeginsWith { value, prefix }),
            }
        }
        ("contains", Some(value), Some(part)) => Ok(Condition::Contains { value, part }),
        _ => Err(Problem::PathRequired(name.to_owned())),
    }
}

fn check_ordered(operator: &str, operands: &[Resolved]) -> Result<(), Problem> {
    operands.iter().try_for_each(|operand| operand.require_type(operator, &["S", "N", "B"]))
}

/// A path may not be compared with itself.
fn check_distinct(operator: &str, operands: &[Resolved]) -> Result<(), Problem> {
    let Some((first, rest)) = operands.split_first() else {
        return Ok(());
    };
    match rest.iter().find(|operand| same_path(first, operand)) {
        Some(same) => Err(same_operands(operator, same)),
        None => Ok(()),
    }
}

fn same_path(one: &Resolved, two: &Resolved) -> bool {
    matches!((one, two), (Resolved::Path(one), Resolved::Path(two)) if one == two)
}

fn same_operands(operator: &str, operand: &Resolved) -> Problem {
    let operand = match operand {
        Resolved::Path(path) => path.to_string(),
        Resolved::Value(_) | Resolved::Function { .. } => String::new(),
    };
    Problem::SameOperands { operator: operator.to_owned(), operand }
}

/// A scalar as AWS's Java prints it.
fn bound_text(value: &AttributeValue) -> String {
    let content = match value {
        AttributeValue::S(text) => text.clone(),
        AttributeValue::N(number) => number.to_string(),
        AttributeValue::B(bytes) => format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
        other => format!("{other:?}"),
    };
    format!("AttributeValue: {{{}:{content}}}", value.type_name())
}
