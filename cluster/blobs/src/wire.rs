//! What holders ask each other. The order of variants is on the wire.

use crate::model::{CHUNK_BYTES_MAX, ChunkId, ChunkRef, Digest};
use breakwater_meta::records::{from_stored, to_stored};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A chunk and what is around it.
const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES_MAX + 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    Store { id: ChunkId, sha256: Digest, data: Bytes },
    Fetch(ChunkRef),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// Durably.
    Stored,
    Chunk(Bytes),
    Missing,
    /// There is something else under this name.
    Damaged,
    /// Not now.
    Busy(String),
}

pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, String> {
    to_stored(message).map(Bytes::from)
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(format!("a message of {} bytes", bytes.len()));
    }
    from_stored(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), ours: bool) {
            if ours && !bytes.is_empty() {
                bytes[0] = 1;
            }
            if let Ok(request) = decode::<Request>(&bytes) {
                prop_assert_eq!(decode::<Request>(&encode(&request).unwrap()).unwrap(), request);
            }
            let _ = decode::<Reply>(&bytes);
        }
    }

    #[test]
    fn the_largest_chunk_passes_and_nothing_beyond() {
        let data = Bytes::from(vec![1; CHUNK_BYTES_MAX]);
        let message = encode(&Request::Store { id: ChunkId(u128::MAX), sha256: [9; 32], data }).unwrap();
        assert!(decode::<Request>(&message).is_ok());
        assert!(decode::<Request>(&[1; CHUNK_BYTES_MAX + 2_000]).is_err());
    }
}
