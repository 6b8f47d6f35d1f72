//! Compiled projections: which parts of an item to give back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::path::{Path, Step};
use crate::value::{AttributeValue, Item};

/// Paths that neither overlap nor conflict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    paths: Vec<Path>,
}

/// What is wanted of one value. Depth is bounded by the longest path.
enum Selection<'p> {
    Whole,
    Fields(BTreeMap<&'p str, Selection<'p>>),
    Elements(BTreeMap<u32, Selection<'p>>),
}

impl Projection {
    /// `paths` must be disjoint, as [`super::compile`] and the legacy parameters make sure.
    pub(crate) fn of(paths: Vec<Path>) -> Self {
        Projection { paths }
    }

    pub fn document_paths(&self) -> &[Path] {
        &self.paths
    }

    /// The attributes whose content this projection depends on, for comparison with an index's.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| path.attribute.as_str())
    }

    /// The parts of the item that exist, inside the maps and lists that lead to them. Lists hold only the chosen
    /// elements, in their order, without gaps.
    pub fn project(&self, item: &Item) -> Item {
        project_paths(&self.paths, item)
    }
}

pub(super) fn project_paths(paths: &[Path], item: &Item) -> Item {
    let mut wanted: BTreeMap<&str, Selection<'_>> = BTreeMap::new();
    for path in paths {
        insert(wanted.entry(&path.attribute), &path.steps);
    }
    fields_of(item, &wanted)
}

fn insert<'p, K: Ord>(entry: std::collections::btree_map::Entry<'_, K, Selection<'p>>, steps: &'p [Step]) {
    let Some((step, rest)) = steps.split_first() else {
        entry.or_insert(Selection::Whole);
        return;
    };
    // Disjoint paths agree about each value's kind; a path that does not is left out.
    match step {
        Step::Name(name) => {
            if let Selection::Fields(fields) = entry.or_insert_with(|| Selection::Fields(BTreeMap::new())) {
                insert(fields.entry(name), rest);
            }
        }
        Step::Index(index) => {
            if let Selection::Elements(elements) = entry.or_insert_with(|| Selection::Elements(BTreeMap::new())) {
                insert(elements.entry(*index), rest);
            }
        }
    }
}

fn fields_of(map: &BTreeMap<String, AttributeValue>, wanted: &BTreeMap<&str, Selection<'_>>) -> Item {
    let chosen = wanted.iter().filter_map(|(name, selection)| {
        let value = select(map.get(*name)?, selection)?;
        Some(((*name).to_owned(), value))
    });
    chosen.collect()
}

fn select(value: &AttributeValue, selection: &Selection<'_>) -> Option<AttributeValue> {
    match (selection, value) {
        (Selection::Whole, value) => Some(value.clone()),
        (Selection::Fields(fields), AttributeValue::M(map)) => {
            let chosen = fields_of(map, fields);
            (!chosen.is_empty()).then_some(AttributeValue::M(chosen))
        }
        (Selection::Elements(elements), AttributeValue::L(list)) => {
            let chosen: Vec<_> = (elements.iter())
                .filter_map(|(index, selection)| select(list.get(*index as usize)?, selection))
                .collect();
            (!chosen.is_empty()).then_some(AttributeValue::L(chosen))
        }
        _ => None,
    }
}
