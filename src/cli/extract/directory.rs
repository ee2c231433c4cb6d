//! A directory to write to, which nothing leaves.
//!
//! Each directory on the way is opened relative to the one before and never through a symbolic link, so that neither
//! the archive nor another process can lead a write out of it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::archive::Timestamp;

/// Permissions of directories until they are finished.
const NEW: Mode = Mode::RWXU;

/// Filesystems on which syncfs(2) does what fsync(2) does: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs (statfs(2)). It does not
/// ask a server to do it (FUSE), nor report errors of a layer below (overlayfs).
const WITH_SYNCFS: [u32; 5] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994];

/// An open directory.
pub(super) struct Directory(OwnedFd);

impl Directory {
    /// The directory that the user named, created if it is missing. It may be a link.
    pub(super) fn root(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
            _ => e,
        })?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// The directory at `path` below this one. Missing ones are created.
    pub(super) fn directory(&self, path: &[u8]) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let whole = if path.is_empty() {
            b".".as_slice()
        } else {
            path
        };
        // Fails before Linux 5.6, if one is missing, and while something is renamed.
        match rustix::fs::openat2(&self.0, os(whole), flags, Mode::empty(), within) {
            Ok(there) => Ok(Self(there)),
            Err(_) => self.walk(path),
        }
    }

    fn walk(&self, path: &[u8]) -> io::Result<Self> {
        let mut here = Self(self.0.try_clone()?);
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            match rustix::fs::mkdirat(&here.0, os(name), NEW | Mode::RWXG | Mode::RWXO) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(&here.0, os(name), flags, Mode::empty());
            here = Self(below.map_err(|e| explained(name, e))?);
        }
        Ok(here)
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// The device, if it is a local filesystem on which syncfs(2) waits for all that was written, and reports errors.
    pub(super) fn device_with_syncfs(&self) -> Option<u64> {
        let kind = rustix::fs::fstatfs(&self.0).ok()?.f_type as u32;
        let device = rustix::fs::fstat(&self.0).ok()?.st_dev;
        (WITH_SYNCFS.contains(&kind) && is_since(5, 8)).then_some(device)
    }

    /// Waits until the disk has all that was written to the filesystem.
    pub(super) fn syncfs(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }

    /// Sets the permissions, as far as `umask` allows, and the time of modification.
    pub(super) fn finish(&self, mode: Mode, mtime: Timestamp, umask: Mode) -> io::Result<()> {
        rustix::fs::fchmod(&self.0, (mode | NEW) & !umask)?;
        Ok(rustix::fs::futimens(&self.0, &times(mtime))?)
    }

    /// Renames a file. One that has the new name is replaced.
    pub(super) fn replace(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, os(from), &self.0, os(to))?)
    }

    /// Renames a file unless the new name exists. Returns whether it did not.
    pub(super) fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<bool> {
        let (from, to, here) = (os(from), os(to), &self.0);
        match rustix::fs::renameat_with(here, from, here, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // Not all filesystems have this; NFS has links, which never replace either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(e) => return Err(e.into()),
        }
        match rustix::fs::linkat(here, from, here, to, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::unlinkat(here, from, AtFlags::empty()).map(|()| true)?),
            Err(Errno::EXIST) => Ok(false),
            // With neither, between the question and the answer somebody could make the file.
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => {
                match rustix::fs::statat(here, to, AtFlags::SYMLINK_NOFOLLOW) {
                    Err(Errno::NOENT) => {
                        Ok(rustix::fs::renameat(here, from, here, to).map(|()| true)?)
                    }
                    Err(e) => Err(e.into()),
                    Ok(_) => Ok(false),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, name: &[u8]) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, os(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}

fn explained(name: &[u8], error: rustix::io::Errno) -> io::Error {
    match error {
        Errno::LOOP | Errno::NOTDIR => io::Error::other(format!(
            "{} is in the way: it is no directory",
            crate::cli::show::quoted(name)
        )),
        error => error.into(),
    }
}

/// Sets the time of modification and leaves that of access alone.
pub(super) fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime.secs,
            tv_nsec: mtime.nanos.into(),
        },
    }
}

/// The umask of this process (proc(5)). umask(2) cannot read it without setting it.
pub(super) fn umask() -> Mode {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let mask = line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    Mode::from_raw_mode(mask.unwrap_or(0o022))
}

/// Whether Linux has this version or a later one. Since 5.8, syncfs(2) reports errors.
fn is_since(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse().ok());
    next().zip(next()) >= Some((major, minor))
}

/// A path as the operating system has it.
pub(super) fn os(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}
