//! Bytes of segments, frames and records. All numbers are little-endian.
//!
//! Segment: a header in the first 4 KiB, then frames, each at a multiple of 8.
//! Frame: `magic 4 | crc 4 | body length 4 | records 4 | sequence 8 | durable 8 | crc of the frame before 4 | 0 4`,
//! then its records. `durable` is the highest sequence that was on the disk when the frame was made.
//! Record: `kind 1 | key 1 | 0 2 | sealed length 4 | group 8 | index 8 | term 8`, then the sealed payload; the record's
//! header is authenticated with it, and the nonce is the record's offset.

use crate::seal::{SealKey, TAG_BYTES};

pub(super) const SEGMENT_MAGIC: &[u8; 8] = b"BWLOGSEG";
pub(super) const SEGMENT_FORMAT: u32 = 1;
/// Frames begin here: the header shares its block with nothing that is written later.
pub(super) const SEGMENT_HEADER_BYTES: usize = 4_096;
const SEGMENT_FIELDS_BYTES: usize = 104;

const FRAME_MAGIC: u32 = 0x464c_5742;
pub(super) const FRAME_HEADER_BYTES: usize = 40;
pub(super) const RECORD_HEADER_BYTES: usize = 32;
/// What the last frame of a segment needs, kept free for it.
pub(super) const END_FRAME_BYTES: u64 = (FRAME_HEADER_BYTES + RECORD_HEADER_BYTES + TAG_BYTES) as u64;
/// Bodies are at most this, but for a single record that is longer.
pub(super) const FRAME_BODY_BYTES: usize = 1 << 20;

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Damaged(&'static str),
    /// Whole, and of a format that this build doesn't know.
    Format(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) store_id: [u8; 16],
    pub(super) salt: [u8; 32],
    /// Where the frames of the segment before end, and the last of their sequence numbers; 0 for the first segment.
    pub(super) previous_end: u64,
    pub(super) previous_sequence: u64,
    /// The oldest segment that was needed when this one was made.
    pub(super) oldest: u32,
}

impl SegmentHeader {
    pub(super) fn encode(&self, header_key: &SealKey) -> Result<Vec<u8>, crate::StorageError> {
        let mut out = self.fields();
        let mut tag = Vec::new();
        header_key.seal([0; 12], &out, &[], &mut tag)?;
        out.extend_from_slice(&tag);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(SEGMENT_HEADER_BYTES, 0);
        Ok(out)
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = SEGMENT_MAGIC.to_vec();
        out.extend_from_slice(&SEGMENT_FORMAT.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
        out.extend_from_slice(&self.store_id);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.previous_end.to_le_bytes());
        out.extend_from_slice(&self.previous_sequence.to_le_bytes());
        out.extend_from_slice(&self.oldest.to_le_bytes());
        out.resize(SEGMENT_FIELDS_BYTES, 0);
        out
    }

    /// The header, or what is wrong with it. Its tag is checked by `authentic`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadHeader> {
        let end = SEGMENT_FIELDS_BYTES + TAG_BYTES;
        if bytes.len() < SEGMENT_HEADER_BYTES {
            return Err(BadHeader::Damaged("its header is cut off"));
        }
        if &bytes[..8] != SEGMENT_MAGIC || u32_at(bytes, end) != crc32fast::hash(&bytes[..end]) {
            return Err(BadHeader::Damaged("its header's checksum doesn't match"));
        }
        if u32_at(bytes, 8) != SEGMENT_FORMAT {
            return Err(BadHeader::Format(u32_at(bytes, 8)));
        }
        let mut store_id = [0; 16];
        store_id.copy_from_slice(&bytes[24..40]);
        let mut salt = [0; 32];
        salt.copy_from_slice(&bytes[40..72]);
        Ok(SegmentHeader {
            number: u32_at(bytes, 12),
            bytes: u64_at(bytes, 16),
            store_id,
            salt,
            previous_end: u64_at(bytes, 72),
            previous_sequence: u64_at(bytes, 80),
            oldest: u32_at(bytes, 88),
        })
    }

    pub(super) fn authentic(&self, bytes: &[u8], header_key: &SealKey) -> bool {
        let mut tag = bytes[SEGMENT_FIELDS_BYTES..SEGMENT_FIELDS_BYTES + TAG_BYTES].to_vec();
        header_key.open([0; 12], &bytes[..SEGMENT_FIELDS_BYTES], &mut tag).is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) crc: u32,
    pub(super) body_bytes: u32,
    pub(super) records: u32,
    pub(super) sequence: u64,
    pub(super) durable: u64,
    pub(super) previous_crc: u32,
}

impl FrameHeader {
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FRAME_HEADER_BYTES || u32_at(bytes, 0) != FRAME_MAGIC {
            return None;
        }
        Some(FrameHeader {
            crc: u32_at(bytes, 4),
            body_bytes: u32_at(bytes, 8),
            records: u32_at(bytes, 12),
            sequence: u64_at(bytes, 16),
            durable: u64_at(bytes, 24),
            previous_crc: u32_at(bytes, 32),
        })
    }

    /// Fills in the header at the front of `frame`, whose body is complete, and returns its checksum.
    pub(super) fn finish(frame: &mut [u8], salt: &[u8; 32], mut header: FrameHeader) -> u32 {
        header.body_bytes = (frame.len() - FRAME_HEADER_BYTES) as u32;
        frame[0..4].copy_from_slice(&FRAME_MAGIC.to_le_bytes());
        frame[8..12].copy_from_slice(&header.body_bytes.to_le_bytes());
        frame[12..16].copy_from_slice(&header.records.to_le_bytes());
        frame[16..24].copy_from_slice(&header.sequence.to_le_bytes());
        frame[24..32].copy_from_slice(&header.durable.to_le_bytes());
        frame[32..36].copy_from_slice(&header.previous_crc.to_le_bytes());
        frame[36..40].fill(0);
        let crc = frame_crc(salt, frame);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    pub(super) fn frame_bytes(&self) -> u64 {
        padded(FRAME_HEADER_BYTES as u64 + u64::from(self.body_bytes))
    }
}

/// Salted, so that what another segment left in the same blocks is never taken for a frame of this one.
pub(super) fn frame_crc(salt: &[u8; 32], frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(salt);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

pub(super) fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(8)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entry,
    Meta,
    /// Entries after `index` are gone.
    Truncate,
    /// Entries up to `index` are gone.
    Purge,
    Remove,
    /// An entry of an older segment, repeated so that the segment can go.
    Moved,
    /// Segments before number `index` are no longer needed.
    Trim,
    /// The log goes on in segment number `index`.
    End,
}

impl Kind {
    const ALL: [(Kind, u8); 8] = [
        (Kind::Entry, 1),
        (Kind::Meta, 2),
        (Kind::Truncate, 3),
        (Kind::Purge, 4),
        (Kind::Remove, 5),
        (Kind::Moved, 6),
        (Kind::Trim, 7),
        (Kind::End, 8),
    ];
    fn byte(self) -> u8 {
        match self {
            Kind::Entry => 1,
            Kind::Meta => 2,
            Kind::Truncate => 3,
            Kind::Purge => 4,
            Kind::Remove => 5,
            Kind::Moved => 6,
            Kind::Trim => 7,
            Kind::End => 8,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) key: u8,
    pub(super) sealed_bytes: u32,
    pub(super) group: u64,
    pub(super) index: u64,
    pub(super) term: u64,
}

impl RecordHeader {
    pub(super) fn encode(&self) -> [u8; RECORD_HEADER_BYTES] {
        let mut out = [0; RECORD_HEADER_BYTES];
        out[0] = self.kind.byte();
        out[1] = self.key;
        out[4..8].copy_from_slice(&self.sealed_bytes.to_le_bytes());
        out[8..16].copy_from_slice(&self.group.to_le_bytes());
        out[16..24].copy_from_slice(&self.index.to_le_bytes());
        out[24..32].copy_from_slice(&self.term.to_le_bytes());
        out
    }
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < RECORD_HEADER_BYTES {
            return None;
        }
        let (kind, _) = Kind::ALL.into_iter().find(|(_, byte)| *byte == bytes[0])?;
        Some(RecordHeader {
            kind,
            key: bytes[1],
            sealed_bytes: u32_at(bytes, 4),
            group: u64_at(bytes, 8),
            index: u64_at(bytes, 16),
            term: u64_at(bytes, 24),
        })
    }
}

/// Unique for a segment's key: an offset of a segment is written once, because a log that is opened again goes on in
/// a new segment with a new salt, and a log that failed to write doesn't write again.
pub(super) fn record_nonce(offset: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&offset.to_le_bytes());
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::DataKey;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_decode_to_something_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            let _ = SegmentHeader::decode(&bytes);
            let _ = FrameHeader::decode(&bytes).map(|header| header.frame_bytes());
            let _ = RecordHeader::decode(&bytes);
        }

        #[test]
        fn records_read_back(key: u8, sealed_bytes: u32, group: u64, index: u64, term: u64, kind in 0usize..8) {
            let header = RecordHeader { kind: Kind::ALL[kind].0, key, sealed_bytes, group, index, term };
            prop_assert_eq!(RecordHeader::decode(&header.encode()), Some(header));
        }

        #[test]
        fn a_changed_segment_header_does_not_read_back(number: u32, bytes: u64, salt: [u8; 32], at in 0usize..124) {
            let key = DataKey::generate().unwrap().derive("test", &salt);
            let header = SegmentHeader {
                number, bytes, store_id: [3; 16], salt, previous_end: 5, previous_sequence: 7, oldest: 1,
            };
            let mut encoded = header.encode(&key).unwrap();
            let decoded = SegmentHeader::decode(&encoded);
            prop_assert_eq!(decoded.as_ref(), Ok(&header));
            prop_assert!(header.authentic(&encoded, &key));
            encoded[at] ^= 1;
            prop_assert!(SegmentHeader::decode(&encoded).is_err());
            prop_assert!(at >= 120 || !header.authentic(&encoded, &key));
        }
    }
}
