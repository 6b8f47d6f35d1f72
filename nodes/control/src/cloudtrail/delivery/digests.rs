//! Chains of digests: each names the files since the one before, and that one.

use super::files::{self, Told};
use super::round::{PUT, described, error_code};
use super::state::{PAGE, STEP, State};
use super::{Delivery, keys};
use breakwater_audit::trails::{self, Delivery as Progress, LastDigest, LogFile, Trail};
use breakwater_blobs::Also;
use breakwater_meta::records::from_stored;
use breakwater_meta::{Op, RangeRequest};
use std::time::Duration;
use tokio::time::Instant;

/// Files that one digest names; more go into the next one.
const DIGEST_FILES_MAX: usize = 20_000;

/// A chain begins when a trail that wants digests logs, and ends when it doesn't any more and all is delivered.
fn wants_chain(state: &State) -> bool {
    state.trail.validated && !state.is_settled()
}

/// Whether a chain goes on only after more than a period: the last digest was of a clock that was ahead.
fn is_beyond(from_s: i64, now_s: i64, period: Duration) -> bool {
    from_s - now_s > i64::try_from(period.as_secs()).unwrap_or(i64::MAX)
}

impl Delivery {
    /// False where something has changed meanwhile.
    pub(super) async fn begin_chain(&self, state: &mut State) -> Result<bool, String> {
        if !wants_chain(state) || state.progress.digest_from_s.is_some() {
            return Ok(true);
        }
        let progress = Progress { digest_from_s: Some(self.clock.unix_s()), ..state.progress.clone() };
        self.note(state, progress, vec![]).await
    }

    /// Files that no digest names yet, oldest first, and the key after the last one.
    async fn undigested(&self, trail: &Trail) -> Result<(Vec<LogFile>, Option<Vec<u8>>), String> {
        let mut range = RangeRequest::prefix(&trails::file_prefix(trail), PAGE);
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

    /// Delivers a digest where one is due. The last one, where there are to be no more or no more files come, is due at
    /// once.
    pub(super) async fn digest(&mut self, state: &mut State) -> Result<(), String> {
        let Some(mut from_s) = state.progress.digest_from_s else { return Ok(()) };
        let ends = !wants_chain(state);
        let now_ms = self.clock.unix_ms();
        let to_s = now_ms.div_euclid(1_000);
        if is_beyond(from_s, to_s, self.periods.digests) {
            tracing::error!(
                name = state.trail.name,
                from_s,
                to_s,
                "the clock went back: a chain of digests begins anew"
            );
            from_s = to_s;
            let progress = Progress {
                digest_from_s: Some(from_s),
                last_digest: None,
                digest_error: Some("ClockSkewDetected".to_owned()),
                ..state.progress.clone()
            };
            if !self.note(state, progress, vec![]).await? {
                return Ok(());
            }
        }
        // Names tell of whole seconds: two in one would be one.
        let due_ms = from_s * 1_000 + i64::try_from(self.periods.digests.as_millis()).unwrap_or(i64::MAX / 2);
        if now_ms < due_ms && !ends || to_s <= from_s {
            return Ok(());
        }
        let (files, end) = self.undigested(&state.trail).await?;
        if files.is_empty() && ends {
            // All is told: the chain has ended, and the next one begins without it.
            let progress = Progress { digest_from_s: None, last_digest: None, ..state.progress.clone() };
            return self.note(state, progress, vec![]).await.map(|_| ());
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
            let start = trails::file_prefix(&state.trail);
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
            self.note(state, progress, vec![]).await?;
        }
        Err(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_does_not_wait_for_a_clock_that_was_ahead() {
        let hour = Duration::from_secs(3_600);
        assert!(!is_beyond(1_000, 1_000, hour) && !is_beyond(4_600, 1_000, hour) && is_beyond(4_601, 1_000, hour));
    }
}
