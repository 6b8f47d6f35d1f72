//! The checks of a whole expression that need no placeholder: parentheses, functions, words, operators.
//! AWS does them in this order, before it looks at names, values and types.

use super::ast::*;
use super::error::Problem;
use super::parser::{CONDITION_FUNCTIONS, MAX_OPERATORS, UPDATE_FUNCTIONS};
use super::path::MAX_LIST_INDEX;
use crate::reserved::is_reserved;

type Check = Result<(), Problem>;

pub(super) fn condition(condition: &RawCondition<'_>, shape: Shape) -> Check {
    parentheses(shape)?;
    each_condition_operand(condition, &mut |operand| each_function(operand, &mut known_function))?;
    condition_functions(condition)?;
    each_condition_operand(condition, &mut |operand| each_path(operand, &mut plain_words))?;
    operators(shape)
}

pub(super) fn update(update: &RawUpdate<'_>, shape: Shape) -> Check {
    parentheses(shape)?;
    for action in &update.actions {
        plain_words(action.path())?;
        each_set_operand(action, &mut |operand| each_path(operand, &mut plain_words))?;
    }
    for action in &update.actions {
        each_set_operand(action, &mut |operand| each_function(operand, &mut update_function))?;
    }
    if let Some(section) = update.repeated_section {
        return Err(Problem::RepeatedSection(section.keyword()));
    }
    operators(shape)
}

pub(super) fn projection(paths: &[RawPath<'_>]) -> Check {
    paths.iter().try_for_each(plain_words)
}

fn parentheses(shape: Shape) -> Check {
    if shape.redundant_parentheses { Err(Problem::RedundantParentheses) } else { Ok(()) }
}

fn operators(shape: Shape) -> Check {
    // AWS stops counting at the first one too many.
    if shape.operators > MAX_OPERATORS { Err(Problem::TooManyOperators(MAX_OPERATORS + 1)) } else { Ok(()) }
}

fn plain_words(path: &RawPath<'_>) -> Check {
    for step in &path.0 {
        match step {
            RawStep::Name(name) if is_reserved(name) => return Err(Problem::ReservedKeyword((*name).to_owned())),
            RawStep::Index(digits) if !digits.parse::<u32>().is_ok_and(|index| index <= MAX_LIST_INDEX) => {
                return Err(Problem::IndexOutOfRange((*digits).to_owned()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn known_function(function: &RawFunction<'_>) -> Check {
    if CONDITION_FUNCTIONS.contains(&function.name) || UPDATE_FUNCTIONS.contains(&function.name) {
        Ok(())
    } else {
        Err(Problem::UnknownFunction(function.name.to_owned()))
    }
}

fn update_function(function: &RawFunction<'_>) -> Check {
    known_function(function)?;
    if !UPDATE_FUNCTIONS.contains(&function.name) {
        return Err(Problem::NotAnUpdateFunction(function.name.to_owned()));
    }
    let appends = |argument: &RawOperand<'_>| matches!(argument, RawOperand::Function(f) if f.name == "list_append");
    if function.name == "list_append" && function.arguments.iter().any(appends) {
        return Err(Problem::MisusedFunction("list_append".to_owned()));
    }
    Ok(())
}

/// As a condition stands any condition function but `size`; as an operand, `size` alone.
fn condition_functions(condition: &RawCondition<'_>) -> Check {
    match condition {
        RawCondition::All(parts) | RawCondition::Any(parts) => parts.iter().try_for_each(condition_functions),
        RawCondition::Not(part) => condition_functions(part),
        RawCondition::Function(function) => {
            function.arguments.iter().try_for_each(operand_functions)?;
            allowed_in_condition(function)?;
            if function.name == "size" { Err(Problem::MisusedFunction("size".to_owned())) } else { Ok(()) }
        }
        RawCondition::Compare(left, _, right) => [left, right].into_iter().try_for_each(operand_functions),
        RawCondition::Between(operands) => operands.iter().try_for_each(operand_functions),
        RawCondition::In(value, candidates) => {
            operand_functions(value)?;
            candidates.iter().try_for_each(operand_functions)
        }
    }
}

fn operand_functions(operand: &RawOperand<'_>) -> Check {
    each_function(operand, &mut |function| {
        allowed_in_condition(function)?;
        if function.name == "size" { Ok(()) } else { Err(Problem::MisusedFunction(function.name.to_owned())) }
    })
}

fn allowed_in_condition(function: &RawFunction<'_>) -> Check {
    if UPDATE_FUNCTIONS.contains(&function.name) {
        return Err(Problem::NotAConditionFunction(function.name.to_owned()));
    }
    Ok(())
}

// ---- walks, in the order of the text, arguments before their function

fn each_condition_operand<'r, 'a>(
    condition: &'r RawCondition<'a>,
    visit: &mut dyn FnMut(&'r RawOperand<'a>) -> Check,
) -> Check {
    match condition {
        RawCondition::All(parts) | RawCondition::Any(parts) => {
            parts.iter().try_for_each(|part| each_condition_operand(part, visit))
        }
        RawCondition::Not(part) => each_condition_operand(part, visit),
        RawCondition::Compare(left, _, right) => [left, right].into_iter().try_for_each(visit),
        RawCondition::Between(operands) => operands.iter().try_for_each(visit),
        RawCondition::In(value, candidates) => {
            visit(value)?;
            candidates.iter().try_for_each(visit)
        }
        RawCondition::Function(function) => {
            function.arguments.iter().try_for_each(visit)?;
            // The function itself is a condition; here only its name has to be known.
            known_function(function)
        }
    }
}

fn each_set_operand<'r, 'a>(action: &'r RawAction<'a>, visit: &mut dyn FnMut(&'r RawOperand<'a>) -> Check) -> Check {
    match action {
        RawAction::Set(_, RawSetValue::Operand(operand)) => visit(operand),
        RawAction::Set(_, RawSetValue::Sum(left, right) | RawSetValue::Difference(left, right)) => {
            visit(left)?;
            visit(right)
        }
        RawAction::Remove(_) | RawAction::Add(..) | RawAction::Delete(..) => Ok(()),
    }
}

fn each_function<'r, 'a>(operand: &'r RawOperand<'a>, visit: &mut dyn FnMut(&'r RawFunction<'a>) -> Check) -> Check {
    if let RawOperand::Function(function) = operand {
        function.arguments.iter().try_for_each(|argument| each_function(argument, visit))?;
        visit(function)?;
    }
    Ok(())
}

fn each_path<'r, 'a>(operand: &'r RawOperand<'a>, visit: &mut dyn FnMut(&'r RawPath<'a>) -> Check) -> Check {
    match operand {
        RawOperand::Path(path) => visit(path),
        RawOperand::Value(_) => Ok(()),
        RawOperand::Function(function) => function.arguments.iter().try_for_each(|argument| each_path(argument, visit)),
    }
}
