//! AttributeUpdates.

use super::invalid;
use crate::expression::{Action, ExpressionError, Path, SetOperand, SetValue, Update};
use crate::value::AttributeValue;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpdateAction {
    Add,
    #[default]
    Put,
    Delete,
}

/// In the order in which AWS lists them.
pub const UPDATE_ACTIONS: [&str; 3] = ["ADD", "PUT", "DELETE"];

impl UpdateAction {
    pub fn parse(name: &str) -> Option<UpdateAction> {
        match name {
            "ADD" => Some(UpdateAction::Add),
            "PUT" => Some(UpdateAction::Put),
            "DELETE" => Some(UpdateAction::Delete),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeUpdate {
    pub action: UpdateAction,
    pub value: Option<AttributeValue>,
}

pub fn updates(given: BTreeMap<String, AttributeUpdate>) -> Result<Update, ExpressionError> {
    let actions: Result<Vec<_>, _> = given.into_iter().map(|(name, update)| update.compile(name)).collect();
    Ok(Update::of(actions?, true))
}

impl AttributeUpdate {
    fn compile(self, name: String) -> Result<Action, ExpressionError> {
        let path = Path::attribute(name);
        let Some(value) = self.value else {
            return match self.action {
                UpdateAction::Delete => Ok(Action::Remove(path)),
                UpdateAction::Add | UpdateAction::Put => {
                    Err(invalid("Only DELETE action is allowed when no attribute value is specified"))
                }
            };
        };
        let is_set = matches!(value, AttributeValue::SS(_) | AttributeValue::NS(_) | AttributeValue::BS(_));
        let grows = is_set || matches!(value, AttributeValue::N(_) | AttributeValue::L(_));
        match self.action {
            UpdateAction::Put => Ok(Action::Set(path, SetValue::Operand(SetOperand::Value(value)))),
            UpdateAction::Add if grows => Ok(Action::Add(path, value)),
            UpdateAction::Add => {
                Err(invalid(format!("ADD action is not supported for the type {}", value.type_name())))
            }
            UpdateAction::Delete if is_set => Ok(Action::Delete(path, value)),
            UpdateAction::Delete => {
                Err(invalid(format!("DELETE action with value is not supported for the type {}", value.type_name())))
            }
        }
    }
}
