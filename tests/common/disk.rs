//! A disk that fails on command, by the interface through which the cache writes and reads.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aiozfs::cache::{Disk, Folder, Handle, Listed, Stat};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This error (an errno), from then on.
    Errno(i32),
    /// This error, once.
    Once(i32),
    /// Only the first half of what is written gets there, and nobody is told.
    Torn,
    /// A file that is renamed keeps its old name, and nobody is told.
    LostRename,
    /// One bit of what is written is another, and nobody is told.
    Rot,
    /// One bit of what is read is another.
    Misread,
    /// The process is gone: nothing is done any more, and nobody is told.
    Dead,
}

impl Fault {
    pub const ALL: [Fault; 12] = [
        Fault::Errno(28), // ENOSPC
        Fault::Errno(30), // EROFS
        Fault::Errno(13), // EACCES
        Fault::Errno(5),  // EIO
        Fault::Errno(2),  // ENOENT: the directory has vanished
        Fault::Once(28),
        Fault::Once(2),
        Fault::Torn,
        Fault::LostRename,
        Fault::Rot,
        Fault::Misread,
        Fault::Dead,
    ];
}

#[derive(Default)]
struct Plan {
    /// The fault, and at which operation it comes.
    fault: Option<(Fault, u64)>,
    operations: AtomicU64,
    /// How long each operation takes.
    slowness: Mutex<Duration>,
}

/// A folder with faults.
pub struct FaultDisk {
    folder: Folder,
    plan: Arc<Plan>,
}

struct FaultFile {
    file: Box<dyn Handle>,
    plan: Arc<Plan>,
}

impl FaultDisk {
    pub fn good(folder: Folder) -> Self {
        Self {
            folder,
            plan: Arc::default(),
        }
    }

    /// The operation of this number fails.
    pub fn bad(folder: Folder, fault: Fault, at: u64) -> Self {
        let fault = Some((fault, at));
        Self {
            folder,
            plan: Arc::new(Plan {
                fault,
                ..Plan::default()
            }),
        }
    }

    /// Delays each operation from now on.
    pub fn slow_down(&self, by: Duration) {
        *self.plan.slowness.lock().expect("slowness") = by;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.plan.operations.load(Relaxed)
    }

    fn wrap(&self, file: Box<dyn Handle>) -> Box<dyn Handle> {
        let plan = self.plan.clone();
        Box::new(FaultFile { file, plan })
    }
}

impl Plan {
    /// Counts an operation; the fault that it has, if any.
    fn next(&self) -> io::Result<Option<Fault>> {
        let slowness = *self.slowness.lock().expect("slowness");
        if !slowness.is_zero() {
            thread::sleep(slowness);
        }
        let now = self.operations.fetch_add(1, Relaxed);
        match self.fault {
            Some((Fault::Errno(errno), at)) if now >= at => {
                Err(io::Error::from_raw_os_error(errno))
            }
            Some((Fault::Once(errno), at)) if now == at => Err(io::Error::from_raw_os_error(errno)),
            Some((Fault::Dead, at)) if now >= at => Ok(Some(Fault::Dead)),
            Some((fault, at)) if now == at => Ok(Some(fault)),
            _ => Ok(None),
        }
    }
}

/// What a process that is gone would have got.
fn gone<T>() -> io::Result<T> {
    Err(io::Error::other("the process is gone"))
}

impl Disk for FaultDisk {
    fn open(&self, path: &str) -> io::Result<Box<dyn Handle>> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            _ => Ok(self.wrap(self.folder.open(path)?)),
        }
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Handle>> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            _ => Ok(self.wrap(self.folder.create(path)?)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::LostRename | Fault::Dead) => Ok(()),
            _ => self.folder.rename(from, to),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => Ok(()),
            _ => self.folder.remove(path),
        }
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => Ok(()),
            _ => self.folder.remove_dir(path),
        }
    }

    fn make_dirs(&self, path: &str) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => Ok(()),
            _ => self.folder.make_dirs(path),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<Listed>> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            _ => self.folder.list(path),
        }
    }

    fn names(&self, path: &str) -> io::Result<Vec<String>> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            _ => self.folder.names(path),
        }
    }

    fn update(&self, path: &str, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            Some(Fault::Torn) => self.folder.update(path, &mut |before| {
                let mut after = change(before);
                after.truncate(after.len() / 2);
                after
            }),
            Some(Fault::Rot) => self.folder.update(path, &mut |before| {
                let mut after = change(before);
                after[0] ^= 1;
                after
            }),
            _ => self.folder.update(path, change),
        }
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send>>> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            _ => self.folder.try_lock(path),
        }
    }

    fn free(&self) -> io::Result<u64> {
        self.plan.next()?;
        self.folder.free()
    }
}

impl Handle for FaultFile {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        match self.plan.next()? {
            Some(Fault::Dead) => gone(),
            Some(Fault::Misread) => {
                let read = self.file.read_at(buffer, at)?;
                if let Some(byte) = buffer[..read].get_mut(read / 2) {
                    *byte ^= 1;
                }
                Ok(read)
            }
            _ => self.file.read_at(buffer, at),
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => Ok(()),
            Some(Fault::Torn) => self.file.write_at(&bytes[..bytes.len() / 2], at),
            Some(Fault::Rot) => {
                let mut bytes = bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                self.file.write_at(&bytes, at)
            }
            _ => self.file.write_at(bytes, at),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        self.plan.next()?;
        self.file.stat()
    }

    fn set_times(&self, written: i64, used: i64) -> io::Result<()> {
        match self.plan.next()? {
            Some(Fault::Dead) => Ok(()),
            _ => self.file.set_times(written, used),
        }
    }
}
