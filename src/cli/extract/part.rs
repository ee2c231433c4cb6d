//! A file that is not complete.
//!
//! It has another name, which begins with a dot and ends in `.aiozfs-part`, and gets its own when it is complete. So a
//! file under its own name is never half written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Stat};

use super::directory::{Directory, os, times};
use crate::archive::Kind;
use crate::fs::Attr;

/// How much of an earlier run's part is read at once, in bytes.
const STEP: usize = 1 << 20;

pub(super) const IN_THE_WAY: &str = "another file of this name exists; --overwrite replaces it";

/// How files are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Replace files that differ.
    pub(super) overwrite: bool,
    /// Wait until the disk has a file before it gets its name.
    pub(super) sync: bool,
    /// Permissions that no file gets.
    pub(super) umask: Mode,
}

/// Where a file is to be.
pub(super) struct Place {
    pub(super) directory: Arc<Directory>,
    /// Its name in the directory.
    pub(super) name: Vec<u8>,
    /// Its name until it is complete. It is the same in each run.
    pub(super) part_name: Vec<u8>,
}

impl Place {
    /// Gives a complete part the file's name.
    pub(super) fn give_name(&self, overwrite: bool) -> Result<(), String> {
        let (from, to) = (&self.part_name, &self.name);
        let is_named = if overwrite {
            self.directory.replace(from, to).map(|()| true)
        } else {
            self.directory.rename_new(from, to)
        };
        match is_named {
            Ok(true) => Ok(()),
            Ok(false) => {
                // Somebody has made a file of this name meanwhile.
                self.remove_part();
                Err(IN_THE_WAY.to_owned())
            }
            Err(e) => Err(e.to_string()),
        }
    }

    /// Removes the part, which is of no use to the next run.
    pub(super) fn remove_part(&self) {
        let _ = self.directory.remove(&self.part_name);
    }
}

/// An open part, locked against other runs.
pub(super) struct Part {
    file: File,
    /// How many bytes an earlier run has left.
    left: u64,
    /// The device of its filesystem.
    pub(super) device: u64,
    /// How many bytes it has that are taken into `crc`.
    pub(super) at: u64,
    crc: crc32fast::Hasher,
}

impl Part {
    pub(super) fn open(place: &Place) -> io::Result<Self> {
        let (directory, name) = (place.directory.fd(), os(&place.part_name));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
        let lock = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        lock.map_err(|_| io::Error::other("another aiozfs is extracting it"))?;
        // Before the lock, another run may have given this file its own name. Then it is complete, and no longer ours.
        let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let held = rustix::fs::fstat(&file)?;
        let is_ours = |named: Stat| (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino);
        if !named.is_ok_and(is_ours) {
            return Err(io::Error::other("another aiozfs has extracted it"));
        }
        Ok(Self {
            file: File::from(file),
            left: held.st_size as u64,
            device: held.st_dev,
            at: 0,
            crc: crc32fast::Hasher::new(),
        })
    }

    /// Goes on behind what an earlier run wrote, if `may_resume`. Returns whether there was any.
    pub(super) fn resume(&mut self, size: u64, may_resume: bool) -> io::Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        if !may_resume || self.left > size {
            self.restart()?;
            return Ok(false);
        }
        let mut buffer = vec![0; STEP];
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                return Ok(self.at > 0);
            }
            self.crc.update(&buffer[..read]);
            self.at += read as u64;
        }
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.at = 0;
        self.crc.reset();
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// The CRC-32 of its bytes.
    pub(super) fn crc32(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Sets permissions, as far as `umask` allows, and the time of modification.
    pub(super) fn finish(&self, attr: &Attr, umask: Mode) -> io::Result<()> {
        let mode = match attr.kind {
            Kind::File => attr.perm,
            // Devices and the like are files here, without their permissions.
            _ => 0o644,
        };
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(mode.into()) & !umask)?;
        Ok(rustix::fs::futimens(&self.file, &times(attr.mtime))?)
    }

    /// Waits for the disk. Without that, a file could have its name, size and time after a power failure, but not its
    /// bytes, and a later run would skip it.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
