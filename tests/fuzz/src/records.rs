//! What nodes store in their logs and stores, and send to each other.

use breakwater_dynamodb::partition::command::Command;
use breakwater_dynamodb::partition::journal::JournalRecord;
use breakwater_dynamodb::partition::{ApplyResult, answer};
use breakwater_dynamodb::rpc::{self, PartitionAnswer, PartitionCall};
use breakwater_dynamodb::tables::TableRecord;
use breakwater_meta::Txn;
use breakwater_meta::records::{LeaderRecord, NodeRecord, from_stored};
use bytes::Bytes;

/// The first byte says what the rest is.
pub(crate) fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match kind {
        b'c' => {
            if let Ok(command) = Command::decode(&bytes) {
                for format in 1..=breakwater_types::formats::NEWEST {
                    assert_eq!(Command::decode(&command.encode(format)).as_ref(), Ok(&command));
                }
            }
        }
        b'j' => {
            if let Ok(record) = JournalRecord::decode(&bytes) {
                assert_eq!(JournalRecord::decode(&record.encode().into()).as_ref(), Ok(&record));
            }
        }
        b'a' => drop(answer::decode(&bytes)),
        b'r' => drop(ApplyResult::decode(&bytes)),
        b't' => drop(TableRecord::from_stored(&bytes)),
        b'n' => drop(from_stored::<NodeRecord>(&bytes)),
        b'l' => drop(from_stored::<LeaderRecord>(&bytes)),
        b'x' => drop(from_stored::<Txn>(&bytes)),
        b'q' => drop(rpc::decode::<PartitionCall>(&bytes)),
        b'p' => drop(rpc::decode::<PartitionAnswer>(&bytes)),
        _ => {}
    }
}
