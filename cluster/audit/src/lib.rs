//! Where audit events are kept: a Raft group among the control nodes, and the ways that events take to it.
//!
//! A change of the control plane puts its event into the control store's outbox, in the same transaction ([`outbox`]);
//! the event of any other management call is written to its node's own disk ([`Spool`]) before the call is answered.
//! From both, events move to the group as soon as it can be reached. An event's key is its own, so that one that is
//! sent twice is kept once.
//!
//! The group numbers events in the order of their arrival; trails are delivered by it. What a trail selects is in
//! [`trails`]. Data calls leave events where a trail's selector names them ([`DataEvents`]): those wait for nothing.
//!
//! This crate must not: know what a record says, but for what it is looked up by.
//!
//! Invariants: an event leaves the outbox or a spool only when a quorum of the group has it; an event has one arrival
//! number, however often it was sent; a spool is bounded: a management call that finds it full waits, then is told to try
//! again, and the event of a data call is counted and dropped.

mod arrivals;
mod courier;
mod data_events;
mod lookup;
mod machine;
pub mod outbox;
mod segments;
mod service;
mod spool;
mod steady;
pub mod trails;

pub use arrivals::Arrivals;
pub use data_events::{DataEvents, Describe};
pub use lookup::{Attribute, Lookup, Page, RETENTION_MS};
pub use service::{AuditMetrics, AuditService};
pub use spool::{Spool, SpoolMetrics};

use breakwater_aws::Event;
use serde::{Deserialize, Serialize};

/// CloudTrail's categories of events. Only management events are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Category {
    Management = 0,
    Data = 1,
}

impl Category {
    fn of(byte: u8) -> Option<Self> {
        [Category::Management, Category::Data].into_iter().find(|category| *category as u8 == byte)
    }
}

/// Events of one message and one log entry at most.
const EVENTS_MAX: usize = 1_000;
const BYTES_MAX: usize = 1 << 20;

/// Of a list of events, what fits into one message: one at least, each of a size that can be sent.
fn some_of<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<Event> {
    let mut bytes = 0;
    let mut some = Vec::new();
    for event in events.take(EVENTS_MAX) {
        let event = event.clone().bounded();
        bytes += event.bytes();
        if bytes > BYTES_MAX && !some.is_empty() {
            break;
        }
        some.push(event);
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;
    use breakwater_types::AccountId;

    #[test]
    fn a_message_is_bounded_whatever_its_events_are() {
        let event = |resource: usize, record: usize| Event {
            account: AccountId::new("111122223333").unwrap(),
            unix_ms: 1,
            id: 1,
            done: true,
            access_key_id: String::new(),
            user_name: String::new(),
            resources: vec!["r".repeat(resource)],
            record: "x".repeat(record),
        };
        let size = |events: &[Event]| events.iter().map(Event::bytes).sum::<usize>();
        let many = vec![event(400 << 10, 10); 9];
        assert!(size(&some_of(many.iter())) <= BYTES_MAX);
        let long = vec![event(18 << 20, 18 << 20); 2];
        let some = some_of(long.iter());
        assert!(!some.is_empty() && size(&some) <= BYTES_MAX);
        assert_eq!(some_of(vec![event(5, 5); 2_000].iter()).len(), EVENTS_MAX);
    }
}
