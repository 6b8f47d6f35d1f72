//! The machine's own file system.

use super::{Disk, DiskFile};
use std::any::Any;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

struct OsFile {
    file: File,
    /// Of a file that this process created, and writes from its beginning to its end.
    ahead: Option<Ahead>,
}

/// Space that is only reserved costs each sync a commit of the file system's journal, which then records that the
/// space is written; space that has been written before doesn't. So zeros go ahead of what is written.
struct Ahead {
    bytes: u64,
    zeroed: AtomicU64,
}

const AHEAD_BYTES: usize = 256 << 10;
static ZEROS: [u8; AHEAD_BYTES] = [0; AHEAD_BYTES];

impl Ahead {
    /// To be called after each write, with its end. Nothing was ever written behind the end of the zeros.
    fn go(&self, file: &File, end: u64) -> io::Result<()> {
        if end <= self.zeroed.load(Ordering::Relaxed) || end >= self.bytes {
            return Ok(());
        }
        let count = usize::try_from(self.bytes - end).map_or(AHEAD_BYTES, |left| left.min(AHEAD_BYTES));
        file.write_all_at(&ZEROS[..count], end)?;
        self.zeroed.store(end + count as u64, Ordering::Relaxed);
        Ok(())
    }
}

impl Disk for OsDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(dir)?;
        // The entry in the parent; parents above it are the installation's affair.
        dir.parent()
            .map_or(Ok(()), |parent| self.sync_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        std::fs::read_dir(dir)?
            .map(|entry| {
                entry?.file_name().into_string().map_err(|name| io::Error::other(format!("a strange name {name:?}")))
            })
            .collect()
    }
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) => {}
            // A file system that can't reserve: a full disk then shows at the write.
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes)?,
            Err(e) => {
                // A full disk must not keep half a file.
                std::fs::remove_file(path)?;
                return Err(e.into());
            }
        }
        let ahead = Some(Ahead { bytes, zeroed: AtomicU64::new(0) });
        Ok(Arc::new(OsFile { file, ahead }))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OsFile { file: OpenOptions::new().read(true).write(true).open(path)?, ahead: None }))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
    fn replace(&self, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(temporary, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Any + Send + Sync>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::Error::other("another process has it open")),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }
}

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.ahead.as_ref().map_or(Ok(()), |ahead| ahead.go(&self.file, offset + bytes.len() as u64))
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
