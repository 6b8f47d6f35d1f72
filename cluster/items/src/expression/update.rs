//! Compiled updates and what they do to an item.
//!
//! All operands read the item as it was before. The update is planned in full before anything changes, so an
//! error leaves the item untouched.

use serde::{Deserialize, Serialize};

use super::error::{EvaluationError, ExpressionError};
use super::path::{Path, Step, step_into};
use super::projection::project_paths;
use crate::schema::KeySchema;
use crate::value::{AttributeValue, Item};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SetOperand {
    Path(Path),
    Value(AttributeValue),
    IfNotExists(Path, Box<SetOperand>),
    ListAppend(Box<SetOperand>, Box<SetOperand>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SetValue {
    Operand(SetOperand),
    Sum(SetOperand, SetOperand),
    Difference(SetOperand, SetOperand),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    Set(Path, SetValue),
    Remove(Path),
    /// Adds a number, or the members of a set.
    Add(Path, AttributeValue),
    /// Removes the members of a set.
    Delete(Path, AttributeValue),
}

impl Action {
    fn path(&self) -> &Path {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => path,
        }
    }
}

/// An UpdateExpression or AttributeUpdates with names and values put in, its paths disjoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Update {
    actions: Vec<Action>,
    /// AttributeUpdates has its own error text, and its ADD appends to lists.
    legacy: bool,
}

/// The paths that an update names, whether or not it changed them: what UPDATED_OLD and UPDATED_NEW show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatedPaths {
    paths: Vec<Path>,
}

impl UpdatedPaths {
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// UPDATED_OLD from the item before, UPDATED_NEW from the item after. Where it is empty, the answer has no
    /// `Attributes`. AWS's oddities with list indexes follow from this: a set beyond the end of a list shows
    /// nothing, a removed element shows its successor.
    pub fn project(&self, item: &Item) -> Item {
        project_paths(&self.paths, item)
    }
}

/// One planned change.
enum Change<'u> {
    Put(&'u Path, AttributeValue),
    Remove(&'u Path),
}

impl Update {
    pub(crate) fn of(actions: Vec<Action>, legacy: bool) -> Self {
        Update { actions, legacy }
    }

    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    pub fn document_paths(&self) -> impl Iterator<Item = &Path> {
        self.actions.iter().map(Action::path)
    }

    /// Whether the update makes the item where there is none: an update that only removes does not, one without
    /// any action does.
    pub fn creates_item(&self) -> bool {
        self.actions.is_empty() || self.actions.iter().any(|action| matches!(action, Action::Set(..) | Action::Add(..)))
    }

    /// Refuses changes of the table's key.
    pub fn check_keys(&self, key: &KeySchema) -> Result<(), ExpressionError> {
        match self.document_paths().find(|path| key.contains(&path.attribute)) {
            Some(path) => Err(ExpressionError::UpdatesKey(path.attribute.clone())),
            None => Ok(()),
        }
    }

    /// Changes `item`, which holds only its key where the table has none (`existed` false).
    /// The caller checks the size, the nesting and the index keys of the result.
    pub fn apply(&self, item: &mut Item, existed: bool) -> Result<UpdatedPaths, EvaluationError> {
        let mut changes = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            if let Some(change) = self.plan(action, item, existed)? {
                changes.push(change);
            }
        }
        carry_out(changes, item);
        Ok(UpdatedPaths { paths: self.document_paths().cloned().collect() })
    }

    fn plan<'u>(
        &'u self,
        action: &'u Action,
        item: &Item,
        existed: bool,
    ) -> Result<Option<Change<'u>>, EvaluationError> {
        let path = action.path();
        if !has_place(path, item) {
            // AWS ignores the removal of any path of an item that isn't there.
            let ignored = matches!(action, Action::Remove(_)) && !existed;
            return if ignored { Ok(None) } else { Err(EvaluationError::InvalidPath) };
        }
        let mismatch = if self.legacy { EvaluationError::TypeMismatch } else { EvaluationError::IncorrectOperandType };
        let old = path.resolve(item);
        Ok(match action {
            Action::Set(_, value) => Some(Change::Put(path, value.evaluate(item)?)),
            Action::Remove(_) => old.map(|_| Change::Remove(path)),
            Action::Add(_, addend) => Some(Change::Put(path, add(old, addend, self.legacy, mismatch)?)),
            Action::Delete(_, members) => match old {
                None => None,
                Some(old) => Some(match delete(old, members).ok_or(mismatch)? {
                    Some(left) => Change::Put(path, left),
                    None => Change::Remove(path),
                }),
            },
        })
    }
}

impl SetValue {
    fn evaluate(&self, item: &Item) -> Result<AttributeValue, EvaluationError> {
        let (left, right) = match self {
            SetValue::Operand(operand) => return operand.evaluate(item),
            SetValue::Sum(left, right) | SetValue::Difference(left, right) => {
                (left.evaluate(item)?, right.evaluate(item)?)
            }
        };
        let (AttributeValue::N(left), AttributeValue::N(right)) = (left, right) else {
            return Err(EvaluationError::IncorrectOperandType);
        };
        let result = match self {
            SetValue::Difference(..) => left.checked_sub(right),
            SetValue::Operand(_) | SetValue::Sum(..) => left.checked_add(right),
        };
        result.map(AttributeValue::N).map_err(|error| EvaluationError::Number(error.to_string()))
    }
}

impl SetOperand {
    fn evaluate(&self, item: &Item) -> Result<AttributeValue, EvaluationError> {
        match self {
            SetOperand::Path(path) => path.resolve(item).cloned().ok_or(EvaluationError::MissingAttribute),
            SetOperand::Value(value) => Ok(value.clone()),
            SetOperand::IfNotExists(path, default) => match path.resolve(item) {
                Some(value) => Ok(value.clone()),
                None => default.evaluate(item),
            },
            SetOperand::ListAppend(first, second) => match (first.evaluate(item)?, second.evaluate(item)?) {
                (AttributeValue::L(mut first), AttributeValue::L(second)) => {
                    first.extend(second);
                    Ok(AttributeValue::L(first))
                }
                _ => Err(EvaluationError::IncorrectOperandType),
            },
        }
    }
}

fn add(
    old: Option<&AttributeValue>,
    addend: &AttributeValue,
    legacy: bool,
    mismatch: EvaluationError,
) -> Result<AttributeValue, EvaluationError> {
    let Some(old) = old else {
        return Ok(addend.clone());
    };
    Ok(match (old, addend) {
        (AttributeValue::N(old), AttributeValue::N(addend)) => {
            let sum = old.checked_add(*addend).map_err(|error| EvaluationError::Number(error.to_string()))?;
            AttributeValue::N(sum)
        }
        (AttributeValue::SS(old), AttributeValue::SS(members)) => AttributeValue::SS(old | members),
        (AttributeValue::NS(old), AttributeValue::NS(members)) => AttributeValue::NS(old | members),
        (AttributeValue::BS(old), AttributeValue::BS(members)) => AttributeValue::BS(old | members),
        (AttributeValue::L(old), AttributeValue::L(more)) if legacy => {
            AttributeValue::L(old.iter().chain(more).cloned().collect())
        }
        _ => return Err(mismatch),
    })
}

/// What is left of a set, `Some(None)` for nothing; `None` if the types differ.
fn delete(old: &AttributeValue, members: &AttributeValue) -> Option<Option<AttributeValue>> {
    let (left, empty) = match (old, members) {
        (AttributeValue::SS(old), AttributeValue::SS(members)) => {
            let left = old - members;
            (AttributeValue::SS(left.clone()), left.is_empty())
        }
        (AttributeValue::NS(old), AttributeValue::NS(members)) => {
            let left = old - members;
            (AttributeValue::NS(left.clone()), left.is_empty())
        }
        (AttributeValue::BS(old), AttributeValue::BS(members)) => {
            let left = old - members;
            (AttributeValue::BS(left.clone()), left.is_empty())
        }
        _ => return None,
    };
    Some((!empty).then_some(left))
}

/// Whether what the path leads into exists and is a map or list as the path's last step wants it.
fn has_place(path: &Path, item: &Item) -> bool {
    let Some((last, leading)) = path.steps.split_last() else {
        return true;
    };
    let parent = item.get(&path.attribute).and_then(|value| leading.iter().try_fold(value, step_into));
    matches!((parent, last), (Some(AttributeValue::M(_)), Step::Name(_)) | (Some(AttributeValue::L(_)), Step::Index(_)))
}

/// Indexes of lists are those before the update: first come the changes in place, then what is put beyond the
/// end of a list, by index, then removals from the back to the front.
fn carry_out(changes: Vec<Change<'_>>, item: &mut Item) {
    let mut appended = Vec::new();
    let mut removed = Vec::new();
    for change in changes {
        match change {
            Change::Remove(path) => removed.push(path),
            Change::Put(path, value) => {
                if let Some(value) = put(path, value, item) {
                    appended.push((path, value));
                }
            }
        }
    }
    appended.sort_by_key(|(one, _)| *one);
    for (path, value) in appended {
        if let Some(Place::Element(list, _)) = place(path, item) {
            list.push(value);
        }
    }
    removed.sort();
    for path in removed.into_iter().rev() {
        match place(path, item) {
            Some(Place::Field(map, name)) => drop(map.remove(name)),
            Some(Place::Element(list, index)) if index < list.len() => drop(list.remove(index)),
            _ => {}
        }
    }
}

enum Place<'i, 'p> {
    Field(&'i mut Item, &'p str),
    Element(&'i mut Vec<AttributeValue>, usize),
}

fn place<'i, 'p>(path: &'p Path, item: &'i mut Item) -> Option<Place<'i, 'p>> {
    let Some((last, leading)) = path.steps.split_last() else {
        return Some(Place::Field(item, &path.attribute));
    };
    let mut value = item.get_mut(&path.attribute)?;
    for step in leading {
        value = match (value, step) {
            (AttributeValue::M(map), Step::Name(name)) => map.get_mut(name)?,
            (AttributeValue::L(list), Step::Index(index)) => list.get_mut(*index as usize)?,
            _ => return None,
        };
    }
    match (value, last) {
        (AttributeValue::M(map), Step::Name(name)) => Some(Place::Field(map, name)),
        (AttributeValue::L(list), Step::Index(index)) => Some(Place::Element(list, *index as usize)),
        _ => None,
    }
}

/// Gives the value back if its place is beyond the end of a list.
fn put(path: &Path, value: AttributeValue, item: &mut Item) -> Option<AttributeValue> {
    match place(path, item)? {
        Place::Field(map, name) => drop(map.insert(name.to_owned(), value)),
        Place::Element(list, index) => match list.get_mut(index) {
            Some(old) => *old = value,
            None => return Some(value),
        },
    }
    None
}
