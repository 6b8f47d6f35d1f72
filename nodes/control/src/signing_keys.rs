//! What data nodes get in place of access keys: signing keys derived from them, for their service and the days to come.

use crate::{credentials, session_keys};
use breakwater_aws::{KEY_PARTS, KeySet, KeysAsked, KeysPart, KeysTold, SESSIONS_PART, SecretKey, part_of};
use breakwater_consensus::Group;
use breakwater_meta::{Entry, Mirror, records};
use breakwater_transport::{Handler, Inbound, Refusal};
use breakwater_types::{Region, SharedClock, stable_hash};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What is left of a caller's time for the answer to reach it.
const MARGIN: Duration = Duration::from_millis(500);
/// How long a node that has heard less than its caller waits to catch up.
const CATCH_UP: Duration = Duration::from_millis(500);
/// Access keys in an answer, but for the last part's: some megabytes.
const TOLD_MAX: usize = 8_192;
const SERVICE: &str = "dynamodb";

/// Yesterday (requests signed just before midnight) and the days to come, for which a data node can go on alone.
const DAYS: std::ops::RangeInclusive<i64> = -1..=7;

fn days(today: time::Date) -> Vec<String> {
    DAYS.map(|n| today.saturating_add(time::Duration::days(n)))
        .map(|d| format!("{:04}{:02}{:02}", d.year(), u8::from(d.month()), d.day()))
        .collect()
}

/// The digests of all parts: equal on all control nodes that know the same keys.
fn digests(access_keys: &[Arc<Entry>], session_keys: &[Arc<Entry>], days: &[String]) -> Vec<u64> {
    let mut digests = vec![stable_hash(days.concat().as_bytes()); KEY_PARTS + 1];
    let mut add = |part: usize, entry: &Entry| {
        let one = stable_hash(&[&entry.key[..], &entry.mod_revision.to_be_bytes()].concat());
        digests[part] = digests[part].wrapping_add(one);
    };
    for entry in access_keys {
        add(part_of(id_of(entry)), entry);
    }
    for entry in session_keys {
        add(SESSIONS_PART, entry);
    }
    digests
}

fn id_of(entry: &Entry) -> &[u8] {
    entry.key.strip_prefix(credentials::PREFIX).unwrap_or_default()
}

/// Which parts to tell now of those that differ, and whether some are left.
fn to_tell(asked: &KeysAsked, digests: &[u64], counts: &[usize]) -> (Vec<usize>, bool) {
    let mut differing = (0..digests.len()).filter(|part| digests[*part] != asked.digest(*part)).peekable();
    let (mut parts, mut keys) = (Vec::new(), 0);
    while let Some(part) = differing.next_if(|_| keys < TOLD_MAX) {
        keys += counts.get(part).copied().unwrap_or_default();
        parts.push(part);
    }
    (parts, differing.peek().is_some())
}

/// What a data node asks: in parts, or as nodes of before there were parts.
enum Question {
    Parts(KeysAsked),
    /// The digest of the whole set that it knows, and the revision as of which it was told.
    Whole(u64, u64),
}

impl Question {
    fn read(payload: &[u8]) -> Result<Question, String> {
        match <[u8; 16]>::try_from(payload).map(u128::from_be_bytes) {
            Ok(known) => Ok(Question::Whole((known >> 64) as u64, known as u64)),
            Err(_) => records::from_stored(payload).map(Question::Parts),
        }
    }

    fn revision(&self) -> u64 {
        match self {
            Question::Parts(asked) => asked.revision,
            Question::Whole(_, revision) => *revision,
        }
    }
}

fn failed(e: impl ToString) -> (Refusal, String) {
    (Refusal::Failed, e.to_string())
}

fn encoded<T: Serialize>(answer: &T) -> Result<Vec<u8>, (Refusal, String)> {
    records::to_stored(answer).map_err(failed)
}

/// Answers data nodes that ask for signing keys as soon as there are other ones than those that they say they know. Nobody
/// is told what is older than what she knows.
pub struct KeysHandler {
    pub group: Arc<Group>,
    /// Of [`credentials::PREFIX`].
    pub mirror: Arc<Mirror>,
    /// Of [`session_keys::PREFIX`]. A key is known to all long before it seals: it may be told late.
    pub session_keys: Arc<Mirror>,
    pub region: Region,
    pub clock: SharedClock,
}

impl KeysHandler {
    fn days(&self) -> Result<Vec<String>, (Refusal, String)> {
        let now = time::OffsetDateTime::from_unix_timestamp(self.clock.unix_s()).map_err(failed)?;
        Ok(days(now.date()))
    }

    /// The answer where there is news, or where the time is `up`. The mirrors show what is at least as new as the revision.
    fn answer(&self, question: &Question, revision: u64, up: bool) -> Result<Option<Vec<u8>>, (Refusal, String)> {
        let days = self.days()?;
        let access_keys = self.mirror.scan_prefix(credentials::PREFIX);
        let digests = digests(&access_keys, &self.session_keys.scan_prefix(session_keys::PREFIX), &days);
        let set = |keys: &[SecretKey], session_keys: &[_]| {
            KeySet::derive(keys, self.region.as_str(), SERVICE, days.clone(), session_keys)
        };
        let asked = match question {
            Question::Parts(asked) => asked,
            Question::Whole(known, _) => {
                let digest = digests.iter().fold(0, |all: u64, one| all.wrapping_mul(31).wrapping_add(*one));
                let head = [digest.to_be_bytes(), revision.to_be_bytes()].concat();
                if digest == *known {
                    return Ok(up.then_some(head));
                }
                let keys: Vec<SecretKey> = access_keys.iter().filter_map(|e| credentials::secret_key(e)).collect();
                let set = encoded(&set(&keys, &session_keys::read(&self.session_keys)))?;
                return Ok(Some([head, set].concat()));
            }
        };
        // Most questions are looked at for another part's change: there is nothing to sort then.
        if !up && (0..digests.len()).all(|part| digests[part] == asked.digest(part)) {
            return Ok(None);
        }
        let mut entries: Vec<Vec<&Entry>> = vec![Vec::new(); KEY_PARTS];
        for entry in &access_keys {
            entries[part_of(id_of(entry))].push(entry);
        }
        let counts: Vec<usize> = entries.iter().map(Vec::len).collect();
        let (tell, more) = to_tell(asked, &digests, &counts);
        let part = |part: usize| KeysPart {
            number: part as u16,
            digest: digests[part],
            set: match entries.get(part) {
                Some(entries) => {
                    let keys: Vec<SecretKey> = entries.iter().filter_map(|e| credentials::secret_key(e)).collect();
                    set(&keys, &[])
                }
                None => set(&[], &session_keys::read(&self.session_keys)),
            },
        };
        encoded(&KeysTold { revision, more, parts: tell.into_iter().map(part).collect() }).map(Some)
    }
}

impl Handler for KeysHandler {
    fn handle(self: Arc<Self>, call: Inbound) -> BoxFuture<'static, Result<Bytes, (Refusal, String)>> {
        Box::pin(async move {
            let cut_off = || (Refusal::Overloaded, "this node has lost touch with the control store".to_owned());
            let question = Question::read(&call.payload).map_err(|e| (Refusal::Malformed, e))?;
            let question = Arc::new(question);
            let end = call.deadline - MARGIN;
            if !self.mirror.wait_for(question.revision(), end.min(Instant::now() + CATCH_UP)).await {
                return Err(cut_off());
            }
            let mut changed = self.mirror.changed();
            let mut sealing = self.session_keys.changed();
            loop {
                if !self.group.in_touch() {
                    return Err(cut_off());
                }
                // Read first: what is sent is at least as new.
                let revision = *changed.borrow_and_update();
                sealing.borrow_and_update();
                let (this, asked, up) = (self.clone(), question.clone(), Instant::now() >= end);
                // Deriving thousands of keys takes its time.
                let answer = tokio::task::spawn_blocking(move || this.answer(&asked, revision, up));
                if let Some(answer) = answer.await.map_err(failed)?? {
                    return Ok(answer.into());
                }
                tokio::select! {
                    _ = tokio::time::timeout_at(end, changed.changed()) => {}
                    _ = sealing.changed() => {}
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_from_yesterday_on() {
        let days = days(time::macros::date!(2026 - 01 - 01));
        assert_eq!((days[0].as_str(), days[8].as_str(), days.len()), ("20251231", "20260108", 9));
    }

    fn entry(id: &str, revision: u64) -> Arc<Entry> {
        Arc::new(Entry {
            key: [credentials::PREFIX, id.as_bytes()].concat().into(),
            value: Bytes::new(),
            create_revision: 1,
            mod_revision: revision,
            lease: None,
        })
    }

    #[test]
    fn a_change_differs_in_its_part_alone() {
        let days = |n: u8| days(time::Date::from_calendar_date(2026, time::Month::January, n).unwrap());
        let keys = |revision| [entry("AKIAONE", 4), entry("AKIATWO", revision)];
        let before = digests(&keys(5), &[], &days(1));
        let after = digests(&keys(6), &[], &days(1));
        let differing: Vec<usize> = (0..before.len()).filter(|n| before[*n] != after[*n]).collect();
        assert_eq!(differing, [part_of(b"AKIATWO")]);
        assert_eq!(before, digests(&keys(5), &[], &days(1)));
        assert!(before.iter().zip(digests(&keys(5), &[], &days(2))).all(|(a, b)| *a != b));
        let sealing = digests(&keys(5), &[entry("1", 9)], &days(1));
        assert!(before[..KEY_PARTS] == sealing[..KEY_PARTS] && before[SESSIONS_PART] != sealing[SESSIONS_PART]);
    }

    #[test]
    fn what_a_node_doesnt_know_is_told_in_answers_of_bounded_size() {
        let (digests, counts) = (vec![7; KEY_PARTS + 1], vec![1_000; KEY_PARTS]);
        let (mut asked, mut answers, mut told) = (KeysAsked::default(), 0, Vec::new());
        loop {
            let (parts, more) = to_tell(&asked, &digests, &counts);
            assert!(parts.len() <= TOLD_MAX / 1_000 + 1);
            asked.digests.resize(digests.len(), 0);
            parts.iter().for_each(|part| asked.digests[*part] = 7);
            told.extend(parts);
            answers += 1;
            if !more {
                break;
            }
        }
        assert_eq!(told, (0..=KEY_PARTS).collect::<Vec<_>>());
        assert!(answers > 20);
        assert_eq!(to_tell(&asked, &digests, &counts), (vec![], false));
    }

    #[test]
    fn questions_are_read_or_refused() {
        assert!(matches!(Question::read(&[1; 16]), Ok(Question::Whole(..))));
        let asked = KeysAsked { revision: 9, digests: vec![3; KEY_PARTS + 1] };
        let read = Question::read(&records::to_stored(&asked).unwrap()).unwrap();
        assert!(matches!(&read, Question::Parts(read) if read.digests == asked.digests) && read.revision() == 9);
        assert!(Question::read(&[]).is_err() && Question::read(&[0xff; 40]).is_err());
    }
}
