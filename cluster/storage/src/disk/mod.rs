//! The file operations that a log needs, so that a test can lose what wasn't synced.

mod fault;
mod held_back;
mod os;

pub use fault::{CrashStyle, DiskFaults, FaultDisk};
pub use held_back::HeldBackDisk;
pub use os::OsDisk;

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) const LOCK_FILE: &str = "LOCK";

/// A file system. Names are durable after `sync_dir`, bytes after `DiskFile::sync_data`.
pub trait Disk: Send + Sync + 'static {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// A new file of `bytes` zeros, its space reserved, its length durable after `sync_data`. To be written from its
    /// beginning to its end: what is behind a write may be overwritten with zeros.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// `path` has these bytes or its old ones, also after a crash; durable on return.
    fn replace(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Durable after `sync_dir`: `to` is then what `from` was, also where there was one before.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Held until the guard is dropped; refused while another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>>;
}

pub trait DiskFile: Send + Sync {
    fn size(&self) -> io::Result<u64>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills all of `out` or fails.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    fn sync_data(&self) -> io::Result<()>;
}
