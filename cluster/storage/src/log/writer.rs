//! The one thread that writes: drains the queue into frames, one write, one sync for all, then the callbacks.

use super::format::{
    END_FRAME_BYTES, FRAME_BODY_BYTES, FRAME_HEADER_BYTES, FrameHeader, Kind, RECORD_HEADER_BYTES, RecordHeader,
    SEGMENT_HEADER_BYTES, SegmentHeader, padded, record_nonce,
};
use super::group::{Place, Stamp};
use super::segment::Segment;
use super::state::{Command, SegmentState, State};
use super::store::Shared;
use super::{Done, upkeep};
use crate::disk::Disk;
use crate::error::StorageError;
use crate::seal::{DataKey, TAG_BYTES};
use breakwater_types::{GroupId, faults};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long what needs no sync may wait for company, and after how much rest the end of the log is marked as durable.
const REST: Duration = Duration::from_millis(50);
/// Frames are written once so much of them is waiting.
const BUFFER_BYTES: usize = 4 << 20;
/// The write buffer keeps at most this between drains.
const BUFFER_KEPT_BYTES: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames: AtomicU64,
    pub(super) records: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) sync_ns: AtomicU64,
}

/// Where a record went, to be told to the index.
pub(super) struct Placement {
    pub(super) group: GroupId,
    pub(super) what: Placed,
    /// What the index said when the record was made: if it says something else by now, the record is dead.
    pub(super) was: Place,
    pub(super) segment: u32,
    pub(super) offset: u32,
}

pub(super) enum Placed {
    Entry(u64),
    Meta(u8),
}

pub(super) struct Writer {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) data_key: DataKey,
    pub(super) store_id: [u8; 16],
    pub(super) segment_bytes: u64,
    pub(super) cache_bytes: usize,
    pub(super) segment: Arc<Segment>,
    /// Complete frames, and the one that is being filled; they go to `offset`.
    pub(super) buffer: Vec<u8>,
    pub(super) offset: u64,
    /// Where in the buffer the open frame starts, and how many records it has.
    pub(super) open_frame: Option<(usize, u32)>,
    /// Of the last frame.
    pub(super) sequence: u64,
    pub(super) crc: u32,
    pub(super) durable: u64,
    pub(super) unsynced: bool,
    /// The oldest segment that is needed.
    pub(super) oldest: u32,
    pub(super) placements: Vec<Placement>,
    pub(super) upkeep: upkeep::Upkeep,
}

/// Everything taken from the state at one moment.
struct Drain {
    commands: Vec<Command>,
    stamp: Stamp,
    urgent: bool,
    stopping: bool,
    upkeep: upkeep::Plan,
}

impl Writer {
    /// A callback that panics must not leave others waiting for ever.
    pub(super) fn run_guarded(self, shared: &Shared) {
        let run = std::panic::AssertUnwindSafe(|| self.run(shared));
        if std::panic::catch_unwind(run).is_err() {
            fail(shared, &StorageError::stopped("the log's writer panicked"), Vec::new());
        }
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let drain = self.wait(shared);
            let stopping = drain.stopping;
            let mut waiting = Vec::new();
            match self.write(shared, drain, &mut waiting) {
                Ok(()) => {
                    for done in waiting {
                        done(Ok(()));
                    }
                }
                Err(e) => {
                    tracing::error!(error = %e, dir = %self.dir.display(), "the log has stopped");
                    return fail(shared, &e, waiting);
                }
            }
            if stopping {
                return;
            }
        }
    }

    fn wait(&mut self, shared: &Shared) -> Drain {
        let mut state = shared.state.lock();
        let rested = Instant::now() + REST;
        loop {
            let plan = self.upkeep.plan(&state, self.segment.header.number, self.segment_bytes);
            if state.urgent || state.stopping || plan.is_due() {
                return self.take(&mut state, plan);
            }
            if state.queue.is_empty() && !self.unmarked() {
                state.parked = true;
                shared.work.wait(&mut state);
                state.parked = false;
                if !state.urgent && !state.stopping {
                    // Something that needs no sync: it waits for company.
                    shared.work.wait_for(&mut state, REST);
                    if !state.urgent && !state.queue.is_empty() {
                        return self.take(&mut state, plan);
                    }
                }
                continue;
            }
            if shared.work.wait_until(&mut state, rested).timed_out() && !state.urgent {
                return self.take(&mut state, plan);
            }
        }
    }

    fn take(&self, state: &mut State, upkeep: upkeep::Plan) -> Drain {
        Drain {
            commands: std::mem::take(&mut state.queue),
            stamp: state.next_stamp,
            urgent: std::mem::take(&mut state.urgent),
            stopping: state.stopping,
            upkeep,
        }
    }

    /// The last frame is durable, and nothing after it says so.
    fn unmarked(&self) -> bool {
        self.durable == self.sequence && self.sequence > self.upkeep.marked
    }

    fn write(&mut self, shared: &Shared, drain: Drain, waiting: &mut Vec<Done>) -> Result<(), StorageError> {
        let mut commands = drain.commands.into_iter();
        let mut result = Ok(());
        for command in commands.by_ref() {
            result = self.put_command(command, waiting);
            if result.is_err() {
                break;
            }
        }
        // Those behind a failure have to hear of it too.
        waiting.extend(commands.filter_map(Command::into_done));
        result?;
        let trim = self.put_upkeep(&drain.upkeep)?;
        let sync = drain.urgent || drain.stopping || trim.is_some();
        if self.open_frame.is_none() && self.buffer.is_empty() && (!sync || drain.stopping) && self.unmarked() {
            self.put_mark()?;
        }
        self.flush(shared)?;
        if sync {
            self.sync(shared)?;
        }
        self.publish(shared, drain.stamp);
        if let Some(oldest) = trim {
            self.trim(shared, oldest);
        }
        if drain.stopping && self.unmarked() {
            self.put_mark()?;
            self.flush(shared)?;
        }
        Ok(())
    }

    fn put_command(&mut self, command: Command, waiting: &mut Vec<Done>) -> Result<(), StorageError> {
        match command {
            Command::Append { group, entries, first_stamp, done } => {
                waiting.push(done);
                for (entry, stamp) in entries.iter().zip(first_stamp..) {
                    let at = self.put(Kind::Entry, 0, group.0, entry.index, entry.term, &entry.payload)?;
                    self.placed(group, Placed::Entry(entry.index), Place::Queued(stamp), at);
                }
            }
            Command::Meta { group, key, value, stamp, done } => {
                waiting.extend(done);
                let at = self.put(Kind::Meta, key, group.0, 0, 0, &value)?;
                self.placed(group, Placed::Meta(key), Place::Queued(stamp), at);
            }
            Command::Truncate { group, index } => {
                self.put(Kind::Truncate, 0, group.0, index, 0, &[])?;
            }
            Command::Purge { group, index } => {
                self.put(Kind::Purge, 0, group.0, index, 0, &[])?;
            }
            Command::Remove { group, done } => {
                waiting.push(done);
                self.put(Kind::Remove, 0, group.0, 0, 0, &[])?;
            }
            Command::Sync { done } => waiting.push(done),
        }
        Ok(())
    }

    pub(super) fn placed(&mut self, group: GroupId, what: Placed, was: Place, at: (u32, u32)) {
        self.placements.push(Placement { group, what, was, segment: at.0, offset: at.1 });
    }

    /// Adds a record to the buffer, in a frame of its own or the open one; returns its segment and offset.
    pub(super) fn put(
        &mut self,
        kind: Kind,
        key: u8,
        group: u64,
        index: u64,
        term: u64,
        payload: &[u8],
    ) -> Result<(u32, u32), StorageError> {
        let sealed_bytes = payload.len() + TAG_BYTES;
        let record_bytes = RECORD_HEADER_BYTES + sealed_bytes;
        if let Some((start, _)) = self.open_frame
            && (self.buffer.len() - start + record_bytes > FRAME_BODY_BYTES || !self.fits(record_bytes as u64))
        {
            self.close_frame();
        }
        if self.open_frame.is_none() {
            if self.buffer.len() > BUFFER_BYTES {
                self.write_buffer()?;
            }
            let frame_bytes = (FRAME_HEADER_BYTES + record_bytes) as u64;
            if !self.fits(frame_bytes) {
                self.rotate(frame_bytes)?;
            }
            self.open_frame = Some((self.buffer.len(), 0));
            self.buffer.resize(self.buffer.len() + FRAME_HEADER_BYTES, 0);
        }
        let offset = self.offset + self.buffer.len() as u64;
        let header = RecordHeader { kind, key, sealed_bytes: sealed_bytes as u32, group, index, term }.encode();
        self.buffer.extend_from_slice(&header);
        self.segment.key_for(kind).seal(record_nonce(offset), &header, payload, &mut self.buffer)?;
        if let Some((_, records)) = &mut self.open_frame {
            *records += 1;
        }
        let offset = u32::try_from(offset).map_err(|_| StorageError::invalid("a segment above 4 GiB"))?;
        Ok((self.segment.header.number, offset))
    }

    /// Whether so many more bytes, and the frame that ends the segment, have room.
    fn fits(&self, bytes: u64) -> bool {
        padded(self.offset + self.buffer.len() as u64 + bytes) + padded(END_FRAME_BYTES) <= self.segment.header.bytes
    }

    fn close_frame(&mut self) {
        let Some((start, records)) = self.open_frame.take() else { return };
        self.sequence += 1;
        let header = FrameHeader {
            crc: 0,
            body_bytes: 0,
            records,
            sequence: self.sequence,
            durable: self.durable,
            previous_crc: self.crc,
        };
        self.crc = FrameHeader::finish(&mut self.buffer[start..], &self.segment.header.salt, header);
        self.upkeep.marked = self.upkeep.marked.max(self.durable);
        let length = padded(self.buffer.len() as u64) as usize;
        self.buffer.resize(length, 0);
    }

    /// A frame without records, for what its header says.
    fn put_mark(&mut self) -> Result<(), StorageError> {
        if !self.fits(FRAME_HEADER_BYTES as u64) {
            self.rotate(FRAME_HEADER_BYTES as u64)?;
        }
        self.open_frame = Some((self.buffer.len(), 0));
        self.buffer.resize(self.buffer.len() + FRAME_HEADER_BYTES, 0);
        self.close_frame();
        // The mark itself holds nothing that could be missed.
        self.upkeep.marked = self.sequence;
        Ok(())
    }

    fn failed(&self, doing: &str, e: std::io::Error) -> StorageError {
        StorageError::io(format!("{doing} {}", self.segment.path.display()), e)
    }

    fn flush(&mut self, shared: &Shared) -> Result<(), StorageError> {
        self.close_frame();
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write_buffer()?;
        shared.counters.frames.store(self.sequence, Ordering::Relaxed);
        shared.counters.records.fetch_add(self.placements.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn write_buffer(&mut self) -> Result<(), StorageError> {
        faults::point("log.before_write")?;
        self.segment.file.write_at(self.offset, &self.buffer).map_err(|e| self.failed("writing", e))?;
        self.upkeep.written_bytes += self.buffer.len() as u64;
        self.unsynced = true;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        Ok(())
    }

    fn sync(&mut self, shared: &Shared) -> Result<(), StorageError> {
        let start = Instant::now();
        self.sync_segment()?;
        shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
        shared.counters.sync_ns.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        shared.counters.written_bytes.store(self.upkeep.written_bytes, Ordering::Relaxed);
        Ok(())
    }

    fn sync_segment(&mut self) -> Result<(), StorageError> {
        if self.unsynced {
            faults::point("log.before_sync")?;
            if !cfg!(feature = "broken-skip-fsync") {
                self.segment.file.sync_data().map_err(|e| self.failed("syncing", e))?;
            }
            faults::point("log.after_sync")?;
            self.unsynced = false;
        }
        self.durable = self.sequence;
        Ok(())
    }

    /// Goes on in a new segment with room for a frame of `frame_bytes`. The old one is durable before the new one is
    /// made, and ends with a record that names the new one before that is used: so a segment that is missing, or a
    /// header that is damaged, is never taken for the end of the log.
    fn rotate(&mut self, frame_bytes: u64) -> Result<(), StorageError> {
        self.close_frame();
        if !self.buffer.is_empty() {
            self.write_buffer()?;
        }
        self.sync_segment()?;
        let room = padded(frame_bytes) + SEGMENT_HEADER_BYTES as u64 + padded(END_FRAME_BYTES);
        let next = new_segment(self, self.segment_bytes.max(room.next_multiple_of(4_096)))?;
        end_segment(&self.segment, self.offset, self.sequence, self.crc, next.header.number)?;
        self.enter(next);
        Ok(())
    }

    pub(super) fn enter(&mut self, next: Arc<Segment>) {
        self.sequence = next.header.previous_sequence + 1;
        self.durable = self.sequence;
        self.upkeep.marked = self.sequence;
        self.crc = 0;
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.unsynced = false;
        self.segment = next.clone();
        self.upkeep.entered.push(next);
    }

    fn publish(&mut self, shared: &Shared, stamp: Stamp) {
        let mut state = shared.state.lock();
        let state = &mut *state;
        for segment in self.upkeep.entered.drain(..) {
            let number = segment.header.number;
            state.segments.insert(number, SegmentState { segment, live: 0, live_bytes: 0 });
        }
        for Placement { group, what, was, segment, offset } in self.placements.drain(..) {
            let Some(group) = state.groups.get_mut(&group) else { continue };
            let (place, payload_bytes) = match what {
                Placed::Entry(index) => match group.slot_mut(index) {
                    Some(slot) => (&mut slot.place, slot.payload_bytes as usize),
                    None => continue,
                },
                Placed::Meta(key) => match group.metas.get_mut(&key) {
                    Some(meta) => (&mut meta.place, meta.value.len()),
                    None => continue,
                },
            };
            if *place == was {
                State::release(&mut state.segments, was, payload_bytes);
                *place = Place::At { segment, offset };
                State::claim(&mut state.segments, segment, payload_bytes);
            }
        }
        state.written = state.written.max(stamp);
        state.evict(self.cache_bytes);
    }
}

/// After a failed write or sync nobody knows what is on the disk: nothing more is acknowledged until the log is opened
/// again and reads it.
fn fail(shared: &Shared, e: &StorageError, waiting: Vec<Done>) {
    let queue = {
        let mut state = shared.state.lock();
        state.failed = Some(StorageError::stopped(e.to_string()));
        std::mem::take(&mut state.queue)
    };
    for done in waiting.into_iter().chain(queue.into_iter().filter_map(Command::into_done)) {
        done(Err(e.clone()));
    }
}

/// A segment after the writer's current one. It must be synced up to the writer's offset.
fn new_segment(writer: &Writer, bytes: u64) -> Result<Arc<Segment>, StorageError> {
    let header = SegmentHeader {
        number: writer
            .segment
            .header
            .number
            .checked_add(1)
            .ok_or_else(|| StorageError::invalid("segment numbers end"))?,
        bytes,
        store_id: writer.store_id,
        salt: random_salt()?,
        previous_end: writer.offset,
        previous_sequence: writer.sequence,
        oldest: writer.oldest,
    };
    Ok(Arc::new(Segment::create(&*writer.disk, &writer.dir, &writer.data_key, header)?))
}

pub(super) fn random_salt() -> Result<[u8; 32], StorageError> {
    let mut salt = [0; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| StorageError::refused("no random bytes"))?;
    Ok(salt)
}

/// Writes the frame that ends `segment` at `offset`, durably.
pub(super) fn end_segment(
    segment: &Segment,
    offset: u64,
    sequence: u64,
    previous_crc: u32,
    next: u32,
) -> Result<(), StorageError> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    let sealed_bytes = TAG_BYTES as u32;
    let record = RecordHeader { kind: Kind::End, key: 0, sealed_bytes, group: 0, index: u64::from(next), term: 0 };
    let record = record.encode();
    frame.extend_from_slice(&record);
    let nonce = record_nonce(offset + FRAME_HEADER_BYTES as u64);
    segment.key_for(Kind::End).seal(nonce, &record, &[], &mut frame)?;
    let header =
        FrameHeader { crc: 0, body_bytes: 0, records: 1, sequence: sequence + 1, durable: sequence, previous_crc };
    FrameHeader::finish(&mut frame, &segment.header.salt, header);
    let write = || {
        segment.file.write_at(offset, &frame)?;
        segment.file.sync_data()
    };
    write().map_err(|e| StorageError::io(format!("ending {}", segment.path.display()), e))
}
