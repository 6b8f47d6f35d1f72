//! Opening a log: which segments there are, what they hold, where they end.

use super::LogOptions;
use super::format::{FrameHeader, Kind, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::group::{Group, Meta, Place, Slot};
use super::segment::{Frame, Segment, SegmentReader, number_of};
use super::state::{SegmentState, State};
use super::upkeep::Upkeep;
use super::writer::{Writer, end_segment, random_salt};
use crate::disk::Disk;
use crate::error::StorageError;
use crate::seal::{StoreHeader, TAG_BYTES};
use breakwater_types::GroupId;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

const SEGMENT_BYTES_MIN: u64 = 16 << 10;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Where the valid frames of a segment end.
#[derive(Clone, Copy)]
struct End {
    offset: u64,
    sequence: u64,
    crc: u32,
    /// The segment says that another follows.
    closed: bool,
}

#[derive(Default)]
struct Replayed {
    entries: BTreeMap<u64, Slot>,
    metas: BTreeMap<u8, Meta>,
    purged: u64,
}

#[derive(Default)]
struct Replay {
    groups: HashMap<GroupId, Replayed>,
    oldest: u32,
}

impl Writer {
    pub(super) fn recover(dir: &Path, options: &LogOptions) -> Result<(State, Writer), StorageError> {
        if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&options.segment_bytes) {
            return Err(StorageError::invalid(format!("segments of {} bytes", options.segment_bytes)));
        }
        let disk = &*options.disk;
        let mut header = StoreHeader::open(disk, dir, "raft-log", &*options.provider)?;
        let (segments, end, replay) = replay(disk, dir, &header)?;
        let number = segments.last_key_value().map_or(0, |(number, _)| *number) + 1;
        let oldest = if replay.oldest == 0 { number } else { replay.oldest };
        let next = SegmentHeader {
            number,
            bytes: options.segment_bytes,
            store_id: header.store_id(),
            salt: random_salt()?,
            previous_end: end.map_or(0, |end| end.offset),
            previous_sequence: end.map_or(0, |end| end.sequence),
            oldest,
        };
        let next = Arc::new(Segment::create(disk, dir, header.data_key_ref(), next)?);
        if let (Some((_, last)), Some(end)) = (segments.last_key_value(), end) {
            end_segment(last, end.offset, end.sequence, end.crc, number)?;
        }
        header.set_initialized(disk, dir)?;
        remove_before(disk, dir, oldest)?;

        let mut state = state_of(segments, replay)?;
        state.segments.insert(number, SegmentState { segment: next.clone(), live: 0, live_bytes: 0 });
        let mut writer = Writer {
            disk: options.disk.clone(),
            dir: dir.to_owned(),
            store_id: header.store_id(),
            data_key: header.data_key()?,
            segment_bytes: options.segment_bytes,
            cache_bytes: options.cache_bytes,
            segment: next.clone(),
            buffer: Vec::new(),
            offset: 0,
            open_frame: None,
            sequence: 0,
            crc: 0,
            durable: 0,
            unsynced: false,
            oldest,
            placements: Vec::new(),
            upkeep: Upkeep::default(),
        };
        writer.enter(next);
        writer.upkeep.entered.clear();
        Ok((state, writer))
    }
}

type Segments = BTreeMap<u32, Arc<Segment>>;

fn replay(disk: &dyn Disk, dir: &Path, header: &StoreHeader) -> Result<(Segments, Option<End>, Replay), StorageError> {
    let listed = disk.list(dir).map_err(|e| StorageError::io(format!("listing {}", dir.display()), e))?;
    let mut numbers: Vec<u32> = listed.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let open = |number| Segment::open(disk, dir, header.data_key_ref(), &header.store_id(), number).map(Arc::new);
    let missing =
        |number| StorageError::corrupt(dir.join(super::segment::file_name(number)).display().to_string(), "missing");

    let Some(&newest) = numbers.last() else {
        if header.initialized() {
            return Err(StorageError::corrupt(dir.display().to_string(), "every log segment is missing"));
        }
        return Ok((Segments::new(), None, Replay::default()));
    };
    let last = match open(newest) {
        Ok(segment) => segment,
        Err(damage) if damage.is_corrupt() => {
            // A crash while it was made leaves such a segment, if nothing says that it was used.
            let unused = match newest.checked_sub(1).filter(|number| numbers.contains(number)) {
                Some(previous) => !scan(&*open(previous)?, &mut |_, _, _| Ok(()))?.closed,
                None => !header.initialized(),
            };
            if !unused {
                return Err(damage);
            }
            let path = dir.join(super::segment::file_name(newest));
            tracing::warn!(path = %path.display(), "removing a log segment that was never used");
            disk.remove(&path).map_err(|e| StorageError::io(format!("removing {}", path.display()), e))?;
            return replay(disk, dir, header);
        }
        Err(e) => return Err(e),
    };

    // Which was the oldest that is needed stands in the newest segment: in its header, or in what came later.
    let mut oldest = last.header.oldest;
    let end = scan(&last, &mut |_, record, _| {
        if record.kind == Kind::Trim {
            oldest = oldest.max(record.index as u32);
        }
        Ok(())
    })?;
    if end.closed {
        return Err(missing(newest + 1));
    }
    check_tail(&last, end)?;

    let mut replay = Replay { groups: HashMap::new(), oldest };
    let mut segments = Segments::new();
    for number in oldest..newest {
        if numbers.binary_search(&number).is_err() {
            return Err(missing(number));
        }
        segments.insert(number, open(number)?);
    }
    segments.insert(newest, last.clone());
    for (number, segment) in &segments {
        let found = scan_until(
            segment,
            segments.get(&(number + 1)).map(|next| next.header.previous_end),
            &mut |offset, record, bytes| replay.apply(segment, offset, record, bytes),
        )?;
        if let Some(next) = segments.get(&(number + 1))
            && (found.offset, found.sequence) != (next.header.previous_end, next.header.previous_sequence)
        {
            return Err(segment.corrupt(found.offset, "a damaged frame in front of a later segment"));
        }
    }
    // What is read here may so far be in the kernel's memory only; from now on it counts as durable.
    last.file.sync_data().map_err(|e| StorageError::io(format!("syncing {}", last.path.display()), e))?;
    Ok((segments, Some(end), replay))
}

type OnRecord<'a> = &'a mut dyn FnMut(u64, RecordHeader, &[u8]) -> Result<(), StorageError>;

fn scan(segment: &Segment, on_record: OnRecord<'_>) -> Result<End, StorageError> {
    scan_until(segment, None, on_record)
}

/// Every record of the valid frames, up to the first that isn't valid or to `until`.
fn scan_until(segment: &Segment, until: Option<u64>, on_record: OnRecord<'_>) -> Result<End, StorageError> {
    let mut reader = SegmentReader::new(segment);
    let mut end = End {
        offset: SEGMENT_HEADER_BYTES as u64,
        sequence: segment.header.previous_sequence + 1,
        crc: 0,
        closed: false,
    };
    while until.is_none_or(|until| end.offset < until) {
        let offset = end.offset;
        let Some(Frame { header, body }) = reader.frame(offset)? else { break };
        if header.sequence != end.sequence + 1 || header.previous_crc != end.crc {
            break;
        }
        let mut at = 0;
        for _ in 0..header.records {
            let record_offset = offset + (super::format::FRAME_HEADER_BYTES + at) as u64;
            let damaged = || segment.corrupt(record_offset, "an unreadable record in a valid frame");
            let record = body.get(at..).and_then(RecordHeader::decode).ok_or_else(damaged)?;
            let length = RECORD_HEADER_BYTES + record.sealed_bytes as usize;
            let bytes = body.get(at..at + length).ok_or_else(damaged)?;
            if record.kind == Kind::End {
                // A later segment exists, or is missing: the frame itself belongs to nothing.
                end.closed = true;
                return Ok(end);
            }
            on_record(record_offset, record, bytes)?;
            at += length;
        }
        end = End { offset: offset + header.frame_bytes(), sequence: header.sequence, crc: header.crc, closed: false };
    }
    Ok(end)
}

/// Behind the end of the last segment nothing may say that more of it was durable.
fn check_tail(segment: &Segment, end: End) -> Result<(), StorageError> {
    let mut reader = SegmentReader::new(segment);
    let mut from = end.offset;
    while let Some((offset, header)) = reader.find_frame(from)? {
        let FrameHeader { sequence, durable, .. } = header;
        if sequence > end.sequence && durable > end.sequence {
            return Err(segment.corrupt(end.offset, "a damaged frame that was durable"));
        }
        from = offset + 8;
    }
    if from != end.offset {
        tracing::info!(path = %segment.path.display(), offset = end.offset, "cut off what a crash left unfinished");
    }
    Ok(())
}

impl Replay {
    fn apply(
        &mut self,
        segment: &Segment,
        offset: u64,
        record: RecordHeader,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let id = GroupId(record.group);
        let place = Place::At {
            segment: segment.header.number,
            offset: u32::try_from(offset).map_err(|_| segment.corrupt(offset, "an offset above 4 GiB"))?,
        };
        if let Kind::Entry | Kind::Moved = record.kind {
            // Opened when it is read.
            let payload_bytes = record
                .sealed_bytes
                .checked_sub(TAG_BYTES as u32)
                .ok_or_else(|| segment.corrupt(offset, "a record of a wrong length"))?;
            let slot = Slot { term: record.term, payload_bytes, place };
            self.groups.entry(id).or_default().entries.insert(record.index, slot);
            return Ok(());
        }
        let (_, payload): (_, Bytes) = segment.open_record(offset, &mut bytes.to_vec())?;
        match record.kind {
            Kind::Meta => {
                let group = self.groups.entry(id).or_default();
                group.metas.insert(record.key, Meta { value: payload, place });
            }
            Kind::Truncate => {
                if let Some(group) = self.groups.get_mut(&id) {
                    group.entries.split_off(&record.index.saturating_add(1));
                }
            }
            Kind::Purge => {
                let group = self.groups.entry(id).or_default();
                group.entries = group.entries.split_off(&record.index.saturating_add(1));
                group.purged = group.purged.max(record.index);
            }
            Kind::Remove => {
                self.groups.remove(&id);
            }
            Kind::Trim | Kind::End | Kind::Entry | Kind::Moved => {}
        }
        Ok(())
    }
}

fn state_of(segments: Segments, replay: Replay) -> Result<State, StorageError> {
    let mut state = State::default();
    for (number, segment) in segments {
        state.segments.insert(number, SegmentState { segment, live: 0, live_bytes: 0 });
    }
    for (id, replayed) in replay.groups {
        let mut group = Group { metas: replayed.metas, purged: replayed.purged, ..Group::default() };
        group.first = replayed.entries.first_key_value().map_or(replayed.purged + 1, |(index, _)| *index);
        for (index, slot) in replayed.entries {
            if index != group.end() {
                let what = format!("{id}: entry {} is missing", group.end());
                return Err(StorageError::corrupt("the log", what));
            }
            if let Place::At { segment, .. } = slot.place {
                State::claim(&mut state.segments, segment, slot.payload_bytes as usize);
            }
            group.slots.push_back(slot);
        }
        for meta in group.metas.values() {
            if let Place::At { segment, .. } = meta.place {
                State::claim(&mut state.segments, segment, meta.value.len());
            }
        }
        state.groups.insert(id, group);
    }
    Ok(state)
}

fn remove_before(disk: &dyn Disk, dir: &Path, oldest: u32) -> Result<(), StorageError> {
    let failed = |e| StorageError::io(format!("removing old segments of {}", dir.display()), e);
    for name in disk.list(dir).map_err(failed)? {
        if number_of(&name).is_some_and(|number| number < oldest) {
            disk.remove(&dir.join(&name)).map_err(failed)?;
        }
    }
    Ok(())
}
