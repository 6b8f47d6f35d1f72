//! A trail and how far it has got, as deliveries read and write them.

use super::Delivery;
use breakwater_audit::trails::{self, Delivery as Progress, Trail};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{Compare, Entry, Op, RangeRequest, Txn};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::time::Instant;

pub(super) const PAGE: usize = 1_000;
pub(super) const STEP: Duration = Duration::from_secs(10);

/// A trail and how far it has got, with the revisions at which they were read.
pub(super) struct State {
    /// Where the trail is stored: somewhere else once it was deleted.
    pub(super) key: Vec<u8>,
    pub(super) trail: Trail,
    pub(super) trail_revision: u64,
    pub(super) progress: Progress,
    /// None where nothing was written yet.
    pub(super) progress_revision: Option<u64>,
}

impl State {
    /// How far it has got is found by what the trail says of itself.
    fn read<'a>(entry: &Entry, progress: impl FnOnce(&Trail) -> Option<&'a Entry>) -> Result<Self, String> {
        let trail: Trail = from_stored(&entry.value)?;
        let progress = progress(&trail);
        Ok(State {
            key: entry.key.to_vec(),
            trail,
            trail_revision: entry.mod_revision,
            progress: progress.map(|entry| from_stored(&entry.value)).transpose()?.unwrap_or_default(),
            progress_revision: progress.map(|entry| entry.mod_revision),
        })
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.key.starts_with(&trails::all_deleted())
    }

    /// Whether nothing comes any more of what has happened while it logged.
    pub(super) fn is_settled(&self) -> bool {
        self.trail.unsettled(self.progress.settled).next().is_none()
    }

    /// Hold if nothing has changed since.
    pub(super) fn unchanged(&self) -> Vec<Compare> {
        let key = trails::delivery_key(&self.trail);
        let trail = Compare::ModRevision(self.key.clone(), self.trail_revision);
        let progress = match self.progress_revision {
            Some(revision) => Compare::ModRevision(key, revision),
            None => Compare::Absent(key),
        };
        vec![trail, progress]
    }

    pub(super) fn put(&self, progress: &Progress) -> Result<Op, String> {
        Ok(Op::put(trails::delivery_key(&self.trail), to_stored(progress)?))
    }
}

/// All trails of the region, as far as they can be read.
pub(super) struct Known {
    pub(super) states: Vec<State>,
    /// After which arrival numbers those wait that can't be read.
    pub(super) stuck: Vec<u64>,
}

/// Of a trail's key, or of that of how far it has got.
fn account(key: &[u8]) -> &[u8] {
    key.split(|b| *b == b'/').nth(2).unwrap_or_default()
}

/// One that can't be read doesn't hold up the others. How far it has got lies under an id that only the trail itself
/// tells: it may be any of its account that belongs to none that was read.
fn read(trails: &[Entry], progress: &[Entry]) -> Known {
    let by_key: HashMap<&[u8], &Entry> = progress.iter().map(|entry| (&entry.key[..], entry)).collect();
    let (mut states, mut unreadable) = (Vec::new(), HashSet::new());
    for entry in trails {
        match State::read(entry, |trail| by_key.get(&trails::delivery_key(trail)[..]).copied()) {
            Ok(state) => states.push(state),
            Err(why) => {
                tracing::error!(key = %entry.key.escape_ascii(), why, "a trail can't be read, and isn't delivered");
                unreadable.insert(account(&entry.key));
            }
        }
    }
    let owned: HashSet<Vec<u8>> = states.iter().map(|state| trails::delivery_key(&state.trail)).collect();
    let of_none = |e: &&Entry| unreadable.contains(account(&e.key)) && !owned.contains(&e.key[..]);
    let stuck = progress.iter().filter(of_none).filter_map(|e| from_stored::<Progress>(&e.value).ok());
    let stuck = stuck.map(|progress| progress.cursor).collect();
    Known { states, stuck }
}

impl Delivery {
    async fn entries(&self, prefix: &[u8]) -> Result<Vec<Entry>, String> {
        let mut all = Vec::new();
        let mut range = RangeRequest::prefix(prefix, PAGE);
        loop {
            let page = self.meta.range(range.clone(), Instant::now() + STEP).await.map_err(|e| e.to_string())?;
            let next = page.entries.last().filter(|_| page.more).map(|last| [&last.key[..], &[0]].concat());
            all.extend(page.entries);
            let Some(start) = next else { return Ok(all) };
            range.start = start;
        }
    }

    /// All trails of the region, those that were deleted too.
    pub(super) async fn all(&self) -> Result<Known, String> {
        let mut trails = self.entries(trails::PREFIX).await?;
        trails.extend(self.entries(&trails::all_deleted()).await?);
        Ok(read(&trails, &self.entries(&trails::all_deliveries()).await?))
    }

    /// The same as it is now; none where it is gone, or was deleted meanwhile.
    pub(super) async fn again(&self, state: &State) -> Result<Option<State>, String> {
        let deadline = Instant::now() + STEP;
        let get = async |key: &[u8]| self.meta.get(key, deadline).await.map_err(|e| e.to_string());
        let Some(trail) = get(&state.key).await? else { return Ok(None) };
        let progress = get(&trails::delivery_key(&state.trail)).await?;
        State::read(&trail, |_| progress.as_ref()).map(|now| Some(now).filter(|now| now.trail.id == state.trail.id))
    }

    /// Whether the trail is as it was read.
    pub(super) async fn is_unchanged(&self, state: &State) -> Result<bool, String> {
        let now = self.meta.get(&state.key, Instant::now() + STEP).await.map_err(|e| e.to_string())?;
        Ok(now.is_some_and(|entry| entry.mod_revision == state.trail_revision))
    }

    /// False where something has changed meanwhile: the next round reads it anew.
    pub(super) async fn note(&self, state: &mut State, progress: Progress, more: Vec<Op>) -> Result<bool, String> {
        let success = [vec![state.put(&progress)?], more].concat();
        let txn = Txn { compares: state.unchanged(), success, failure: vec![] };
        let done = self.meta.txn(txn, Instant::now() + STEP).await.map_err(|e| e.to_string())?;
        if done.succeeded {
            state.progress = progress;
            state.progress_revision = Some(done.revision);
        }
        Ok(done.succeeded)
    }

    /// Of a trail that was deleted, once all is delivered.
    pub(super) async fn remove(&self, state: &State) -> Result<(), String> {
        let files = trails::file_prefix(&state.trail);
        let success = vec![
            Op::Delete { key: state.key.clone() },
            Op::Delete { key: trails::delivery_key(&state.trail) },
            Op::DeleteRange { end: breakwater_meta::prefix_end(&files), start: files },
        ];
        let txn = Txn { compares: state.unchanged(), success, failure: vec![] };
        self.meta.txn(txn, Instant::now() + STEP).await.map(|_| ()).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    fn entry(key: Vec<u8>, value: Vec<u8>) -> Entry {
        Entry { key: key.into(), value: value.into(), create_revision: 1, mod_revision: 7, lease: None }
    }

    fn trail(id: u128, account: &str, name: &str) -> Trail {
        Trail::new(id, AccountId::new(account).unwrap(), name, 0)
    }

    fn stored(trail: &Trail) -> Entry {
        entry(trails::key(&trail.account, &trail.name), to_stored(trail).unwrap())
    }

    fn at(trail: &Trail, cursor: u64) -> Entry {
        entry(trails::delivery_key(trail), to_stored(&Progress { cursor, ..Progress::default() }).unwrap())
    }

    fn broken(entry: Entry) -> Entry {
        Entry { value: vec![0xff].into(), ..entry }
    }

    #[test]
    fn a_trail_that_cannot_be_read_holds_up_no_other_and_is_waited_for() {
        let (music, films) = (trail(1, "111122223333", "music"), trail(2, "111122223333", "films"));
        let (deleted, elsewhere) = (trail(3, "111122223333", "gone"), trail(4, "444455556666", "music"));
        let of_deleted = broken(entry(trails::deleted_key(&deleted), vec![]));
        // Of a trail that was removed meanwhile: nobody waits for it, as none of that account is unreadable.
        let left = trail(5, "444455556666", "left");
        let known = read(
            &[broken(stored(&music)), stored(&films), stored(&elsewhere), of_deleted],
            &[at(&music, 10), at(&films, 20), at(&deleted, 30), at(&elsewhere, 40), at(&left, 50)],
        );
        let told: Vec<_> = known.states.iter().map(|s| (s.trail.id, s.progress.cursor, s.progress_revision)).collect();
        assert_eq!(told, [(2, 20, Some(7)), (4, 40, Some(7))]);
        assert_eq!(known.stuck, [10, 30]);
    }

    #[test]
    fn how_far_a_trail_has_got_is_not_begun_anew_where_it_cannot_be_read() {
        let (music, films) = (trail(1, "111122223333", "music"), trail(2, "111122223333", "films"));
        let known = read(&[stored(&music), stored(&films)], &[broken(at(&music, 10))]);
        let told: Vec<_> = known.states.iter().map(|s| (s.trail.id, s.progress_revision)).collect();
        assert_eq!((told, known.stuck), (vec![(2, None)], vec![]));
    }
}
