//! Finding events: by account and time, newest first, and by one attribute.

use crate::machine::{day, place};
use breakwater_aws::{Event, audit};
use breakwater_consensus::Group;
use breakwater_meta::records::from_stored;
use breakwater_storage::{Direction, KeyRange, StorageError};
use breakwater_types::AccountId;
use serde_json::Value;

/// How long events are kept.
pub const RETENTION_MS: i64 = 90 * 86_400_000;
/// Events that one page looks at, whether they fit or not.
const LOOKED_AT_MAX: usize = 20_000;

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
        let resources = || event.resources.iter().filter_map(|arn| Some((arn, audit::resource_of(arn)?)));
        match self {
            Attribute::EventId => audit::uuid(event.id) == wanted,
            Attribute::EventName => record["eventName"] == wanted,
            Attribute::ReadOnly => {
                record["readOnly"].as_bool().is_some_and(|b| wanted == if b { "true" } else { "false" })
            }
            Attribute::Username => event.user_name == wanted,
            Attribute::ResourceType => resources().any(|(_, (kind, _))| kind == wanted),
            Attribute::ResourceName => resources().any(|(arn, (_, name))| name == wanted || arn == wanted),
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

impl Lookup {
    /// From this replica's own store: what it has heard of. Blocks.
    pub fn run(&self, group: &Group) -> Result<Page, StorageError> {
        // One generation's view: a snapshot that is installed meanwhile moves the prefix.
        let (view, prefix) = loop {
            let prefix = group.prefix();
            let view = group.store().snapshot()?;
            if group.prefix() == prefix {
                break (view, prefix);
            }
        };
        let account = self.account.as_str();
        let to_ms = self.after.map_or(self.to_ms, |(ms, _)| ms.min(self.to_ms));
        let mut page = Page { events: Vec::new(), next: None };
        let mut looked_at = 0;
        let mut last = self.after;
        if self.from_ms > to_ms {
            return Ok(page);
        }
        for today in (day(self.from_ms)..=day(to_ms)).rev() {
            let start = prefix.key(&place(today, account, self.from_ms, 0));
            let end = match self.after {
                Some((ms, id)) if day(ms) == today && ms <= self.to_ms => place(today, account, ms, id),
                _ => place(today, account, to_ms.saturating_add(1), 0),
            };
            for found in view.scan(KeyRange::new(start, prefix.key(&end)), Direction::Backward)? {
                let (_, value) = found?;
                if page.events.len() == self.max || looked_at == LOOKED_AT_MAX {
                    page.next = last;
                    return Ok(page);
                }
                looked_at += 1;
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
        Ok(page)
    }
}
