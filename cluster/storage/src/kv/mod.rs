//! Ordered key-value stores: the trait, three engines behind it, the layer that seals their values.

mod batch;
mod engine;
mod fjall_engine;
mod held_back;
mod memory;
mod overlay;
mod sealed;
mod sled_engine;
mod store;

pub use batch::{Batch, BatchOp, Direction, KeyRange};
pub use engine::{Engine, KEY_BYTES_MAX, KeyValue, Scan, SnapshotView};
pub use memory::{MemoryEngine, MemoryFaults};
pub use store::{EngineKind, Store, StoreOptions};
