//! What is written at once, and where a scan goes.

use bytes::Bytes;

#[derive(Clone, PartialEq, Eq)]
pub enum BatchOp {
    Put { key: Bytes, value: Bytes },
    Delete { key: Bytes },
}

impl BatchOp {
    pub fn key(&self) -> &Bytes {
        match self {
            BatchOp::Put { key, .. } | BatchOp::Delete { key } => key,
        }
    }
}

impl std::fmt::Debug for BatchOp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys and values are people's data.
        match self {
            BatchOp::Put { key, value } => write!(f, "Put({} B, {} B)", key.len(), value.len()),
            BatchOp::Delete { key } => write!(f, "Delete({} B)", key.len()),
        }
    }
}

/// Puts and deletes in order; the last one of a key wins. All of them are written, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<BatchOp>,
}

impl Batch {
    pub fn new() -> Self {
        Batch::default()
    }
    pub fn with_capacity(ops: usize) -> Self {
        Batch { ops: Vec::with_capacity(ops) }
    }
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.ops.push(BatchOp::Put { key: key.into(), value: value.into() });
    }
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.ops.push(BatchOp::Delete { key: key.into() });
    }
    pub fn push(&mut self, op: BatchOp) {
        self.ops.push(op);
    }
    pub fn ops(&self) -> &[BatchOp] {
        &self.ops
    }
    pub fn len(&self) -> usize {
        self.ops.len()
    }
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.ops
            .iter()
            .map(|op| match op {
                BatchOp::Put { key, value } => key.len() + value.len(),
                BatchOp::Delete { key } => key.len(),
            })
            .sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Start inclusive, end exclusive; no end is the end of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub start: Vec<u8>,
    pub end: Option<Vec<u8>>,
}

impl KeyRange {
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        KeyRange { start: start.into(), end: Some(end.into()) }
    }
    pub fn all() -> Self {
        KeyRange { start: Vec::new(), end: None }
    }
    /// All keys that begin so.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while let Some(last) = end.pop() {
            if last < 0xff {
                end.push(last + 1);
                return KeyRange { start: prefix.to_vec(), end: Some(end) };
            }
        }
        KeyRange { start: prefix.to_vec(), end: None }
    }
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.end.as_deref().is_none_or(|end| key < end)
    }
    pub fn is_empty(&self) -> bool {
        self.end.as_deref().is_some_and(|end| end <= self.start.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_it_stops_matching() {
        assert_eq!(KeyRange::prefix(b"ab"), KeyRange::new("ab", "ac"));
        assert_eq!(KeyRange::prefix(&[1, 0xff]), KeyRange::new([1, 0xff], [2]));
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).end, None);
        assert!(KeyRange::prefix(&[0xff]).contains(&[0xff, 0xff]));
        assert!(KeyRange::new("b", "a").is_empty());
    }
}
