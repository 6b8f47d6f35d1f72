//! Expressions as they were written: placeholders unresolved, borrowed from the text.

use super::condition::Comparator;

pub(super) enum RawStep<'a> {
    Name(&'a str),
    /// With its `#`.
    Placeholder(&'a str),
    /// Digits, possibly too many.
    Index(&'a str),
}

pub(super) struct RawPath<'a>(pub Vec<RawStep<'a>>);

pub(super) struct RawFunction<'a> {
    pub name: &'a str,
    pub arguments: Vec<RawOperand<'a>>,
}

pub(super) enum RawOperand<'a> {
    Path(RawPath<'a>),
    /// With its `:`.
    Value(&'a str),
    Function(RawFunction<'a>),
}

pub(super) enum RawCondition<'a> {
    All(Vec<RawCondition<'a>>),
    Any(Vec<RawCondition<'a>>),
    Not(Box<RawCondition<'a>>),
    Compare(RawOperand<'a>, Comparator, RawOperand<'a>),
    Between([RawOperand<'a>; 3]),
    In(RawOperand<'a>, Vec<RawOperand<'a>>),
    Function(RawFunction<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Set,
    Remove,
    Add,
    Delete,
}

impl Section {
    pub const ALL: [Section; 4] = [Section::Set, Section::Remove, Section::Add, Section::Delete];

    pub fn keyword(self) -> &'static str {
        match self {
            Section::Set => "SET",
            Section::Remove => "REMOVE",
            Section::Add => "ADD",
            Section::Delete => "DELETE",
        }
    }
}

pub(super) enum RawSetValue<'a> {
    Operand(RawOperand<'a>),
    Sum(RawOperand<'a>, RawOperand<'a>),
    Difference(RawOperand<'a>, RawOperand<'a>),
}

pub(super) enum RawAction<'a> {
    Set(RawPath<'a>, RawSetValue<'a>),
    Remove(RawPath<'a>),
    /// The value's placeholder, with its `:`.
    Add(RawPath<'a>, &'a str),
    Delete(RawPath<'a>, &'a str),
}

impl<'a> RawAction<'a> {
    pub fn path(&self) -> &RawPath<'a> {
        match self {
            RawAction::Set(path, _)
            | RawAction::Remove(path)
            | RawAction::Add(path, _)
            | RawAction::Delete(path, _) => path,
        }
    }
}

pub(super) struct RawUpdate<'a> {
    pub actions: Vec<RawAction<'a>>,
    pub repeated_section: Option<Section>,
}

/// What the checks that look at the whole text need besides the tree.
#[derive(Clone, Copy, Default)]
pub(super) struct Shape {
    pub operators: usize,
    pub redundant_parentheses: bool,
}
