//! Extracts one file.
//!
//! A file is written under another name, which begins with a dot and ends in `.aiozfs-part`, and gets its own name when
//! it is complete. So a file under its own name is never half written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};

use super::directory::{Directory, os, times, umask};
use crate::archive::{Kind, Timestamp};
use crate::cli::progress::Progress;
use crate::fs::{Attr, Ino};
use crate::volume::Volume;

/// How much is read at once, in bytes.
const STEP: u32 = 1 << 20;

/// How files are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Replace files that differ.
    pub(super) overwrite: bool,
    /// Wait until the disk has a file before it gets its name.
    pub(super) sync: bool,
}

/// What was done for a file.
pub(super) enum Outcome {
    /// It was written; its length in bytes.
    Written(u64),
    /// It was there already.
    Skipped,
}

/// Extracts the file `ino` below `target`.
pub(super) async fn extract(
    volume: &Volume,
    ino: Ino,
    target: &Directory,
    options: Options,
    progress: &Progress,
) -> Result<Outcome, String> {
    let moment = volume.open(ino).map_err(text)?;
    volume.settle(ino).await.map_err(text)?;
    let attr = volume.attr(ino).map_err(text)?;
    let path = volume.tree().path(ino);
    let (directory, name) = split(&path);
    let directory = target.directory(directory).map_err(text)?;
    match existing(&directory, name, &attr).map_err(text)? {
        Existing::Same => {
            progress.add(attr.size);
            return Ok(Outcome::Skipped);
        }
        Existing::Other if !options.overwrite => return Err(IN_THE_WAY.to_owned()),
        Existing::Other | Existing::Nothing => {}
    }
    // Without a checksum, bytes from an earlier run could belong to another archive.
    let checksum = checksum(volume, ino);
    let part_name = format!(".{}-{:08x}.aiozfs-part", ino.0, checksum.unwrap_or(0));
    let mut part = Part::open(&directory, part_name.as_bytes()).map_err(text)?;
    let resume = || part.resume(attr.size, checksum.is_some());
    let mut is_resumed = tokio::task::block_in_place(resume).map_err(text)?;
    progress.add(part.at);
    loop {
        while part.at < attr.size {
            let bytes = volume
                .read(ino, moment, part.at, STEP)
                .await
                .map_err(text)?;
            if bytes.is_empty() {
                return Err(format!("it ends at {} of {} bytes", part.at, attr.size));
            }
            tokio::task::block_in_place(|| part.append(&bytes)).map_err(text)?;
            progress.add(bytes.len() as u64);
        }
        if checksum.is_none_or(|expected| expected == part.crc.clone().finalize()) {
            break;
        }
        part.restart().map_err(text)?;
        if !std::mem::take(&mut is_resumed) {
            let _ = directory.remove(part_name.as_bytes());
            return Err("its bytes differ from its CRC-32 in the archive".to_owned());
        }
    }
    tokio::task::block_in_place(|| part.finish(&attr, options.sync)).map_err(text)?;
    let is_named = if options.overwrite {
        directory.replace(part_name.as_bytes(), name).map(|()| true)
    } else {
        directory.rename_new(part_name.as_bytes(), name)
    };
    if !is_named.map_err(text)? {
        // Somebody has made a file of this name meanwhile.
        let _ = directory.remove(part_name.as_bytes());
        return Err(IN_THE_WAY.to_owned());
    }
    Ok(Outcome::Written(attr.size))
}

/// Makes the symbolic link `ino` below `target`.
pub(super) async fn link(
    volume: &Volume,
    ino: Ino,
    target: &Directory,
    overwrite: bool,
) -> Result<Outcome, String> {
    let leads_to = volume.read_link(ino).await.map_err(text)?;
    let path = volume.tree().path(ino);
    let (directory, name) = split(&path);
    let directory = target.directory(directory).map_err(text)?;
    let there = rustix::fs::readlinkat(directory.fd(), os(name), Vec::new());
    if there.is_ok_and(|there| there.as_bytes() == leads_to) {
        return Ok(Outcome::Skipped);
    }
    if overwrite {
        directory.remove(name).map_err(text)?;
    }
    match rustix::fs::symlinkat(os(&leads_to), directory.fd(), os(name)) {
        Ok(()) => Ok(Outcome::Written(0)),
        Err(rustix::io::Errno::EXIST) => Err(IN_THE_WAY.to_owned()),
        Err(e) => Err(text(e)),
    }
}

const IN_THE_WAY: &str = "another file of this name exists; --overwrite replaces it";

/// The file's CRC-32, if the archive has one and the file is extracted as it is in the archive.
fn checksum(volume: &Volume, ino: Ino) -> Option<u32> {
    let tree = volume.tree();
    let id = tree.entry(ino)?;
    let entry = volume.archive().index().get(id);
    entry.crc32.filter(|_| !tree.is_overridden(id))
}

enum Existing {
    Nothing,
    /// A file of this size and time.
    Same,
    Other,
}

fn existing(directory: &Directory, name: &[u8], attr: &Attr) -> io::Result<Existing> {
    let found = rustix::fs::statat(directory.fd(), os(name), AtFlags::SYMLINK_NOFOLLOW);
    let stat = match found {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(Existing::Nothing),
        Err(e) => return Err(e.into()),
    };
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let is_same = is_file && stat.st_size as u64 == attr.size && is_time(&stat, attr.mtime);
    Ok(if is_same {
        Existing::Same
    } else {
        Existing::Other
    })
}

/// In seconds, since not all filesystems keep fractions.
fn is_time(stat: &rustix::fs::Stat, mtime: Timestamp) -> bool {
    stat.st_mtime == mtime.secs
}

/// A file that is not complete.
struct Part {
    file: File,
    /// How many bytes it has.
    at: u64,
    crc: crc32fast::Hasher,
}

impl Part {
    fn open(directory: &Directory, name: &[u8]) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(directory.fd(), os(name), flags, mode)?;
        let lock = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        lock.map_err(|_| io::Error::other("another aiozfs is extracting it"))?;
        // Before the lock, another run may have given this file its own name. Then it is complete, and no longer ours.
        let named = rustix::fs::statat(directory.fd(), os(name), AtFlags::SYMLINK_NOFOLLOW);
        let held = rustix::fs::fstat(&file)?;
        let is_ours =
            |named: rustix::fs::Stat| (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino);
        if !named.is_ok_and(is_ours) {
            return Err(io::Error::other("another aiozfs has extracted it"));
        }
        Ok(Self {
            file: File::from(file),
            at: 0,
            crc: crc32fast::Hasher::new(),
        })
    }

    /// Goes on behind what an earlier run wrote, if `may_resume`. Returns whether there was any.
    fn resume(&mut self, size: u64, may_resume: bool) -> io::Result<bool> {
        let len = self.file.metadata()?.len();
        if !may_resume || len > size {
            self.restart()?;
            return Ok(false);
        }
        let mut buffer = vec![0; STEP as usize];
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                return Ok(self.at > 0);
            }
            self.crc.update(&buffer[..read]);
            self.at += read as u64;
        }
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.at = 0;
        self.crc.reset();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Sets permissions, as far as the umask allows, and the time of modification. With `sync`, waits for the disk:
    /// otherwise a file could have its name, size and time after a power failure, but not its bytes, and a later
    /// run would skip it.
    fn finish(&self, attr: &Attr, sync: bool) -> io::Result<()> {
        let mode = match attr.kind {
            Kind::File => attr.perm,
            // Devices and the like are files here, without their permissions.
            _ => 0o644,
        };
        let mode = Mode::from_raw_mode(mode.into()) & !umask();
        rustix::fs::fchmod(&self.file, mode)?;
        rustix::fs::futimens(&self.file, &times(attr.mtime))?;
        if sync { self.file.sync_all() } else { Ok(()) }
    }
}

/// The directory and the name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
