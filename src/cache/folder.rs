//! A [`Disk`] in a directory that is private to its user.
//!
//! All files are below a directory named after the format, in the directory that the user names. It
//! belongs to the user alone (0700) and is held open: others who can write to the directories above can
//! move it away, but cannot put files of theirs in its place. Directories of other formats next to it
//! are discarded.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Advice, AtFlags, Dir, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::direct;
use super::disk::{Disk, Handle, Listed, Stat};
use super::private::make_private;

/// The format of the files, and the directory's name. Another format gets another number.
const FORMAT: &str = "v1";

const PRIVATE: Mode = Mode::RWXU;
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);

/// The directory of one format.
#[derive(Debug)]
pub struct Folder {
    root: OwnedFd,
}

impl Folder {
    /// Opens the cache below `dir`, which is created if it does not exist. Removes directories of other formats there.
    ///
    /// If other users have access, it is revoked.
    ///
    /// # Errors
    /// If it cannot be created or written, belongs to another user, or is reached over a symbolic link
    /// of another user; or if others have access that cannot be revoked. The message names the
    /// directory and the command that repairs it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(PRIVATE.bits()).create(dir)?;
        let above = open_ours(dir)?;
        match rustix::fs::mkdirat(&above, FORMAT, PRIVATE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let root = open_root(&above, dir)?;
        let us = rustix::process::geteuid().as_raw();
        make_private(root.as_fd(), &dir.join(FORMAT), us)?;
        let is_other = |name: &OsStr| {
            let number = name.as_bytes().strip_prefix(b"v");
            name != FORMAT
                && number.is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
        };
        for entry in fs::read_dir(dir)?.flatten() {
            let is_ours = |meta: fs::Metadata| meta.is_dir() && meta.uid() == us;
            if is_other(&entry.file_name()) && entry.metadata().is_ok_and(is_ours) {
                let path = entry.path();
                log::warn!("cache: {} has another format; discarded", path.display());
                // A directory that cannot be removed is tried again at the next start.
                let _ = fs::remove_dir_all(path);
            }
        }
        Ok(Self { root })
    }

    /// Opens the cache below `dir` to look at it: changes no file, directory or mode.
    ///
    /// # Errors
    /// If there is none, it belongs to another user, or others have access to it.
    pub fn open_as_it_is(dir: &Path) -> io::Result<Self> {
        let root = open_root(&open_ours(dir)?, dir)?;
        if rustix::fs::fstat(&root)?.st_mode & (Mode::RWXG | Mode::RWXO).bits() != 0 {
            let path = dir.join(FORMAT);
            let why = format!("other users have access to {}", path.display());
            return Err(refused(&why));
        }
        Ok(Self { root })
    }

    /// Whether there is a cache of this format below `dir`. Creates nothing.
    ///
    /// # Errors
    /// If that cannot be found out, for example because `dir` is a file or may not be searched.
    pub fn is_below(dir: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(dir.join(FORMAT)) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn open_dir(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
        Ok(rustix::fs::openat(&self.root, path, flags, Mode::empty())?)
    }

    fn open_as(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let fd = rustix::fs::openat(&self.root, path, flags | ALWAYS, PRIVATE_FILE)?;
        Ok(File::from(fd))
    }
}

/// Opens the directory that the user named. It and a link to it belong to this user or to root.
fn open_ours(dir: &Path) -> io::Result<OwnedFd> {
    let us = rustix::process::geteuid().as_raw();
    for meta in [fs::symlink_metadata(dir)?, fs::metadata(dir)?] {
        if meta.uid() != us && meta.uid() != 0 {
            return Err(owned_by_another(dir, meta.uid(), us));
        }
    }
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(dir, flags, Mode::empty())?)
}

/// Opens the directory of this format in `above`, which is open at `dir`. It belongs to this user.
fn open_root(above: &OwnedFd, dir: &Path) -> io::Result<OwnedFd> {
    let path = dir.join(FORMAT);
    let flags = OFlags::DIRECTORY | ALWAYS;
    let root = rustix::fs::openat(above, FORMAT, flags, Mode::empty()).map_err(|e| match e {
        // It is a link or a file.
        Errno::LOOP | Errno::NOTDIR => {
            let path = path.display();
            refused(&format!("{path} is not a directory; run: rm '{path}'"))
        }
        e => e.into(),
    })?;
    let us = rustix::process::geteuid().as_raw();
    match rustix::fs::fstat(&root)?.st_uid {
        owner if owner == us => Ok(root),
        owner => Err(owned_by_another(&path, owner, us)),
    }
}

fn names_in(dir: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir.as_fd())? {
        match entry?.file_name().to_str() {
            // All names of the cache are text.
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_owned()),
        }
    }
    Ok(names)
}

fn owned_by_another(path: &Path, owner: u32, us: u32) -> io::Error {
    let path = path.display();
    refused(&format!(
        "{path} belongs to user {owner}; run: sudo chown -hR {us} '{path}'"
    ))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why.to_owned())
}

impl Disk for Folder {
    fn open(&self, path: &str) -> io::Result<Box<dyn Handle>> {
        // O_NOATIME: otherwise the kernel would write an access time for each block that is read.
        let quiet = self.open_as(path, OFlags::RDONLY | OFlags::NOATIME);
        let file = quiet.or_else(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => self.open_as(path, OFlags::RDONLY),
            _ => Err(e),
        })?;
        // The kernel's read-ahead has no use here.
        let _ = rustix::fs::fadvise(&file, 0, None, Advice::Random);
        Ok(Box::new(file))
    }

    fn create(&self, path: &str) -> io::Result<Box<dyn Handle>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        Ok(Box::new(self.open_as(path, flags)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.root, from, &self.root, to)?)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::empty())?)
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.root, path, AtFlags::REMOVEDIR)?)
    }

    fn make_dirs(&self, path: &str) -> io::Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match rustix::fs::mkdirat(&self.root, &path[..end], PRIVATE) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<Listed>> {
        let dir = self.open_dir(path)?;
        let found = names_in(&dir)?.into_iter().filter_map(|name| {
            // Another process may have removed it.
            let stat = rustix::fs::statat(&dir, &*name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some(Listed {
                is_dir: rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir(),
                stat: stat_of(&stat),
                name,
            })
        });
        Ok(found.collect())
    }

    fn names(&self, path: &str) -> io::Result<Vec<String>> {
        names_in(&self.open_dir(path)?)
    }

    fn update(&self, path: &str, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> io::Result<()> {
        let file = self.open_as(path, OFlags::RDWR | OFlags::CREATE)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        let len = file.metadata()?.len();
        let mut before = vec![0; len.min(4096) as usize];
        file.read_exact_at(&mut before, 0)?;
        let after = change(&before);
        file.write_all_at(&after, 0)?;
        match after.len() as u64 {
            same if same == len => Ok(()),
            other => file.set_len(other),
        }
    }

    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send>>> {
        let file = self.open_as(path, OFlags::RDWR | OFlags::CREATE)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl Handle for File {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        direct::read_all(self, buffer, at)
    }

    fn read_large(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        direct::read(self, buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&rustix::fs::fstat(self)?))
    }

    fn set_times(&self, written: i64, used: i64) -> io::Result<()> {
        let at = |secs| Timespec {
            tv_sec: secs,
            tv_nsec: 0,
        };
        let times = Timestamps {
            last_access: at(used),
            last_modification: at(written),
        };
        Ok(rustix::fs::futimens(self, &times)?)
    }
}

fn stat_of(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        len: u64::try_from(stat.st_size).unwrap_or(0),
        taken: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        written: stat.st_mtime,
        used: stat.st_atime,
    }
}
