//! One round of deliveries, trail by trail.

use super::files::{self, Told};
use super::{Delivery, keys};
use breakwater_audit::trails::{self, Delivery as Progress, LastDigest, LogFile, Trail};
use breakwater_aws::Event;
use breakwater_blobs::{Also, BlobError};
use breakwater_meta::records::{from_stored, to_stored};
use breakwater_meta::{Compare, Op, RangeRequest, Txn};
use rand::Rng;
use rand::distr::Alphanumeric;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Of one file's records; its last event may go beyond.
const FILE_BYTES: usize = 16 << 20;
/// Files that one digest names; more go into the next one.
const DIGEST_FILES_MAX: usize = 20_000;
const PAGE: usize = 1_000;
const STEP: Duration = Duration::from_secs(10);
const PUT: Duration = Duration::from_secs(60);
/// For so long after a trail has stopped, events of before may come.
const STRAGGLERS_MS: i64 = 15 * 60_000;
/// An idle trail's cursor is written down when it has got so far.
const CURSOR_STEP: u64 = 100_000;

/// A trail and how far it has got, with the revisions at which they were read.
struct State {
    trail: Trail,
    trail_revision: u64,
    progress: Progress,
    /// None where nothing was written yet.
    progress_revision: Option<u64>,
}

impl State {
    fn key(&self) -> Vec<u8> {
        trails::delivery_key(&self.trail.account, &self.trail.name)
    }

    /// Hold if nothing has changed since.
    fn unchanged(&self) -> Vec<Compare> {
        let trail = Compare::ModRevision(trails::key(&self.trail.account, &self.trail.name), self.trail_revision);
        let progress = match self.progress_revision {
            Some(revision) => Compare::ModRevision(self.key(), revision),
            None => Compare::Absent(self.key()),
        };
        vec![trail, progress]
    }

    fn put(&self, progress: &Progress) -> Result<Op, String> {
        Ok(Op::put(self.key(), to_stored(progress)?))
    }
}

/// What of a failed put the trail's status tells: as S3's errors are called.
fn error_code(e: &BlobError) -> Option<&'static str> {
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
        let mut all = Vec::new();
        let mut range = RangeRequest::prefix(trails::PREFIX, PAGE);
        loop {
            let page = self.meta.range(range.clone(), Instant::now() + STEP).await.map_err(|e| e.to_string())?;
            for entry in &page.entries {
                all.push(from_stored::<Trail>(&entry.value)?);
            }
            let (true, Some(last)) = (page.more, page.entries.last()) else { break };
            range.start = [&last.key[..], &[0]].concat();
        }
        self.seen.retain(|id, _| all.iter().any(|trail| trail.id == *id));
        for trail in all {
            let (account, name) = (trail.account.clone(), trail.name.clone());
            // One that can't be delivered doesn't hold up the others.
            if let Err(why) = self.trail(trail, with_files).await {
                tracing::warn!(%account, name, why, "a trail is not delivered for now");
            }
        }
        Ok(())
    }

    async fn read(&self, trail: &Trail) -> Result<Option<State>, String> {
        let deadline = Instant::now() + STEP;
        let (account, name) = (&trail.account, &trail.name);
        let found = self.meta.get(&trails::key(account, name), deadline).await.map_err(|e| e.to_string())?;
        let Some(entry) = found else { return Ok(None) };
        let trail: Trail = from_stored(&entry.value)?;
        let key = trails::delivery_key(account, name);
        let found = self.meta.get(&key, deadline).await.map_err(|e| e.to_string())?;
        let progress = found.as_ref().map(|entry| from_stored(&entry.value)).transpose()?;
        Ok(Some(State {
            trail,
            trail_revision: entry.mod_revision,
            progress: progress.unwrap_or_default(),
            progress_revision: found.map(|entry| entry.mod_revision),
        }))
    }

    /// False where something has changed meanwhile: the next round reads it anew.
    async fn note(&self, state: &State, progress: &Progress, more: Vec<Op>) -> Result<bool, String> {
        let success = [vec![state.put(progress)?], more].concat();
        let txn = Txn { compares: state.unchanged(), success, failure: vec![] };
        let done = self.meta.txn(txn, Instant::now() + STEP).await.map_err(|e| e.to_string())?;
        Ok(done.succeeded)
    }

    async fn trail(&mut self, trail: Trail, with_files: bool) -> Result<(), String> {
        let Some(state) = self.read(&trail).await? else { return Ok(()) };
        if state.trail.logging.is_empty() {
            return Ok(());
        }
        self.begin_or_end_chain(&state).await?;
        if with_files {
            while self.file(&trail).await? {}
        }
        self.digest(&trail).await
    }

    /// A chain of digests begins when a trail that wants digests logs, and ends when it doesn't any more.
    async fn begin_or_end_chain(&self, state: &State) -> Result<(), String> {
        let wanted = state.trail.validated && state.trail.is_logging();
        let begun = state.progress.digest_from_s.is_some();
        if wanted && !begun {
            let progress = Progress { digest_from_s: Some(self.clock.unix_s()), ..state.progress.clone() };
            self.note(state, &progress, vec![]).await?;
        } else if !state.trail.validated && begun {
            let progress = Progress { digest_from_s: None, last_digest: None, ..state.progress.clone() };
            let files = trails::file_prefix(&state.trail.account, &state.trail.name);
            let forget = Op::DeleteRange { end: breakwater_meta::prefix_end(&files), start: files };
            self.note(state, &progress, vec![forget]).await?;
        }
        Ok(())
    }

    /// The arrival number to go on after; none where the trail has long been stopped.
    fn after(&self, state: &State) -> Option<u64> {
        let recent = |to_ms: Option<i64>| to_ms.is_none_or(|to| to + STRAGGLERS_MS > self.clock.unix_ms());
        let from_ms =
            state.trail.logging.iter().filter(|spell| recent(spell.to_ms)).map(|spell| spell.from_ms).min()?;
        let seen = self.seen.get(&state.trail.id).copied().unwrap_or(0);
        Some(state.progress.cursor.max(seen).max(self.audit.before(from_ms)))
    }

    /// Delivers one file. True where there is more.
    async fn file(&mut self, trail: &Trail) -> Result<bool, String> {
        let Some(state) = self.read(trail).await? else { return Ok(false) };
        let Some(after) = self.after(&state) else { return Ok(false) };
        let (audit, wanted_by) = (self.audit.clone(), state.trail.clone());
        let collected = tokio::task::spawn_blocking(move || collect(&audit, &wanted_by, after));
        let (events, up_to, more) = collected.await.map_err(|e| e.to_string())??;
        if events.is_empty() {
            // Of a trail that has changed meanwhile it isn't known what it wanted.
            if self.read(trail).await?.is_none_or(|now| now.trail_revision != state.trail_revision) {
                return Ok(false);
            }
            self.seen.insert(state.trail.id, up_to);
            if up_to >= state.progress.cursor + CURSOR_STEP {
                let progress = Progress { cursor: up_to, ..state.progress.clone() };
                self.note(&state, &progress, vec![]).await?;
            }
            return Ok(more);
        }
        let (now_ms, region, log_of) = (self.clock.unix_ms(), self.region.clone(), state.trail.clone());
        let unique: String = rand::rng().sample_iter(Alphanumeric).take(16).map(char::from).collect();
        let count = events.len();
        let made = tokio::task::spawn_blocking(move || {
            files::log_file(&log_of, &region, &events, now_ms.div_euclid(1_000), &unique)
        });
        let (file, named) = made.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let number = state.progress.files + 1;
        let progress = Progress {
            cursor: up_to,
            files: number,
            delivered_unix_ms: Some(now_ms),
            error: None,
            ..state.progress.clone()
        };
        let mut ops = vec![state.put(&progress)?];
        if state.trail.validated {
            let key = trails::file_key(&state.trail.account, &state.trail.name, number);
            ops.push(Op::put(key, to_stored(&named)?));
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
                    self.note(&state, &progress, vec![]).await?;
                }
                Err(e.to_string())
            }
        }
    }

    /// Files that no digest names yet, oldest first, and the key after the last one.
    async fn undigested(&self, trail: &Trail) -> Result<(Vec<LogFile>, Option<Vec<u8>>), String> {
        let mut range = RangeRequest::prefix(&trails::file_prefix(&trail.account, &trail.name), PAGE);
        let (mut all, mut end) = (Vec::new(), None);
        while all.len() < DIGEST_FILES_MAX {
            let page = self.meta.range(range.clone(), Instant::now() + STEP).await.map_err(|e| e.to_string())?;
            for entry in &page.entries {
                all.push(from_stored(&entry.value)?);
            }
            let Some(last) = page.entries.last() else { break };
            range.start = [&last.key[..], &[0]].concat();
            end = Some(range.start.clone());
            if !page.more {
                break;
            }
        }
        Ok((all, end))
    }

    async fn signing_key(&mut self, now_ms: i64) -> Result<&keys::SigningKey, String> {
        if self.key.as_ref().is_none_or(|key| !key.is_valid(now_ms)) {
            self.key = Some(keys::signing(&self.meta, now_ms, Instant::now() + STEP).await?);
        }
        self.key.as_ref().ok_or_else(|| "no signing key".to_owned())
    }

    /// Delivers a digest where one is due.
    async fn digest(&mut self, trail: &Trail) -> Result<(), String> {
        let Some(state) = self.read(trail).await? else { return Ok(()) };
        let Some(from_s) = state.progress.digest_from_s.filter(|_| state.trail.validated) else { return Ok(()) };
        let now_ms = self.clock.unix_ms();
        let to_s = now_ms.div_euclid(1_000);
        let due_ms = from_s * 1_000 + i64::try_from(self.periods.digests.as_millis()).unwrap_or(i64::MAX / 2);
        // Names tell of whole seconds: two in one would be one.
        if now_ms < due_ms || to_s <= from_s {
            return Ok(());
        }
        let (files, end) = self.undigested(&state.trail).await?;
        if files.is_empty() && self.after(&state).is_none() {
            // It was stopped, and all is told: the chain has ended, and the next one begins without it.
            let progress = Progress { digest_from_s: None, last_digest: None, ..state.progress.clone() };
            return self.note(&state, &progress, vec![]).await.map(|_| ());
        }
        let region = self.region.clone();
        let key = self.signing_key(now_ms).await?;
        let fingerprint = key.public.fingerprint();
        let told = Told {
            trail: &state.trail,
            region: &region,
            from_s,
            to_s,
            fingerprint: &fingerprint,
            previous: state.progress.last_digest.as_ref(),
            files: &files,
        };
        let (file, to_sign) = files::digest(&told).map_err(|e| e.to_string())?;
        let signature = key.sign(to_sign.as_bytes())?;
        let progress = Progress {
            digest_from_s: Some(to_s),
            last_digest: Some(LastDigest {
                bucket: state.trail.bucket.clone(),
                object: file.object.clone(),
                hash: file.hash,
                signature: signature.clone(),
            }),
            digest_delivered_unix_ms: Some(now_ms),
            digest_error: None,
            ..state.progress.clone()
        };
        let mut ops = vec![state.put(&progress)?];
        if let Some(end) = end {
            let start = trails::file_prefix(&state.trail.account, &state.trail.name);
            ops.push(Op::DeleteRange { start, end });
        }
        let metadata = described([
            ("x-amz-meta-signature", signature.as_str()),
            ("x-amz-meta-signature-algorithm", files::SIGNATURE_ALGORITHM),
        ]);
        let also = Also { compares: state.unchanged(), ops };
        let key = format!("s3/{}/{}", state.trail.bucket, file.object);
        let put = self.blobs.put(&key, file.compressed.into(), metadata, also, Instant::now() + PUT).await;
        let Err(e) = put else { return Ok(()) };
        if let Some(code) = error_code(&e).filter(|code| state.progress.digest_error.as_deref() != Some(code)) {
            let progress = Progress { digest_error: Some(code.to_owned()), ..state.progress.clone() };
            self.note(&state, &progress, vec![]).await?;
        }
        Err(e.to_string())
    }
}

/// What a file's object says of itself.
fn described<const N: usize>(more: [(&str, &str); N]) -> BTreeMap<String, String> {
    let common = [("content-type", "application/json"), ("content-encoding", "gzip")];
    common.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The next events that the trail wants, about as many as a file holds. Blocks.
fn collect(
    audit: &breakwater_audit::AuditService,
    trail: &Trail,
    mut after: u64,
) -> Result<(Vec<Event>, u64, bool), String> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    loop {
        let page = audit.arrivals(&trail.account, after, FILE_BYTES - bytes).map_err(|e| e.to_string())?;
        if page.lost {
            tracing::error!(name = trail.name, after, "events were no longer kept when they were to be delivered");
        }
        after = page.up_to;
        for (category, event) in page.events {
            if files::wants(trail, category, &event) {
                bytes += event.record.len();
                events.push(event);
            }
        }
        if !page.more || bytes >= FILE_BYTES {
            return Ok((events, after, page.more));
        }
    }
}
