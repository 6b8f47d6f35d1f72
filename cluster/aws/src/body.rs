//! Reading bodies, each of them and all together within bounds.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is longer than allowed")]
    TooLarge,
    /// All bodies together are.
    #[error("no room for another body now")]
    NoRoom,
    /// The client went away or broke the protocol; nobody is left to answer.
    #[error("the body ended early: {0}")]
    Lost(#[source] hyper::Error),
}

#[derive(Debug)]
pub struct Bodies {
    held: Arc<AtomicUsize>,
    one_max: usize,
    all_max: usize,
}

/// A body, and its place within the bound of all.
pub struct HeldBody {
    pub bytes: Bytes,
    pub room: Room,
}

/// Given back when nobody needs the body any more: that may be later than its client hangs up.
#[derive(Default)]
pub struct Room {
    held: Option<Arc<AtomicUsize>>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// A body that is refused is still read up to this many bytes beyond its bound, so that the client, which is busy
/// sending, gets to read the answer rather than a reset.
const DISCARDED_BYTES_MAX: usize = 48 * 1_024 * 1_024;

impl Bodies {
    pub fn new(one_max: usize, all_max: usize) -> Self {
        Bodies { held: Arc::default(), one_max, all_max }
    }

    fn reserve(&self, room: &mut Room, bytes: usize) -> Result<(), BodyError> {
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > self.all_max {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return Err(BodyError::NoRoom);
        }
        room.bytes += bytes;
        Ok(())
    }

    pub async fn read(&self, headers: &HeaderMap, mut body: Incoming) -> Result<HeldBody, BodyError> {
        let declared =
            headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
        let mut room = Room { held: Some(self.held.clone()), bytes: 0 };
        match self.fill(&mut room, declared, &mut body).await {
            Ok(bytes) => Ok(HeldBody { bytes, room }),
            Err(e @ BodyError::Lost(_)) => Err(e),
            Err(refused) => {
                drop(room);
                let mut left = DISCARDED_BYTES_MAX;
                while let Some(Ok(frame)) = body.frame().await {
                    match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                        Some(rest) => left = rest,
                        None => break,
                    }
                }
                Err(refused)
            }
        }
    }

    async fn fill(&self, room: &mut Room, declared: Option<usize>, body: &mut Incoming) -> Result<Bytes, BodyError> {
        if declared.is_some_and(|n| n > self.one_max) {
            return Err(BodyError::TooLarge);
        }
        let mut first = Bytes::new();
        let mut whole: Option<BytesMut> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(BodyError::Lost)?.into_data() else { continue };
            let so_far = whole.as_ref().map_or(first.len(), BytesMut::len);
            if so_far + data.len() > self.one_max {
                return Err(BodyError::TooLarge);
            }
            self.reserve(room, data.len())?;
            if so_far == 0 {
                // The usual case: the body came with its head, in one piece.
                first = data;
            } else {
                let whole = whole.get_or_insert_with(|| {
                    // A declared length is only a claim: nothing is allocated for what hasn't come.
                    let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(256 * 1_024).max(2 * so_far));
                    whole.extend_from_slice(&first);
                    whole
                });
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.map_or(first, BytesMut::freeze))
    }
}
