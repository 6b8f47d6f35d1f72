//! One round of deliveries, trail by trail.

use super::place::{Place, place, settles};
use super::state::{Known, State};
use super::{Delivery, files};
use breakwater_audit::trails::{self, Delivery as Progress, Trail};
use breakwater_audit::{Arrivals, AuditService};
use breakwater_aws::Event;
use breakwater_blobs::{Also, BlobError};
use breakwater_meta::Op;
use breakwater_meta::records::to_stored;
use rand::Rng;
use rand::distr::Alphanumeric;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Of one file's records; its last event may go beyond.
const FILE_BYTES: usize = 16 << 20;
pub(super) const PUT: Duration = Duration::from_secs(60);
/// An idle trail's cursor is written down when it has got so far.
const CURSOR_STEP: u64 = 100_000;

/// What of a failed put the trail's status tells: as S3's errors are called.
pub(super) fn error_code(e: &BlobError) -> Option<&'static str> {
    match e {
        // Somebody else has changed the trail, or delivers it: nothing failed.
        BlobError::CompareFailed => None,
        BlobError::NotApplied(_) | BlobError::Unknown(_) => Some("ServiceUnavailable"),
        BlobError::Invalid(_) => Some("InvalidRequest"),
        BlobError::Exists => Some("OperationAborted"),
        BlobError::Damaged(_) => Some("InternalError"),
    }
}

impl Delivery {
    pub(super) async fn round(&mut self, with_files: bool) -> Result<(), String> {
        let Known { states, stuck } = self.all().await?;
        self.seen.retain(|id, _| states.iter().any(|state| state.trail.id == *id));
        let waits_after = states.iter().filter_map(|state| self.waits_after(state)).chain(stuck).min();
        self.audit.set_delivered(waits_after.unwrap_or(u64::MAX));
        for state in states {
            let (account, name) = (state.trail.account.clone(), state.trail.name.clone());
            // One that can't be delivered doesn't hold up the others.
            if let Err(why) = self.trail(state, with_files).await {
                tracing::warn!(%account, name, why, "a trail is not delivered for now");
            }
        }
        Ok(())
    }

    async fn trail(&mut self, mut state: State, with_files: bool) -> Result<(), String> {
        if state.trail.spells.is_empty() || !self.begin_chain(&mut state).await? {
            return Ok(());
        }
        if with_files {
            while self.file(&mut state).await? {
                let Some(now) = self.again(&state).await? else { return Ok(()) };
                state = now;
            }
            let Some(now) = self.again(&state).await? else { return Ok(()) };
            state = now;
        }
        self.digest(&mut state).await?;
        if state.is_deleted() && state.is_settled() && state.progress.digest_from_s.is_none() {
            self.remove(&state).await?;
        }
        Ok(())
    }

    /// After which arrival number nothing may be forgotten, as far as is written down; none where all is delivered.
    fn waits_after(&self, state: &State) -> Option<u64> {
        let first = state.trail.unsettled(state.progress.settled).next()?;
        let begins = (first.number > state.progress.followed).then(|| self.audit.before(first.from_ms));
        Some(state.progress.cursor.max(begins.unwrap_or(0)))
    }

    /// The arrival number to go on after; none where all is delivered.
    async fn after(&self, state: &mut State) -> Result<Option<u64>, String> {
        let seen = self.seen.get(&state.trail.id).copied().unwrap_or(0);
        let (kept, _) = self.audit.kept();
        let (after, progress) = match place(&state.trail, &state.progress, seen, kept, |ms| self.audit.before(ms)) {
            Place::End => return Ok(None),
            Place::After(after) => return Ok(Some(after)),
            Place::Begins(cursor) => {
                let followed = state.trail.spells.last().map_or(0, |spell| spell.number);
                (cursor, Progress { cursor, followed, lost: false, ..state.progress.clone() })
            }
            Place::Lost { up_to, count } => {
                tracing::error!(name = state.trail.name, count, "events were forgotten before they could be delivered");
                (up_to, Progress { cursor: up_to, lost: true, ..state.progress.clone() })
            }
        };
        Ok(self.note(state, progress, vec![]).await?.then_some(after))
    }

    /// Delivers one file. True where there is more.
    async fn file(&mut self, state: &mut State) -> Result<bool, String> {
        let Some(after) = self.after(state).await? else { return Ok(false) };
        let led_for = self.led_since.map_or(Duration::ZERO, |since| since.elapsed());
        let settles = settles(&state.trail, &state.progress, led_for, self.clock.unix_ms(), self.periods.stragglers);
        let (audit, wanted_by) = (self.audit.clone(), state.trail.clone());
        let collected = tokio::task::spawn_blocking(move || collect(&audit, &wanted_by, after));
        let Arrivals { events, up_to, more, lost } = collected.await.map_err(|e| e.to_string())??;
        let mut progress = Progress { cursor: up_to, lost: state.progress.lost || lost, ..state.progress.clone() };
        if !more && settles > progress.settled {
            progress.settled = settles;
            progress.followed = state.trail.spells.last().map_or(0, |spell| spell.number);
        }
        if events.is_empty() {
            // A cursor that is written down doesn't hold back what is to be forgotten by more than a segment.
            let (_, newest) = self.audit.kept();
            let far = up_to >= state.progress.cursor + CURSOR_STEP || state.progress.cursor + 1 < newest.min(up_to);
            if far || progress.settled > state.progress.settled || progress.lost != state.progress.lost {
                self.note(state, progress, vec![]).await?;
            } else if up_to > after && self.is_unchanged(state).await? {
                // Of a trail that has changed meanwhile it isn't known what it wanted.
                self.seen.insert(state.trail.id, up_to);
            }
            return Ok(more);
        }
        let (now_ms, region, log_of) = (self.clock.unix_ms(), self.region.clone(), state.trail.clone());
        let unique: String = rand::rng().sample_iter(Alphanumeric).take(16).map(char::from).collect();
        let count = events.len();
        let made = tokio::task::spawn_blocking(move || {
            let events: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
            files::log_file(&log_of, &region, &events, now_ms.div_euclid(1_000), &unique)
        });
        let (file, named) = made.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        progress.files += 1;
        progress.delivered_unix_ms = Some(now_ms);
        progress.error = None;
        let mut ops = vec![state.put(&progress)?];
        if state.trail.validated {
            ops.push(Op::put(trails::file_key(&state.trail, progress.files), to_stored(&named)?));
        }
        let also = Also { compares: state.unchanged(), ops };
        let key = format!("s3/{}/{}", state.trail.bucket, file.object);
        let metadata = described([]);
        match self.blobs.put(&key, file.compressed.into(), metadata, also, Instant::now() + PUT).await {
            Ok(_) => {
                tracing::debug!(name = state.trail.name, count, up_to, "events are delivered");
                Ok(more)
            }
            Err(e) => {
                if let Some(code) = error_code(&e).filter(|code| state.progress.error.as_deref() != Some(code)) {
                    let progress = Progress { error: Some(code.to_owned()), ..state.progress.clone() };
                    self.note(state, progress, vec![]).await?;
                }
                Err(e.to_string())
            }
        }
    }
}

/// What a file's object says of itself.
pub(super) fn described<const N: usize>(more: [(&str, &str); N]) -> BTreeMap<String, String> {
    let common = [("content-type", "application/json"), ("content-encoding", "gzip")];
    common.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The next events that the trail wants, about as many as a file holds. Blocks.
fn collect(audit: &AuditService, trail: &Trail, after: u64) -> Result<Arrivals, String> {
    let mut wanted = Arrivals { up_to: after, ..Arrivals::default() };
    let mut bytes = 0;
    loop {
        let after = wanted.up_to;
        let page = audit.arrivals(&trail.account, after, FILE_BYTES - bytes).map_err(|e| e.to_string())?;
        if page.lost {
            tracing::error!(name = trail.name, after, "events were no longer kept when they were to be delivered");
        }
        wanted.lost |= page.lost;
        (wanted.up_to, wanted.more) = (page.up_to, page.more);
        for (category, event) in page.events {
            if files::wants(trail, category, &event) {
                bytes += event.record.len();
                wanted.events.push((category, event));
            }
        }
        if !page.more || bytes >= FILE_BYTES {
            return Ok(wanted);
        }
    }
}
