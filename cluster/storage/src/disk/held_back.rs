//! For tests of whole nodes: the machine's file system, but the end of the process is a loss of power.
//!
//! What isn't synced stays in memory, so `kill -9` loses all of it.

use super::{Disk, DiskFile, OsDisk};
use parking_lot::Mutex;
use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, Default)]
pub struct HeldBackDisk;

struct HeldBackFile {
    file: Arc<dyn DiskFile>,
    /// In order: later writes hide earlier ones.
    held: Mutex<Vec<(u64, Vec<u8>)>>,
}

fn hold_back(file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
    Arc::new(HeldBackFile { file, held: Mutex::default() })
}

impl Disk for HeldBackDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(dir)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.create(path, bytes).map(hold_back)
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open(path).map(hold_back)
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        OsDisk.read(path)
    }
    fn replace(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OsDisk.replace(temporary, path, bytes)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        OsDisk.lock(path)
    }
}

impl DiskFile for HeldBackFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.held.lock().push((offset, bytes.to_vec()));
        Ok(())
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let held = self.held.lock();
        self.file.read_at(offset, out)?;
        let end = offset + out.len() as u64;
        for (at, bytes) in held.iter() {
            let (from, to) = (offset.max(*at), end.min(at + bytes.len() as u64));
            if from < to {
                let source = &bytes[(from - at) as usize..(to - at) as usize];
                out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
            }
        }
        Ok(())
    }
    fn sync_data(&self) -> io::Result<()> {
        let mut held = self.held.lock();
        for (offset, bytes) in held.iter() {
            self.file.write_at(*offset, bytes)?;
        }
        self.file.sync_data()?;
        held.clear();
        Ok(())
    }
}
