//! Tests and measurements that cross nodes. Start reading at `tests/` (chaos) and `clients/` (official clients).

pub mod measure;
