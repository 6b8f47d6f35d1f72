//! Files that are written once, read as a whole and removed: each is there as it was written, or isn't there.
//!
//! `dir/STORE` is the store's header, `dir/files/NAME` a sealed file. A write goes to a temporary file that is synced, then
//! renamed, then the directory is synced; a crash leaves at most the temporary file, which the next opening removes.
//!
//! Not detected: a file that was removed by somebody else. Who uses the files knows which there must be.

use crate::disk::{Disk, LOCK_FILE};
use crate::error::StorageError;
use crate::seal::{KeyProvider, SEAL_BYTES, Sealer, StoreHeader};
use breakwater_types::faults;
use bytes::Bytes;
use parking_lot::RwLock;
use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const KIND: &str = "files";
const LABEL: &str = "breakwater files 1";
const FILES_DIR: &str = "files";
/// No name ends in it.
const TEMPORARY: &str = ".new";
const NAME_BYTES_MAX: usize = 128;
const FILE_BYTES_MAX: usize = 64 << 20;

pub struct SealedFiles {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    sealer: Sealer,
    /// A directory couldn't be synced: nobody knows what of it is durable.
    failed: RwLock<Option<StorageError>>,
    next_temporary: AtomicU64,
    /// Held for as long as the store is open.
    _lock: Box<dyn Any + Send + Sync>,
}

fn check_name(name: &str) -> Result<(), StorageError> {
    let ours = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !ours || name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(StorageError::invalid(format!("{name:.200?} is not a file's name here")));
    }
    Ok(())
}

impl SealedFiles {
    /// Opens or makes the store in `dir`. What was written before is durable when it returns. Blocks, as all of this does.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>, provider: &dyn KeyProvider) -> Result<Self, StorageError> {
        let failed = |e| StorageError::io(format!("opening {}", dir.display()), e);
        disk.create_dir_all(dir).map_err(failed)?;
        let lock = disk
            .lock(&dir.join(LOCK_FILE))
            .map_err(|e| StorageError::refused(format!("{} can't be locked: {e}", dir.display())))?;
        let mut header = StoreHeader::open(&*disk, dir, KIND, provider)?;
        let sealer = Sealer::new(&header, LABEL)?;
        let files = dir.join(FILES_DIR);
        disk.create_dir_all(&files).map_err(failed)?;
        for name in disk.list(&files).map_err(failed)? {
            if name.ends_with(TEMPORARY) {
                disk.remove(&files.join(name)).map_err(failed)?;
            }
        }
        // A file that was renamed just before a crash may not be durable yet, and looks as if it were.
        disk.sync_dir(&files).map_err(failed)?;
        header.set_initialized(&*disk, dir)?;
        let (failed, next_temporary) = (RwLock::default(), AtomicU64::new(0));
        Ok(SealedFiles { dir: files, disk, sealer, failed, next_temporary, _lock: lock })
    }

    /// All files and the length of what each of them keeps, as far as can be told without opening it.
    pub fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let failed = |e| StorageError::io(format!("listing {}", self.dir.display()), e);
        let mut found = Vec::new();
        for name in self.disk.list(&self.dir).map_err(failed)? {
            if check_name(&name).is_ok() {
                let size = self.disk.open(&self.dir.join(&name)).and_then(|file| file.size()).map_err(failed)?;
                found.push((name, size.saturating_sub(SEAL_BYTES as u64)));
            }
        }
        Ok(found)
    }

    /// Durable on return, in the place of what had this name. Where it fails, what had the name before may be there still.
    pub fn write(&self, name: &str, plain: &[u8]) -> Result<(), StorageError> {
        check_name(name)?;
        if let Some(e) = &*self.failed.read() {
            return Err(e.clone());
        }
        if plain.len() > FILE_BYTES_MAX {
            return Err(StorageError::invalid(format!("a file of {} bytes", plain.len())));
        }
        let sealed = self.sealer.seal(name.as_bytes(), plain)?;
        // Two that write the same don't write into each other's file.
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{name}.{number}{TEMPORARY}"));
        self.write_temporary(&temporary, &sealed).inspect_err(|_| {
            // What can't be removed now is removed by the next opening.
            let _ = self.disk.remove(&temporary);
        })?;
        self.name_durably(&temporary, &self.dir.join(name)).inspect_err(|e| {
            tracing::error!(error = %e, "the files' store has stopped");
            *self.failed.write() = Some(StorageError::stopped(e.to_string()));
        })
    }

    fn write_temporary(&self, path: &Path, sealed: &[u8]) -> Result<(), StorageError> {
        let failed = |e| StorageError::io(format!("writing {}", path.display()), e);
        faults::point("files.before_write")?;
        let file = self.disk.create(path, sealed.len() as u64).map_err(failed)?;
        file.write_at(0, sealed).map_err(failed)?;
        faults::point("files.before_sync")?;
        file.sync_data().map_err(failed)?;
        faults::point("files.before_rename")?;
        Ok(())
    }

    fn name_durably(&self, temporary: &Path, path: &Path) -> Result<(), StorageError> {
        let failed = |e| StorageError::io(format!("naming {}", path.display()), e);
        self.disk.rename(temporary, path).map_err(failed)?;
        faults::point("files.after_rename")?;
        self.disk.sync_dir(&self.dir).map_err(failed)
    }

    /// None where there is none of this name; `Corrupt` where it isn't what was written.
    pub fn read(&self, name: &str) -> Result<Option<Bytes>, StorageError> {
        check_name(name)?;
        let path = self.dir.join(name);
        let failed = |e| StorageError::io(format!("reading {}", path.display()), e);
        let corrupt = |what: String| StorageError::corrupt(path.display().to_string(), what);
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let size = file.size().map_err(failed)?;
        if size > (FILE_BYTES_MAX + SEAL_BYTES) as u64 {
            return Err(corrupt(format!("it has {size} bytes")));
        }
        let mut sealed = vec![0; size as usize];
        file.read_at(0, &mut sealed).map_err(failed)?;
        match self.sealer.open(name.as_bytes(), &sealed.into()) {
            Ok(plain) => Ok(Some(plain)),
            Err(StorageError::Corrupt { what, .. }) => Err(corrupt(what)),
            Err(e) => Err(e),
        }
    }

    /// Whether it was there. After a crash it may be there again.
    pub fn remove(&self, name: &str) -> Result<bool, StorageError> {
        check_name(name)?;
        let path = self.dir.join(name);
        match self.disk.remove(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(StorageError::io(format!("removing {}", path.display()), e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{CrashStyle, DiskFaults, FaultDisk, OsDisk};
    use crate::seal::DevKeyFile;
    use crate::testing::TempDir;

    fn provider(dir: &TempDir) -> DevKeyFile {
        DevKeyFile::open_or_create(dir.path().join("root.key")).unwrap()
    }

    #[test]
    fn files_are_as_written_until_they_are_removed() {
        let dir = TempDir::new();
        let open = || SealedFiles::open(&dir.path().join("files"), Arc::new(OsDisk), &provider(&dir)).unwrap();
        let files = open();
        files.write("a", b"one").unwrap();
        files.write("a", b"two!").unwrap();
        files.write("b", b"").unwrap();
        drop(files);
        let files = open();
        let mut listed = files.list().unwrap();
        listed.sort();
        assert_eq!(listed, [("a".to_owned(), 4), ("b".to_owned(), 0)]);
        assert_eq!(files.read("a").unwrap().unwrap(), "two!");
        assert_eq!(files.read("b").unwrap().unwrap(), "");
        assert!(files.read("c").unwrap().is_none());
        assert!(files.remove("a").unwrap() && !files.remove("a").unwrap());
        assert!(files.read("a").unwrap().is_none());
        for bad in ["", "../x", "a.new", "A", "a/b", &"a".repeat(129)] {
            assert!(files.write(bad, b"").is_err() && files.read(bad).is_err() && files.remove(bad).is_err(), "{bad}");
        }
        let plain = std::fs::read(dir.path().join("files/files/b")).unwrap();
        assert_eq!(plain.len(), SEAL_BYTES);
    }

    #[test]
    fn no_flipped_bit_and_no_exchanged_file_passes() {
        let dir = TempDir::new();
        let disk = FaultDisk::new(1);
        let root = dir.path().join("files");
        let files = SealedFiles::open(&root, Arc::new(disk.clone()), &provider(&dir)).unwrap();
        files.write("a", b"what was written").unwrap();
        files.write("b", b"something else..").unwrap();
        let path = root.join("files/a");
        for at in 0..16 + SEAL_BYTES {
            disk.flip(&path, at).unwrap();
            assert!(files.read("a").unwrap_err().is_corrupt(), "byte {at}");
            disk.flip(&path, at).unwrap();
        }
        assert!(files.read("a").is_ok());
        disk.rename(&root.join("files/b"), &path).unwrap();
        assert!(files.read("a").unwrap_err().is_corrupt());
        disk.cut(&path, 3).unwrap();
        assert!(files.read("a").unwrap_err().is_corrupt());
    }

    /// In each style of crash, many times: what was acknowledged is there, and nothing is there in part.
    #[test]
    fn a_loss_of_power_loses_nothing_acknowledged_and_leaves_nothing_torn() {
        let dir = TempDir::new();
        let provider = provider(&dir);
        for style in [CrashStyle::LoseUnsynced, CrashStyle::Torn, CrashStyle::Reordered] {
            for seed in 0..20 {
                let disk = FaultDisk::new(seed);
                let root = dir.path().join(format!("{style:?}-{seed}"));
                let open = || SealedFiles::open(&root, Arc::new(disk.clone()), &provider).unwrap();
                let files = open();
                files.write("kept", b"acknowledged").unwrap();
                disk.set_faults(DiskFaults { sync_fails: true, ..DiskFaults::default() });
                assert!(files.write("lost", &[7; 5_000]).is_err());
                disk.crash(style);
                drop(files);
                let files = open();
                assert_eq!(files.read("kept").unwrap().unwrap(), "acknowledged");
                assert!(files.read("lost").unwrap().is_none());
                assert_eq!(files.list().unwrap().len(), 1, "no temporary file");
            }
        }
    }

    #[test]
    fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
        let dir = TempDir::new();
        let disk = FaultDisk::new(1);
        let files = SealedFiles::open(&dir.path().join("f"), Arc::new(disk.clone()), &provider(&dir)).unwrap();
        disk.set_faults(DiskFaults { free_bytes: Some(1_000), ..DiskFaults::default() });
        assert!(files.write("a", &[1; 2_000]).is_err());
        assert!(files.list().unwrap().is_empty());
        disk.set_faults(DiskFaults::default());
        files.write("a", &[1; 2_000]).unwrap();
    }
}
