//! Extracts one file.

use std::io;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType};
use tokio::sync::Semaphore;

use super::batch::{Batches, Complete};
use super::directory::{Directory, os};
use super::part::{IN_THE_WAY, Options, Part, Place};
use super::runs::Fetched;
use crate::cli::progress::Progress;
use crate::fs::{Attr, Ino};
use crate::volume::Volume;

/// How much is read at once, in bytes.
const STEP: u32 = 1 << 20;

/// How many files are read at the same time. Small files need many to fill a link with a long round trip.
const READING: usize = 32;

/// Files of at most this length in bytes are written in batches. Together they are all in memory.
pub(super) const SMALL: u32 = 32 << 10;

/// What was done for a file.
pub(super) enum Outcome {
    /// It was written; its length in bytes.
    Written(u64),
    /// It was there already.
    Skipped,
}

/// Extracts files of a volume.
pub(super) struct Extractor {
    volume: Arc<Volume>,
    target: Arc<Directory>,
    options: Options,
    pub(super) progress: Progress,
    reading: Semaphore,
    batches: Option<Batches>,
}

impl Extractor {
    /// Extracts below `target`. Must be called within a runtime.
    pub(super) fn new(
        volume: &Arc<Volume>,
        target: &Arc<Directory>,
        options: Options,
        progress: Progress,
    ) -> Self {
        Self {
            volume: volume.clone(),
            target: target.clone(),
            options,
            progress,
            reading: Semaphore::new(READING),
            batches: Batches::start(target, options),
        }
    }

    /// Whether a file is written in a batch.
    pub(super) fn is_small(&self, ino: Ino) -> bool {
        let attr = self.volume.tree().attr(ino);
        self.batches.is_some() && attr.is_some_and(|attr| attr.size <= SMALL.into())
    }

    /// Extracts the file `ino`. It is read when `fetched` has ended.
    pub(super) async fn extract(
        self: Arc<Self>,
        ino: Ino,
        fetched: Option<Fetched>,
    ) -> Result<Outcome, String> {
        let (volume, options) = (&self.volume, self.options);
        let reading = self.reading.acquire().await.map_err(text)?;
        let moment = volume.open(ino).map_err(text)?;
        volume.settle(ino).await.map_err(text)?;
        let attr = volume.attr(ino).map_err(text)?;
        let path = volume.tree().path(ino);
        let (directory_path, name) = split(&path);
        let directory = self.target.directory(directory_path).map_err(text)?;
        match existing(&directory, name, &attr).map_err(text)? {
            Existing::Same => {
                self.progress.add(attr.size);
                return Ok(Outcome::Skipped);
            }
            Existing::Other if !options.overwrite => return Err(IN_THE_WAY.to_owned()),
            Existing::Other | Existing::Nothing => {}
        }
        if let Some(fetched) = fetched {
            fetched.await;
        }
        // Without a checksum, bytes from an earlier run could belong to another archive.
        let checksum = checksum(volume, ino);
        let part_name = format!(".{}-{:08x}.aiozfs-part", ino.0, checksum.unwrap_or(0));
        let (name, part_name) = (name.to_owned(), part_name.into_bytes());
        match &self.batches {
            Some(batches) if attr.size <= SMALL.into() => {
                drop(directory);
                let bytes = self.read(ino, moment, 0, &attr).await?;
                if checksum.is_some_and(|expected| expected != crc32fast::hash(&bytes)) {
                    return Err(DIFFERS.to_owned());
                }
                drop(reading);
                let complete = Complete {
                    directory: directory_path.to_owned(),
                    name,
                    part_name,
                    attr,
                    bytes,
                };
                batches.write(complete).await?;
                self.progress.add(attr.size);
            }
            _ => {
                let directory = Arc::new(directory);
                let place = Place {
                    directory,
                    name,
                    part_name,
                };
                self.stream(ino, moment, &attr, checksum, &place).await?;
            }
        }
        Ok(Outcome::Written(attr.size))
    }

    /// Writes a file while it is read.
    async fn stream(
        &self,
        ino: Ino,
        moment: u64,
        attr: &Attr,
        checksum: Option<u32>,
        place: &Place,
    ) -> Result<(), String> {
        let mut part = Part::open(place).map_err(text)?;
        let resume = || part.resume(attr.size, checksum.is_some());
        let mut is_resumed = tokio::task::block_in_place(resume).map_err(text)?;
        self.progress.add(part.at);
        loop {
            while part.at < attr.size {
                let bytes = self.read(ino, moment, part.at, attr).await?;
                tokio::task::block_in_place(|| part.append(&bytes)).map_err(text)?;
                self.progress.add(bytes.len() as u64);
            }
            if checksum.is_none_or(|expected| expected == part.crc32()) {
                break;
            }
            part.restart().map_err(text)?;
            if !std::mem::take(&mut is_resumed) {
                place.remove_part();
                return Err(DIFFERS.to_owned());
            }
        }
        let Options {
            overwrite,
            sync,
            umask,
        } = self.options;
        tokio::task::block_in_place(|| {
            part.finish(attr, umask).map_err(text)?;
            if sync {
                // After an error, the kernel may show bytes that the disk never got.
                let synced = part.sync().inspect_err(|_| place.remove_part());
                synced.map_err(text)?;
            }
            place.give_name(overwrite)
        })
    }

    /// The next bytes of a file. They are not empty unless the file is.
    async fn read(&self, ino: Ino, moment: u64, at: u64, attr: &Attr) -> Result<Vec<u8>, String> {
        let read = self.volume.read(ino, moment, at, STEP);
        let bytes = read.await.map_err(text)?;
        if bytes.is_empty() && attr.size > 0 {
            return Err(format!("it ends at {at} of {} bytes", attr.size));
        }
        Ok(bytes)
    }
}

const DIFFERS: &str = "its bytes differ from its CRC-32 in the archive";

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
    // In seconds, since not all filesystems keep fractions.
    let is_time = stat.st_mtime == attr.mtime.secs;
    let is_same = is_file && stat.st_size as u64 == attr.size && is_time;
    Ok(if is_same {
        Existing::Same
    } else {
        Existing::Other
    })
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
