//! Updates from their text. AWS's order of the checks over the whole expression: words and functions, repeated
//! sections, undefined names, undefined values, overlaps and conflicts, types of ADD and DELETE, operands.

use super::ast::*;
use super::check;
use super::compile_condition::{Resolved, check_operand_count, check_size, resolve_path};
use super::error::{ExpressionError, ExpressionKind, Problem};
use super::parser::{Grammar, Parser};
use super::path::{Path, check_disjoint};
use super::substitutions::Substitutions;
use super::update::{Action, SetOperand, SetValue, Update};
use crate::value::AttributeValue;

pub fn update(text: &str, substitutions: &mut Substitutions) -> Result<Update, ExpressionError> {
    let mut compile = || {
        check_size(text)?;
        let (raw, shape) = Parser::new(text, Grammar::Update).update()?;
        check::update(&raw, shape)?;
        compile_update(&raw, substitutions)
    };
    compile().map_err(|problem| ExpressionError::Invalid { kind: ExpressionKind::Update, problem })
}

/// An action with its placeholders put in and nothing checked yet.
enum ResolvedAction {
    Set(Path, ResolvedValue),
    Remove(Path),
    Add(Path, AttributeValue),
    Delete(Path, AttributeValue),
}

enum ResolvedValue {
    Operand(Resolved),
    Sum(Resolved, Resolved),
    Difference(Resolved, Resolved),
}

fn compile_update(raw: &RawUpdate<'_>, substitutions: &mut Substitutions) -> Result<Update, Problem> {
    // A name that is not defined is reported before a value that is not, wherever they stand.
    let mut undefined_value = None;
    let mut actions = Vec::with_capacity(raw.actions.len());
    for action in &raw.actions {
        match resolve_action(action, substitutions) {
            Ok(action) => actions.push(action),
            Err(problem @ Problem::UndefinedValue(_)) => {
                undefined_value.get_or_insert(problem);
                resolve_names(action, substitutions)?;
            }
            Err(problem) => return Err(problem),
        }
    }
    if let Some(problem) = undefined_value {
        return Err(problem);
    }
    check_disjoint(&actions.iter().map(ResolvedAction::path).collect::<Vec<_>>())?;
    for action in &actions {
        match action {
            ResolvedAction::Add(_, value) => check_section("ADD", value, &["N", "SS", "NS", "BS"])?,
            ResolvedAction::Delete(_, value) => check_section("DELETE", value, &["SS", "NS", "BS"])?,
            ResolvedAction::Set(..) | ResolvedAction::Remove(_) => {}
        }
    }
    let actions = actions.into_iter().map(ResolvedAction::finish).collect::<Result<Vec<_>, _>>()?;
    Ok(Update::of(actions, false))
}

fn resolve_action(raw: &RawAction<'_>, substitutions: &mut Substitutions) -> Result<ResolvedAction, Problem> {
    let path = resolve_path(raw.path(), substitutions)?;
    Ok(match raw {
        RawAction::Set(_, value) => {
            let value = match value {
                RawSetValue::Operand(operand) => ResolvedValue::Operand(Resolved::of(operand, substitutions)?),
                RawSetValue::Sum(left, right) => {
                    ResolvedValue::Sum(Resolved::of(left, substitutions)?, Resolved::of(right, substitutions)?)
                }
                RawSetValue::Difference(left, right) => {
                    ResolvedValue::Difference(Resolved::of(left, substitutions)?, Resolved::of(right, substitutions)?)
                }
            };
            ResolvedAction::Set(path, value)
        }
        RawAction::Remove(_) => ResolvedAction::Remove(path),
        RawAction::Add(_, placeholder) => ResolvedAction::Add(path, substitutions.value(placeholder)?),
        RawAction::Delete(_, placeholder) => ResolvedAction::Delete(path, substitutions.value(placeholder)?),
    })
}

/// Looks up the names alone.
fn resolve_names(raw: &RawAction<'_>, substitutions: &mut Substitutions) -> Result<(), Problem> {
    fn operand_names(operand: &RawOperand<'_>, substitutions: &mut Substitutions) -> Result<(), Problem> {
        match operand {
            RawOperand::Path(path) => resolve_path(path, substitutions).map(drop),
            RawOperand::Value(_) => Ok(()),
            RawOperand::Function(function) => {
                function.arguments.iter().try_for_each(|argument| operand_names(argument, substitutions))
            }
        }
    }
    match raw {
        RawAction::Set(_, RawSetValue::Operand(operand)) => operand_names(operand, substitutions),
        RawAction::Set(_, RawSetValue::Sum(left, right) | RawSetValue::Difference(left, right)) => {
            operand_names(left, substitutions)?;
            operand_names(right, substitutions)
        }
        RawAction::Remove(_) | RawAction::Add(..) | RawAction::Delete(..) => Ok(()),
    }
}

fn check_section(section: &'static str, value: &AttributeValue, allowed: &[&str]) -> Result<(), Problem> {
    if allowed.contains(&value.type_name()) {
        return Ok(());
    }
    let operand = match value {
        AttributeValue::S(_) => "STRING",
        AttributeValue::N(_) => "NUMBER",
        AttributeValue::B(_) => "BINARY",
        AttributeValue::SS(_) => "STRING_SET",
        AttributeValue::NS(_) => "NUMBER_SET",
        AttributeValue::BS(_) => "BINARY_SET",
        AttributeValue::M(_) => "MAP",
        AttributeValue::L(_) => "LIST",
        AttributeValue::Bool(_) => "BOOLEAN",
        AttributeValue::Null => "NULL",
    };
    Err(Problem::SectionOperandType { section, operand })
}

impl ResolvedAction {
    fn path(&self) -> &Path {
        match self {
            ResolvedAction::Set(path, _)
            | ResolvedAction::Remove(path)
            | ResolvedAction::Add(path, _)
            | ResolvedAction::Delete(path, _) => path,
        }
    }

    fn finish(self) -> Result<Action, Problem> {
        Ok(match self {
            ResolvedAction::Set(path, value) => Action::Set(path, value.finish()?),
            ResolvedAction::Remove(path) => Action::Remove(path),
            ResolvedAction::Add(path, value) => Action::Add(path, value),
            ResolvedAction::Delete(path, value) => Action::Delete(path, value),
        })
    }
}

impl ResolvedValue {
    fn finish(self) -> Result<SetValue, Problem> {
        Ok(match self {
            ResolvedValue::Operand(operand) => SetValue::Operand(set_operand(operand)?),
            ResolvedValue::Sum(left, right) => {
                let [left, right] = numbers("+", [left, right])?;
                SetValue::Sum(left, right)
            }
            ResolvedValue::Difference(left, right) => {
                let [left, right] = numbers("-", [left, right])?;
                SetValue::Difference(left, right)
            }
        })
    }
}

fn numbers(operator: &str, operands: [Resolved; 2]) -> Result<[SetOperand; 2], Problem> {
    let types = operands.each_ref().map(Resolved::static_type);
    let [left, right] = operands;
    let compiled = [set_operand(left)?, set_operand(right)?];
    match types.into_iter().flatten().find(|found| *found != "N") {
        Some(found) => Err(super::compile_condition::operand_type(operator, found)),
        None => Ok(compiled),
    }
}

fn set_operand(operand: Resolved) -> Result<SetOperand, Problem> {
    let (name, arguments) = match operand {
        Resolved::Path(path) => return Ok(SetOperand::Path(path)),
        Resolved::Value(value) => return Ok(SetOperand::Value(value)),
        Resolved::Function { name, arguments } => (name, arguments),
    };
    check_operand_count(&name, arguments.len())?;
    let lists = name == "list_append";
    let types: Vec<_> = arguments.iter().map(Resolved::static_type).collect();
    let mut compiled = arguments.into_iter().map(set_operand).collect::<Result<Vec<_>, _>>()?;
    let second = compiled.pop();
    match (lists, compiled.pop(), second) {
        (true, Some(first), Some(second)) => match types.into_iter().flatten().find(|found| *found != "L") {
            Some(found) => Err(super::compile_condition::operand_type(&name, found)),
            None => Ok(SetOperand::ListAppend(Box::new(first), Box::new(second))),
        },
        (false, Some(SetOperand::Path(path)), Some(default)) => Ok(SetOperand::IfNotExists(path, Box::new(default))),
        _ => Err(Problem::PathRequired(name)),
    }
}
