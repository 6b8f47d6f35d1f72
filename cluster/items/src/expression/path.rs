//! Document paths: where a value stands inside an item.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::error::{ExpressionError, Problem};
use crate::value::{AttributeValue, Item};

/// AWS's bound on the elements of one path, the attribute itself included.
pub const MAX_PATH_STEPS: usize = 32;
/// List indexes are Java ints at AWS.
pub const MAX_LIST_INDEX: u32 = i32::MAX as u32;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    Name(String),
    Index(u32),
}

/// `a.b[3]`: an attribute's name, then names and list indexes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Path {
    pub attribute: String,
    pub steps: Vec<Step>,
}

impl Path {
    /// A whole attribute; a dot in `name` is part of the name.
    pub fn attribute(name: impl Into<String>) -> Self {
        Path { attribute: name.into(), steps: Vec::new() }
    }

    pub fn is_nested(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The value at this path, if the item has one.
    pub fn resolve<'i>(&self, item: &'i Item) -> Option<&'i AttributeValue> {
        self.steps.iter().try_fold(item.get(&self.attribute)?, step_into)
    }

    /// How this path and another stand to each other, as AWS judges it: by the paths alone.
    fn relation(&self, other: &Path) -> Relation {
        if self.attribute != other.attribute {
            return Relation::Apart;
        }
        for pair in self.steps.iter().zip(&other.steps) {
            match pair {
                (Step::Name(one), Step::Name(two)) if one == two => {}
                (Step::Index(one), Step::Index(two)) if one == two => {}
                (Step::Name(_), Step::Name(_)) | (Step::Index(_), Step::Index(_)) => return Relation::Apart,
                _ => return Relation::Conflict,
            }
        }
        Relation::Overlap
    }
}

impl std::fmt::Display for Path {
    /// AWS's form in error texts: `[a, b, [3]]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}", self.attribute)?;
        for step in &self.steps {
            match step {
                Step::Name(name) => write!(f, ", {name}")?,
                Step::Index(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}

pub(super) fn step_into<'i>(value: &'i AttributeValue, step: &Step) -> Option<&'i AttributeValue> {
    match (value, step) {
        (AttributeValue::M(map), Step::Name(name)) => map.get(name),
        (AttributeValue::L(list), Step::Index(index)) => list.get(*index as usize),
        _ => None,
    }
}

enum Relation {
    Apart,
    /// The same, or one inside the other.
    Overlap,
    /// The one takes a value for a list that the other takes for a map.
    Conflict,
}

/// Refuses paths that overlap or conflict; an overlap anywhere is reported before a conflict.
pub(super) fn check_disjoint(paths: &[&Path]) -> Result<(), Problem> {
    let mut by_attribute: HashMap<&str, Vec<&Path>> = HashMap::new();
    let mut conflict = None;
    for path in paths {
        let earlier = by_attribute.entry(&path.attribute).or_default();
        for other in earlier.iter() {
            let texts = || (other.to_string(), path.to_string());
            match other.relation(path) {
                Relation::Apart => {}
                Relation::Overlap => {
                    let (one, two) = texts();
                    return Err(Problem::OverlappingPaths { one, two });
                }
                Relation::Conflict => {
                    conflict.get_or_insert_with(texts);
                }
            }
        }
        earlier.push(path);
    }
    match conflict {
        Some((one, two)) => Err(Problem::ConflictingPaths { one, two }),
        None => Ok(()),
    }
}

/// Keys are scalars, so a path into one is refused: first the table's keys, then those of its indexes.
pub fn check_nested_key_paths<'p>(
    paths: impl IntoIterator<Item = &'p Path>,
    keys: &[&str],
    index_keys: &[&str],
) -> Result<(), ExpressionError> {
    let nested: Vec<_> =
        paths.into_iter().filter(|path| path.is_nested()).map(|path| path.attribute.as_str()).collect();
    for (which, names) in [("Key", keys), ("IndexKey", index_keys)] {
        if let Some(attribute) = names.iter().find(|name| nested.contains(name)) {
            return Err(ExpressionError::NestedKeyPath { which, attribute: (*attribute).to_owned() });
        }
    }
    Ok(())
}
