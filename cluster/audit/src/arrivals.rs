//! Reading events in the order of their arrival.

use crate::Category;
use crate::segments::{self, Segments};
use breakwater_aws::Event;
use breakwater_consensus::{Group, KeyPrefix};
use breakwater_meta::records::from_stored;
use breakwater_storage::{Direction, KeyRange, SnapshotView, StorageError};
use breakwater_types::AccountId;

/// Arrivals that one page looks at, whoever's they are.
const LOOKED_AT_MAX: usize = 50_000;

/// Some of an account's events.
#[derive(Debug, Default)]
pub struct Arrivals {
    pub events: Vec<(Category, Event)>,
    /// The number of the last one that was looked at.
    pub up_to: u64,
    /// Whether there are more.
    pub more: bool,
    /// Whether events after the number that was asked for are no longer kept.
    pub lost: bool,
}

fn corrupt(what: &str) -> StorageError {
    StorageError::Corrupt { place: "audit arrivals".to_owned(), what: what.to_owned() }
}

/// Whether the same call's success was kept too: then that is what is told.
fn has_twin(view: &dyn SnapshotView, prefix: &KeyPrefix, known: &Segments, category: Category, event: &Event) -> bool {
    known.overlapping(event.unix_ms, event.unix_ms).into_iter().any(|(number, _)| {
        let mut key = segments::place(number, category, &event.account, event.unix_ms, event.id);
        key.push(1);
        view.get(&prefix.key(&key)).is_ok_and(|found| found.is_some())
    })
}

/// The account's events after a number, in order, from this replica's own store, until there are `bytes_max` of them.
/// Those of a leader whose leadership was confirmed are all there are. Blocks.
pub(crate) fn read(
    group: &Group,
    known: &parking_lot::RwLock<Segments>,
    account: &AccountId,
    after: u64,
    bytes_max: usize,
) -> Result<Arrivals, StorageError> {
    let (view, prefix) = loop {
        let prefix = group.prefix();
        let view = group.store().snapshot()?;
        if group.prefix() == prefix {
            break (view, prefix);
        }
    };
    let mut page = Arrivals { up_to: after, ..Arrivals::default() };
    let range = KeyRange::new(
        prefix.key(&segments::arrival_key(after.saturating_add(1))),
        prefix.key(&segments::arrivals_end()),
    );
    let mut bytes = 0;
    for (looked_at, found) in view.scan(range, Direction::Forward)?.enumerate() {
        let (stored, place) = found?;
        if looked_at == LOOKED_AT_MAX || bytes >= bytes_max {
            page.more = true;
            break;
        }
        let number = stored.last_chunk::<8>().copied().map(u64::from_be_bytes).ok_or_else(|| corrupt("a key"))?;
        page.lost |= number != page.up_to + 1 && page.up_to != 0;
        page.up_to = number;
        if segments::account_of(&place) != Some(account.as_str().as_bytes()) {
            continue;
        }
        let Some(value) = view.get(&prefix.key(&place))? else {
            page.lost = true;
            continue;
        };
        let event: Event = from_stored(&value).map_err(|e| corrupt(&e))?;
        let category = segments::category_of(&place).ok_or_else(|| corrupt("a category"))?;
        if !event.done && has_twin(&*view, &prefix, &known.read(), category, &event) {
            continue;
        }
        bytes += event.record.len();
        page.events.push((category, event));
    }
    Ok(page)
}
