//! The end of an archive: where its central directory is.
//!
//! The end-of-central-directory record (EOCD, section 4.3.16) is searched in the last 65,557 bytes
//! only: 22 of its own and a comment of 65,535 at most. A comment may contain its signature, so a
//! record counts only if its comment ends where the blob does, or, failing that, if the directory
//! that it points to begins with a signature, for blobs with junk behind the archive.

use std::ops::Range;

use super::bytes::Fields;
use super::error::Error;

const EOCD: u32 = 0x0605_4b50;
const EOCD_LEN: usize = 22;
const LOCATOR: u32 = 0x0706_4b50;
const LOCATOR_LEN: u64 = 20;
const EOCD64: u32 = 0x0606_4b50;
/// The fixed part of a ZIP64 EOCD (section 4.3.14).
pub(super) const EOCD64_LEN: u64 = 56;
/// How far from its end a blob's EOCD can begin.
const SEARCH: usize = EOCD_LEN + u16::MAX as usize;

/// Where the central directory is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    /// As counted by the writer; prepended bytes may shift it.
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Entries announced; writers without ZIP64 count modulo 65,536.
    pub(super) entries: u64,
    pub(super) is_zip64: bool,
    /// Where the directory ends: the EOCD, or the ZIP64 EOCD before it.
    pub(super) end: u64,
    pub(super) comment: Vec<u8>,
}

/// What the tail tells: the directory, or where the ZIP64 EOCD should be.
#[derive(Debug)]
pub(super) enum Found {
    Directory(Directory),
    /// The ZIP64 EOCD, as the locator says and, should that be counted without prepended bytes,
    /// right before the locator. The directory so far lacks its numbers.
    Zip64 {
        said: u64,
        before_locator: u64,
        directory: Directory,
    },
}

/// Finds the EOCD in the last bytes of a blob of `size` bytes.
pub(super) fn find(tail: &[u8], size: u64) -> Result<Found, Error> {
    let tail_start = size - tail.len() as u64;
    let searched = &tail[tail.len().saturating_sub(SEARCH)..];
    let shift = tail.len() - searched.len();
    let candidates = || {
        let starts = (0..searched.len().saturating_sub(EOCD_LEN - 1)).rev();
        starts.filter(|at| searched[*at..].starts_with(&EOCD.to_le_bytes()))
    };
    let ends_with_blob =
        |at: &usize| comment_len(&searched[*at..]) == searched.len() - at - EOCD_LEN;
    let fits = |at: &usize| {
        let left = searched.len() - at - EOCD_LEN;
        comment_len(&searched[*at..]) <= left
            && points_back(&searched[*at..], tail_start + (shift + at) as u64)
    };
    let at = candidates()
        .find(ends_with_blob)
        .or_else(|| candidates().find(fits));
    let at = at.ok_or(Error::NotAnArchive { size })? + shift;
    read(tail, at, tail_start)
}

fn comment_len(record: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([record[20], record[21]]))
}

/// Whether the record's directory could lie before it.
fn points_back(record: &[u8], offset: u64) -> bool {
    let mut fields = Fields(&record[12..20]);
    let (size, start) = (fields.u32(), fields.u32());
    let sum = u64::from(size.unwrap_or(0)) + u64::from(start.unwrap_or(0));
    sum <= offset || size == Some(u32::MAX) || start == Some(u32::MAX)
}

fn read(tail: &[u8], at: usize, tail_start: u64) -> Result<Found, Error> {
    let offset = tail_start + at as u64;
    let damaged = || Error::Damaged {
        offset,
        what: "the end-of-central-directory record is cut off".into(),
    };
    let mut fields = Fields(&tail[at + 4..]);
    let mut u16 = || fields.u16().ok_or_else(damaged);
    let (disk, directory_disk, here, entries) = (u16()?, u16()?, u16()?, u16()?);
    let size = fields.u32().ok_or_else(damaged)?;
    let start = fields.u32().ok_or_else(damaged)?;
    let comment_len = fields.u16().ok_or_else(damaged)?;
    let comment = fields
        .take(comment_len.into())
        .ok_or_else(damaged)?
        .to_vec();
    let locator = at
        .checked_sub(LOCATOR_LEN as usize)
        .map(|from| &tail[from..at]);
    let mut directory = Directory {
        offset: start.into(),
        size: size.into(),
        entries: entries.into(),
        is_zip64: false,
        end: offset,
        comment,
    };
    let Some(locator) = locator.filter(|l| l.starts_with(&LOCATOR.to_le_bytes())) else {
        if disk != 0 || directory_disk != 0 || here != entries {
            return Err(Error::Split);
        }
        return Ok(Found::Directory(directory));
    };
    // Section 4.3.15.
    let mut fields = Fields(&locator[4..]);
    let (disk, said, disks) = (fields.u32(), fields.u64(), fields.u32());
    if disk != Some(0) || disks.is_some_and(|disks| disks > 1) {
        return Err(Error::Split);
    }
    directory.is_zip64 = true;
    let locator_at = offset - LOCATOR_LEN;
    Ok(Found::Zip64 {
        said: said.unwrap_or(u64::MAX),
        before_locator: locator_at.saturating_sub(EOCD64_LEN),
        directory,
    })
}

/// Reads a ZIP64 EOCD (section 4.3.14) at `offset`; `None` if there is none.
pub(super) fn read_zip64(bytes: &[u8], offset: u64, mut directory: Directory) -> Option<Directory> {
    let mut fields = Fields(bytes);
    if fields.u32()? != EOCD64 {
        return None;
    }
    let _record_size = fields.u64()?;
    let _versions = fields.u32()?;
    let _disks = fields.u64()?;
    let _entries_here = fields.u64()?;
    directory.entries = fields.u64()?;
    directory.size = fields.u64()?;
    directory.offset = fields.u64()?;
    directory.end = offset;
    Some(directory)
}

/// Where the directory really is, and by how much the blob's offsets differ from those that the
/// writer counted. Bytes may have been prepended to a finished archive (offsets count from the
/// archive's own start) or be part of it (offsets count from the blob's).
pub(super) fn place(directory: &Directory) -> Result<(Range<u64>, u64), Error> {
    let start = directory
        .end
        .checked_sub(directory.size)
        .ok_or_else(|| Error::Damaged {
            offset: directory.end,
            what: format!(
                "the central directory of {} bytes is larger than what lies before its end",
                directory.size
            ),
        })?;
    let prepended = start
        .checked_sub(directory.offset)
        .ok_or_else(|| Error::Damaged {
            offset: directory.end,
            what: format!(
                "the central directory should begin at {} and end at {}, but has {} bytes",
                directory.offset, directory.end, directory.size
            ),
        })?;
    Ok((start..directory.end, prepended))
}
