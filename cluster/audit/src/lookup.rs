//! Finding events: by account and time, newest first, and by one attribute.

use crate::Category;
use crate::machine::{day, place};
use crate::segments::{self, Segments, end_of};
use breakwater_aws::{Event, audit};
use breakwater_consensus::{Group, KeyPrefix};
use breakwater_meta::records::from_stored;
use breakwater_storage::{Direction, KeyRange, KeyValue, SnapshotView, StorageError};
use breakwater_types::AccountId;
use bytes::Bytes;
use parking_lot::RwLock;
use serde_json::Value;

/// How long events are kept.
pub const RETENTION_MS: i64 = 90 * 86_400_000;
/// Events that one page looks at, whether they fit or not.
const LOOKED_AT_MAX: usize = 20_000;
/// Of the same, their bytes as they are stored.
const BYTES_MAX: usize = 16 << 20;

/// What events can be looked up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    EventId,
    EventName,
    ReadOnly,
    Username,
    ResourceType,
    ResourceName,
    EventSource,
    AccessKeyId,
}

impl Attribute {
    pub fn parse(name: &str) -> Option<Attribute> {
        Some(match name {
            "EventId" => Attribute::EventId,
            "EventName" => Attribute::EventName,
            "ReadOnly" => Attribute::ReadOnly,
            "Username" => Attribute::Username,
            "ResourceType" => Attribute::ResourceType,
            "ResourceName" => Attribute::ResourceName,
            "EventSource" => Attribute::EventSource,
            "AccessKeyId" => Attribute::AccessKeyId,
            _ => return None,
        })
    }

    fn fits(self, wanted: &str, event: &Event, record: &Value) -> bool {
        let resources = || audit::resources_of(event, record).into_iter();
        match self {
            Attribute::EventId => audit::uuid(event.id) == wanted,
            Attribute::EventName => record["eventName"] == wanted,
            Attribute::ReadOnly => {
                record["readOnly"].as_bool().is_some_and(|b| wanted == if b { "true" } else { "false" })
            }
            Attribute::Username => event.user_name == wanted,
            Attribute::ResourceType => resources().any(|(kind, _)| kind == wanted),
            Attribute::ResourceName => {
                resources().any(|(_, name)| name == wanted) || event.resources.iter().any(|arn| arn == wanted)
            }
            Attribute::EventSource => record["eventSource"] == wanted,
            Attribute::AccessKeyId => event.access_key_id == wanted,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Lookup {
    pub account: AccountId,
    /// Both included.
    pub from_ms: i64,
    pub to_ms: i64,
    pub attribute: Option<(Attribute, String)>,
    /// Where the page before ended.
    pub after: Option<(i64, u128)>,
    pub max: usize,
}

#[derive(Debug)]
pub struct Page {
    pub events: Vec<(Event, Value)>,
    /// Where it goes on, if it does.
    pub next: Option<(i64, u128)>,
}

fn corrupt(what: String) -> StorageError {
    StorageError::Corrupt { place: "audit events".to_owned(), what }
}

/// An event's time, id and whether it was done, and itself as it is stored.
type Head = ((i64, u128, bool), Bytes);

/// Where an account's events lie, newest first.
struct Source {
    events: Box<dyn Iterator<Item = Result<KeyValue, StorageError>>>,
    /// The next one.
    head: Option<Head>,
}

impl Source {
    fn new(events: Box<dyn Iterator<Item = Result<KeyValue, StorageError>>>) -> Result<Self, StorageError> {
        let mut source = Source { events, head: None };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<Option<Head>, StorageError> {
        let next = match self.events.next().transpose()? {
            Some((key, value)) => {
                let place = end_of(&key).ok_or_else(|| corrupt("a key can't be read".to_owned()))?;
                Some((place, value))
            }
            None => None,
        };
        Ok(std::mem::replace(&mut self.head, next))
    }
}

impl Lookup {
    /// From this replica's own store: what it has heard of. Blocks.
    pub(crate) fn run(&self, group: &Group, known: &RwLock<Segments>) -> Result<Page, StorageError> {
        // One generation's view: a snapshot that is installed meanwhile moves the prefix.
        let (view, prefix) = loop {
            let prefix = group.prefix();
            let view = group.store().snapshot()?;
            if group.prefix() == prefix {
                break (view, prefix);
            }
        };
        self.page(&*view, &prefix, known)
    }

    fn page(
        &self,
        view: &dyn SnapshotView,
        prefix: &KeyPrefix,
        known: &RwLock<Segments>,
    ) -> Result<Page, StorageError> {
        let to_ms = self.after.map_or(self.to_ms, |(ms, _)| ms.min(self.to_ms));
        let mut page = Page { events: Vec::new(), next: None };
        if self.from_ms > to_ms {
            return Ok(page);
        }
        let (segments, older) = {
            let known = known.read();
            (known.overlapping(self.from_ms, to_ms), known.older)
        };
        let mut unopened = segments.into_iter().peekable();
        let mut sources = Vec::new();
        if older {
            sources.push(Source::new(self.older(view, prefix, to_ms)?)?);
        }
        let (mut looked_at, mut bytes) = (0, 0);
        let mut last = self.after;
        loop {
            let newest = sources.iter().filter_map(|s| s.head.as_ref().map(|(place, _)| *place)).max();
            // A segment whose newest event may come before all heads has to be looked into.
            if let Some((number, _)) = unopened.next_if(|(_, s)| newest.is_none_or(|(ms, ..)| s.max_ms >= ms)) {
                let start = segments::place(number, Category::Management, &self.account, self.from_ms, 0);
                let (end_ms, end_id) = match self.after {
                    Some((ms, id)) if ms <= self.to_ms => (ms, id),
                    _ => (to_ms.saturating_add(1), 0),
                };
                let end = segments::place(number, Category::Management, &self.account, end_ms, end_id);
                let found = view.scan(KeyRange::new(prefix.key(&start), prefix.key(&end)), Direction::Backward)?;
                sources.push(Source::new(Box::new(found))?);
                continue;
            }
            let Some(newest) = newest else { return Ok(page) };
            let Some(source) = sources.iter_mut().find(|s| s.head.as_ref().is_some_and(|(place, _)| *place == newest))
            else {
                return Ok(page);
            };
            if page.events.len() == self.max || looked_at == LOOKED_AT_MAX || bytes >= BYTES_MAX {
                page.next = last;
                return Ok(page);
            }
            let Some((_, value)) = source.advance()? else { return Ok(page) };
            looked_at += 1;
            bytes += value.len();
            let event: Event = from_stored(&value).map_err(corrupt)?;
            // An error's event under the id of one that tells of success.
            if last.replace((event.unix_ms, event.id)) == Some((event.unix_ms, event.id)) {
                continue;
            }
            let record: Value = serde_json::from_str(&event.record).map_err(|e| corrupt(e.to_string()))?;
            if self.attribute.as_ref().is_none_or(|(attribute, wanted)| attribute.fits(wanted, &event, &record)) {
                page.events.push((event, record));
            }
        }
    }

    /// Those of before format 4, which lie by day.
    fn older(
        &self,
        view: &dyn SnapshotView,
        prefix: &KeyPrefix,
        to_ms: i64,
    ) -> Result<Box<dyn Iterator<Item = Result<KeyValue, StorageError>>>, StorageError> {
        let account = self.account.as_str();
        let mut days = Vec::new();
        for today in (day(self.from_ms)..=day(to_ms)).rev() {
            let start = prefix.key(&place(today, account, self.from_ms, 0));
            let end = match self.after {
                Some((ms, id)) if day(ms) == today && ms <= self.to_ms => place(today, account, ms, id),
                _ => place(today, account, to_ms.saturating_add(1), 0),
            };
            days.push(view.scan(KeyRange::new(start, prefix.key(&end)), Direction::Backward)?);
        }
        Ok(Box::new(days.into_iter().flatten()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{AuditMachine, Command, to_format_4};
    use breakwater_consensus::{Applying, StateMachine};
    use breakwater_storage::{Batch, Engine, MemoryEngine};
    use breakwater_types::GroupId;
    use std::sync::Arc;

    #[test]
    fn a_page_looks_at_so_many_bytes_however_few_events_they_are() {
        let store: Arc<dyn Engine> = Arc::new(MemoryEngine::new(1));
        let machine = AuditMachine::new(store.clone());
        let prefix = KeyPrefix::new(GroupId::AUDIT, 0);
        let account = AccountId::new("111122223333").unwrap();
        let event = |n: u32| Event {
            account: account.clone(),
            unix_ms: i64::from(n),
            id: u128::from(n),
            done: true,
            access_key_id: String::new(),
            user_name: String::new(),
            resources: vec![],
            record: format!("{{\"pad\":\"{}\"}}", "x".repeat(1 << 20)),
        };
        for n in 0..40 {
            let command = Command::Keep { category: Category::Management, now_ms: 0, events: vec![event(n)] };
            let mut batch = Batch::new();
            let at = Applying { index: 1, term: 1 };
            machine.apply(at, &to_format_4(&command).unwrap().into(), &prefix, &mut batch).unwrap();
            store.write(&batch).unwrap();
            machine.applied(1);
        }
        let attribute = Some((Attribute::Username, "nobody".to_owned()));
        let mut lookup = Lookup { account, from_ms: 0, to_ms: 100, attribute, after: None, max: 50 };
        let mut next_ones = Vec::new();
        loop {
            let page = lookup.page(&*store.snapshot().unwrap(), &prefix, &machine.segments).unwrap();
            assert!(page.events.is_empty());
            lookup.after = page.next;
            let Some((unix_ms, _)) = page.next else { break };
            next_ones.push(unix_ms);
        }
        assert_eq!(next_ones, [24, 8]);
    }
}
