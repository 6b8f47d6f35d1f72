//! One file of the log, and its keys.

use super::format::{
    BadHeader, FRAME_HEADER_BYTES, FrameHeader, Kind, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES,
    SegmentHeader, frame_crc, padded, record_nonce,
};
use crate::disk::{Disk, DiskFile};
use crate::error::StorageError;
use crate::seal::{DataKey, SealKey, TAG_BYTES};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) key: SealKey,
    /// For the one record that closes the segment: it may be written where a torn record was before, so it needs
    /// a key of its own.
    end_key: SealKey,
}

const PREFIX: &str = "log-";
const SUFFIX: &str = ".seg";

pub(super) fn file_name(number: u32) -> String {
    format!("{PREFIX}{number:08x}{SUFFIX}")
}

pub(super) fn number_of(name: &str) -> Option<u32> {
    let hex = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    u32::from_str_radix(hex, 16).ok().filter(|number| file_name(*number) == name)
}

impl Segment {
    fn keys(data_key: &DataKey, salt: &[u8; 32]) -> (SealKey, SealKey, SealKey) {
        (
            data_key.derive("breakwater log records 1", salt),
            data_key.derive("breakwater log end 1", salt),
            data_key.derive("breakwater log header 1", salt),
        )
    }

    /// A new segment, durable with its name.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        data_key: &DataKey,
        header: SegmentHeader,
    ) -> Result<Self, StorageError> {
        let path = dir.join(file_name(header.number));
        let (key, end_key, header_key) = Self::keys(data_key, &header.salt);
        let encoded = header.encode(&header_key)?;
        let create = || {
            let file = disk.create(&path, header.bytes)?;
            file.write_at(0, &encoded)?;
            file.sync_data()?;
            disk.sync_dir(dir)?;
            Ok(file)
        };
        let file = create().map_err(|e| StorageError::io(format!("creating {}", path.display()), e))?;
        Ok(Segment { header, path, file, key, end_key })
    }

    /// `Corrupt` where the header isn't what was written.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        data_key: &DataKey,
        store_id: &[u8; 16],
        number: u32,
    ) -> Result<Self, StorageError> {
        let path = dir.join(file_name(number));
        let failed = |e| StorageError::io(format!("reading {}", path.display()), e);
        let corrupt = |what: &str| StorageError::corrupt(path.display().to_string(), what);
        let file = disk.open(&path).map_err(failed)?;
        let size = file.size().map_err(failed)?;
        if size < SEGMENT_HEADER_BYTES as u64 {
            return Err(corrupt("cut off"));
        }
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
        file.read_at(0, &mut bytes).map_err(failed)?;
        let header = SegmentHeader::decode(&bytes).map_err(|bad| match bad {
            BadHeader::Damaged(what) => corrupt(what),
            BadHeader::Format(format) => {
                StorageError::refused(format!("{} has the unknown format {format}", path.display()))
            }
        })?;
        let (key, end_key, header_key) = Self::keys(data_key, &header.salt);
        if header.number != number || header.store_id != *store_id || !header.authentic(&bytes, &header_key) {
            return Err(corrupt("its header belongs to another segment or store"));
        }
        if size < header.bytes {
            return Err(corrupt("cut off"));
        }
        Ok(Segment { header, path, file, key, end_key })
    }

    pub(super) fn key_for(&self, kind: Kind) -> &SealKey {
        if kind == Kind::End { &self.end_key } else { &self.key }
    }

    pub(super) fn corrupt(&self, offset: u64, what: &str) -> StorageError {
        StorageError::corrupt(format!("{} at {offset}", self.path.display()), what)
    }

    /// The payload of a record that lies in `bytes`, its header first.
    pub(super) fn open_record(&self, offset: u64, bytes: &mut [u8]) -> Result<(RecordHeader, Bytes), StorageError> {
        let header = RecordHeader::decode(bytes).ok_or_else(|| self.corrupt(offset, "not a record"))?;
        if bytes.len() != RECORD_HEADER_BYTES + header.sealed_bytes as usize {
            return Err(self.corrupt(offset, "a record of a wrong length"));
        }
        let (aad, sealed) = bytes.split_at_mut(RECORD_HEADER_BYTES);
        match self.key_for(header.kind).open(record_nonce(offset), aad, sealed) {
            Some(payload) => Ok((header, Bytes::copy_from_slice(payload))),
            None => Err(self.corrupt(offset, "a record that doesn't authenticate")),
        }
    }

    /// Reads an entry, which must be the one that is asked for.
    pub(super) fn read_entry(
        &self,
        offset: u32,
        payload_bytes: u32,
        group: u64,
        index: u64,
        term: u64,
    ) -> Result<Bytes, StorageError> {
        let offset = u64::from(offset);
        let mut bytes = vec![0; RECORD_HEADER_BYTES + payload_bytes as usize + TAG_BYTES];
        self.file.read_at(offset, &mut bytes).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.corrupt(offset, "cut off"),
            _ => StorageError::io(format!("reading {}", self.path.display()), e),
        })?;
        let (header, payload) = self.open_record(offset, &mut bytes)?;
        let right = matches!(header.kind, Kind::Entry | Kind::Moved)
            && (header.group, header.index, header.term) == (group, index, term);
        if right { Ok(payload) } else { Err(self.corrupt(offset, "another entry")) }
    }
}

/// A frame whose checksum matches.
pub(super) struct Frame<'a> {
    pub(super) header: FrameHeader,
    pub(super) body: &'a [u8],
}

/// Reads a segment front to back through a window, so that its memory is bounded by the longest frame.
pub(super) struct SegmentReader<'a> {
    segment: &'a Segment,
    window: Vec<u8>,
    window_offset: u64,
}

const WINDOW_BYTES: u64 = 1 << 20;

impl<'a> SegmentReader<'a> {
    pub(super) fn new(segment: &'a Segment) -> Self {
        SegmentReader { segment, window: Vec::new(), window_offset: 0 }
    }

    fn bytes(&mut self, offset: u64, length: u64) -> Result<Option<&[u8]>, StorageError> {
        let end = self.segment.header.bytes;
        if offset.checked_add(length).is_none_or(|to| to > end) {
            return Ok(None);
        }
        let have = self.window_offset..self.window_offset + self.window.len() as u64;
        if offset < have.start || offset + length > have.end {
            let length = length.max(WINDOW_BYTES).min(end - offset);
            self.window.clear();
            self.window.resize(length as usize, 0);
            self.window_offset = offset;
            self.segment
                .file
                .read_at(offset, &mut self.window)
                .map_err(|e| StorageError::io(format!("reading {}", self.segment.path.display()), e))?;
        }
        let start = (offset - self.window_offset) as usize;
        Ok(Some(&self.window[start..start + length as usize]))
    }

    /// The whole frame at `offset`, or `None` if there is none that is valid.
    pub(super) fn frame(&mut self, offset: u64) -> Result<Option<Frame<'_>>, StorageError> {
        let salt = self.segment.header.salt;
        let Some(header) = self.bytes(offset, FRAME_HEADER_BYTES as u64)?.and_then(FrameHeader::decode) else {
            return Ok(None);
        };
        let length = FRAME_HEADER_BYTES as u64 + u64::from(header.body_bytes);
        match self.bytes(offset, length)? {
            Some(frame) if frame_crc(&salt, frame) == header.crc => {
                Ok(Some(Frame { header, body: &frame[FRAME_HEADER_BYTES..] }))
            }
            _ => Ok(None),
        }
    }

    /// The next offset from `from` on at which a valid frame begins, with its header.
    pub(super) fn find_frame(&mut self, from: u64) -> Result<Option<(u64, FrameHeader)>, StorageError> {
        let mut offset = padded(from);
        while offset + (FRAME_HEADER_BYTES as u64) <= self.segment.header.bytes {
            if let Some(frame) = self.frame(offset)? {
                return Ok(Some((offset, frame.header)));
            }
            offset += 8;
        }
        Ok(None)
    }
}
