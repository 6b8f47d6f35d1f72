//! A mirror's copy in the node's own sealed store, so that a node knows at its start what it knew at its end.
//!
//! Under group number 0, which is no group's: `0 (8) | "mirror/" | prefix | 0 | 'h'` is the head (format, revision and
//! when it was heard), `… | 'e' | key` an entry. Changes and the head that covers them go in one batch; while a copy
//! is made anew there is no head, and what is there counts for nothing.

use crate::model::{Entry, Revision, decode, encode};
use breakwater_storage::{Batch, Direction, Engine, KeyRange, StorageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Entries of one batch of a copy that is made anew.
const BATCH_ENTRIES: usize = 256;

pub(crate) type Entries = BTreeMap<Vec<u8>, Arc<Entry>>;

#[derive(Clone)]
pub(crate) struct Kept {
    store: Arc<dyn Engine>,
    place: Vec<u8>,
}

pub(crate) struct Found {
    pub(crate) revision: Revision,
    pub(crate) heard_unix_ms: i64,
    pub(crate) entries: Entries,
}

fn corrupt(what: String) -> StorageError {
    StorageError::Corrupt { place: "kept mirror".to_owned(), what }
}

impl Kept {
    pub(crate) fn new(store: Arc<dyn Engine>, prefix: &[u8]) -> Self {
        Kept { store, place: [&[0; 8], &b"mirror/"[..], prefix, &[0]].concat() }
    }

    fn head(&self) -> Vec<u8> {
        [&self.place[..], b"h"].concat()
    }

    fn entry(&self, key: &[u8]) -> Vec<u8> {
        [&self.place[..], b"e", key].concat()
    }

    fn entries(&self) -> KeyRange {
        KeyRange { start: self.entry(&[]), end: Some([&self.place[..], b"f"].concat()) }
    }

    fn put_head(&self, batch: &mut Batch, revision: Revision, heard_unix_ms: i64) -> Result<(), StorageError> {
        batch.put(self.head(), encode(&(revision, heard_unix_ms)).map_err(corrupt)?);
        Ok(())
    }

    /// None where nothing whole was kept.
    pub(crate) fn load(&self) -> Result<Option<Found>, StorageError> {
        let Some(head) = self.store.get(&self.head())? else { return Ok(None) };
        let (revision, heard_unix_ms) = decode(&head).map_err(corrupt)?;
        let mut entries = Entries::new();
        for found in self.store.scan(self.entries(), Direction::Forward)? {
            let (stored, value) = found?;
            let entry: Entry = decode(&value).map_err(corrupt)?;
            if stored[self.place.len() + 1..] != entry.key {
                return Err(corrupt("an entry under a foreign key".to_owned()));
            }
            entries.insert(entry.key.to_vec(), Arc::new(entry));
        }
        Ok(Some(Found { revision, heard_unix_ms, entries }))
    }

    /// The whole copy anew.
    pub(crate) fn replace(&self, revision: Revision, heard: i64, entries: &Entries) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        batch.delete(self.head());
        self.store.write(&batch)?;
        self.store.delete_range(self.entries())?;
        let all: Vec<_> = entries.iter().collect();
        for some in all.chunks(BATCH_ENTRIES) {
            let mut batch = Batch::default();
            for (key, entry) in some {
                batch.put(self.entry(key), encode(entry.as_ref()).map_err(corrupt)?);
            }
            self.store.write(&batch)?;
        }
        let mut batch = Batch::default();
        self.put_head(&mut batch, revision, heard)?;
        self.store.write(&batch)?;
        self.store.sync()
    }

    /// Changes since the last call, by key; without any, only the time when the store was heard is noted.
    pub(crate) fn advance(
        &self,
        revision: Revision,
        heard: i64,
        changes: &BTreeMap<Vec<u8>, Option<Arc<Entry>>>,
    ) -> Result<(), StorageError> {
        let mut batch = Batch::default();
        for (key, entry) in changes {
            match entry {
                Some(entry) => batch.put(self.entry(key), encode(entry.as_ref()).map_err(corrupt)?),
                None => batch.delete(self.entry(key)),
            }
        }
        self.put_head(&mut batch, revision, heard)?;
        self.store.write(&batch)?;
        if changes.is_empty() { Ok(()) } else { self.store.sync() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_storage::MemoryEngine;

    fn entry(key: &str, revision: Revision) -> (Vec<u8>, Arc<Entry>) {
        let (stored, value) = (key.as_bytes().to_vec().into(), format!("{revision}").into_bytes().into());
        let entry = Entry { key: stored, value, create_revision: 1, mod_revision: revision, lease: None };
        (key.as_bytes().to_vec(), Arc::new(entry))
    }

    #[test]
    fn what_was_kept_is_found_again() {
        let store: Arc<dyn Engine> = Arc::new(MemoryEngine::new(1));
        let kept = Kept::new(store.clone(), b"aws/");
        let other = Kept::new(store.clone(), b"aws");
        assert!(kept.load().unwrap().is_none());
        let mut entries: Entries = (0..1_000).map(|n| entry(&format!("aws/{n:04}"), 5)).collect();
        kept.replace(5, 77, &entries).unwrap();
        other.replace(9, 1, &Entries::new()).unwrap();
        let changed = entry("aws/0001", 6);
        let changes = BTreeMap::from([(changed.0.clone(), Some(changed.1.clone())), (b"aws/0002".to_vec(), None)]);
        kept.advance(6, 78, &changes).unwrap();
        kept.advance(8, 79, &BTreeMap::new()).unwrap();
        entries.insert(changed.0, changed.1);
        entries.remove(&b"aws/0002"[..]);
        let found = kept.load().unwrap().unwrap();
        assert_eq!((found.revision, found.heard_unix_ms), (8, 79));
        assert_eq!(found.entries, entries);
        kept.replace(12, 80, &Entries::new()).unwrap();
        assert!(kept.load().unwrap().unwrap().entries.is_empty());
        assert_eq!(other.load().unwrap().unwrap().revision, 9);
    }

    #[test]
    fn a_copy_that_was_not_finished_or_is_damaged_counts_for_nothing() {
        let store: Arc<dyn Engine> = Arc::new(MemoryEngine::new(1));
        let kept = Kept::new(store.clone(), b"aws/");
        kept.replace(5, 77, &Entries::from([entry("aws/a", 5)])).unwrap();
        for (key, damaged) in [(kept.head(), vec![99, 1]), (kept.entry(b"aws/a"), vec![]), (kept.head(), vec![1])] {
            let mut batch = Batch::default();
            batch.put(key, damaged);
            store.write(&batch).unwrap();
            assert!(kept.load().is_err());
        }
        let mut batch = Batch::default();
        batch.delete(kept.head());
        store.write(&batch).unwrap();
        assert!(kept.load().unwrap().is_none());
    }
}
