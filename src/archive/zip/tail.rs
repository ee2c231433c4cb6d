//! Finds the central directory from the end of an archive.
//!
//! The end-of-central-directory record (EOCD, section 4.3.16) begins in the last 65,557 bytes: it has 22
//! bytes and a comment of at most 65,535. Its signature may also occur in that comment: by chance, by
//! malice, or because the comment is itself an archive. The specification does not say which record counts.
//! Python's zipfile and Info-ZIP's unzip take the last one. So does this parser, so that programs that check
//! an archive see the same files as a mount. It differs only where those programs refuse the archive or show
//! nothing: it skips records that have no directory, and an empty archive in the comment of another.
//!
//! A record is
//! - *exact* if its comment ends at the end of the blob,
//! - *strict* if its directory lies at the recorded offset, right before the record,
//! - *plausible* if its directory may lie before the record, after prepended bytes.
//!
//! The first rule that applies decides:
//!
//! 1. A record is exact and strict: the blob is complete. The last record with a directory of entries
//!    counts: this one, or one in its comment.
//! 2. A record is strict, and its comment would end after the end of the blob: the blob was cut, which is an
//!    error.
//! 3. A record is exact and plausible: the same as in rule 1.
//! 4. The last strict record counts; bytes may follow it. No weaker rule is safe: the last bytes of a cut
//!    blob may be an archive that was one of its entries.

use std::ops::Range;

use super::central;
use crate::archive::bytes::Fields;
use crate::archive::error::Error;

pub(super) const EOCD: u32 = 0x0605_4b50;
const EOCD_LEN: usize = 22;
pub(super) const LOCATOR: u32 = 0x0706_4b50;
const LOCATOR_LEN: u64 = 20;
pub(super) const EOCD64: u32 = 0x0606_4b50;
/// The fixed part of a ZIP64 EOCD (section 4.3.14).
pub(super) const EOCD64_LEN: u64 = 56;
/// The bytes that the ZIP64 EOCD's length field does not count: the signature and the field itself.
const EOCD64_HEAD: u64 = 12;
/// The signature at the start of the first part of a split archive (section 8.5.3).
const SPLIT: u32 = 0x0807_4b50;
/// The greatest distance of an EOCD from the end of the blob.
const SEARCH: usize = EOCD_LEN + u16::MAX as usize;

/// The recorded position of the central directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directory {
    /// As the writer counted it; prepended bytes may shift it.
    pub(super) offset: u64,
    pub(super) size: u64,
    /// The announced number of entries; modulo 65,536 without ZIP64.
    pub(super) entries: u64,
    pub(super) is_zip64: bool,
    /// A number of the EOCD is all ones, so the ZIP64 EOCD is required.
    pub(super) needs_zip64: bool,
    /// End of the directory: the offset of the EOCD, or of the ZIP64 EOCD before it.
    pub(super) end: u64,
    pub(super) comment: Vec<u8>,
}

/// The result of the search: the directory, or the offsets where the ZIP64 EOCD may be.
#[derive(Debug)]
pub(super) enum Found {
    Directory(Directory),
    /// `directory` has the EOCD's numbers.
    Zip64 {
        places: Vec<u64>,
        directory: Directory,
    },
}

/// The last bytes of a blob.
struct Tail<'a> {
    bytes: &'a [u8],
    start: u64,
}

/// A possible EOCD, as its signature suggests.
#[derive(Clone, Copy)]
struct Candidate {
    at: u64,
    disk: u16,
    directory_disk: u16,
    entries_here: u16,
    entries: u16,
    size: u32,
    offset: u32,
    comment_len: u16,
}

/// Finds the EOCD in the last bytes of a blob of `size` bytes.
pub(super) fn find(bytes: &[u8], size: u64) -> Result<Found, Error> {
    let start = size - bytes.len() as u64;
    let tail = Tail { bytes, start };
    let comment_room = |c: &Candidate| size - c.at - EOCD_LEN as u64;
    let is_exact = |c: &Candidate| u64::from(c.comment_len) == comment_room(c);
    let last = |fits: &dyn Fn(&Candidate) -> bool| tail.candidates().rev().find(fits);
    let has_directory = |c: &Candidate| tail.is_strict(c) || tail.is_plausible(c);
    let is_filled = |c: &Candidate| c.size > 0;
    // Rules 1 and 3: the record of the complete archive, or the last one in its comment.
    let last_if_complete = |is_complete: &dyn Fn(&Candidate) -> bool| {
        let complete = last(&|c| is_exact(c) && is_complete(c) && is_filled(c))
            .or_else(|| last(&|c| is_exact(c) && is_complete(c)))?;
        let inner = last(&|c| c.at > complete.at && is_filled(c) && has_directory(c));
        Some(inner.unwrap_or(complete))
    };
    if let Some(found) = last_if_complete(&|c| tail.is_strict(c)) {
        return tail.read(&found);
    }
    let is_cut = |c: &Candidate| u64::from(c.comment_len) > comment_room(c);
    if let Some(cut) = last(&|c| is_cut(c) && tail.is_strict(c)) {
        let what = format!(
            "the end-of-central-directory record's comment is cut off: {} of {} bytes are there",
            comment_room(&cut),
            cut.comment_len
        );
        return Err(Error::damaged(cut.at, what));
    }
    let found = last_if_complete(&|c| tail.is_plausible(c))
        .or_else(|| last(&|c| tail.is_strict(c)))
        // No rule applies. Reading the last exact record gives the error to report.
        .or_else(|| last(&is_exact));
    if let Some(found) = found {
        return tail.read(&found);
    }
    match tail.signature_at(0) {
        Some(SPLIT) => Err(Error::Split),
        _ => Err(Error::NotAnArchive { size }),
    }
}

impl Tail<'_> {
    fn candidates(&self) -> impl DoubleEndedIterator<Item = Candidate> {
        let from = self.bytes.len().saturating_sub(SEARCH);
        let to = (self.bytes.len() + 1).saturating_sub(EOCD_LEN);
        (from..to).filter_map(|at| {
            let mut fields = Fields(&self.bytes[at..]);
            if fields.u32()? != EOCD {
                return None;
            }
            Some(Candidate {
                at: self.start + at as u64,
                disk: fields.u16()?,
                directory_disk: fields.u16()?,
                entries_here: fields.u16()?,
                entries: fields.u16()?,
                size: fields.u32()?,
                offset: fields.u32()?,
                comment_len: fields.u16()?,
            })
        })
    }

    /// The bytes from an offset of the blob, if they are in the tail.
    fn at(&self, offset: u64) -> Option<&[u8]> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..)
    }

    fn signature_at(&self, offset: u64) -> Option<u32> {
        Fields(self.at(offset)?).u32()
    }

    /// Whether the directory lies at its recorded offset, right before the record or before its ZIP64 EOCD
    /// and locator.
    fn is_strict(&self, c: &Candidate) -> bool {
        let (end, size, offset) = match self.locator(c) {
            None => (c.at, c.size.into(), c.offset.into()),
            Some(locator) => match self.numbers64(locator.offset, c) {
                Some(numbers) => (locator.offset, numbers.size, numbers.offset),
                None => return false,
            },
        };
        let ends_here = offset.checked_add(size) == Some(end);
        ends_here && (size == 0 || self.may_be_record(offset))
    }

    /// Whether the directory could lie before the record.
    fn is_plausible(&self, c: &Candidate) -> bool {
        if let Some(locator) = self.locator(c) {
            let is_there = |at: &u64| *at < self.start || self.signature_at(*at) == Some(EOCD64);
            if self.places64(locator.offset, c).iter().any(is_there) {
                return true;
            }
        }
        let (size, offset) = (u64::from(c.size), u64::from(c.offset));
        if size == 0 {
            return c.entries == 0 && offset <= c.at;
        }
        let fits = size + offset <= c.at;
        fits && (self.may_be_record(c.at - size) || self.may_be_record(offset))
    }

    /// Whether a record of the directory begins at `offset`; true if that is before the tail.
    fn may_be_record(&self, offset: u64) -> bool {
        offset < self.start || self.signature_at(offset) == Some(central::SIGNATURE)
    }

    /// The ZIP64 locator (section 4.3.15) right before an EOCD.
    fn locator(&self, c: &Candidate) -> Option<Locator> {
        let mut fields = Fields(self.at(c.at.checked_sub(LOCATOR_LEN)?)?);
        if fields.u32()? != LOCATOR {
            return None;
        }
        Some(Locator {
            disk: fields.u32()?,
            offset: fields.u64()?,
            disks: fields.u32()?,
        })
    }

    /// The ZIP64 EOCD at an offset, if by its own length it ends at the locator.
    fn numbers64(&self, at: u64, c: &Candidate) -> Option<Numbers64> {
        let numbers = Numbers64::read(self.at(at)?)?;
        let end = at.checked_add(numbers.len.checked_add(EOCD64_HEAD)?);
        (end == Some(c.at - LOCATOR_LEN)).then_some(numbers)
    }

    /// The offsets where the ZIP64 EOCD may be, the likeliest first:
    ///
    /// - where an EOCD ends at the locator by its own length. It may have extensible data (section
    ///   4.3.14.2), and the locator may not count prepended bytes;
    /// - at the locator's offset;
    /// - right before the locator.
    fn places64(&self, recorded: u64, c: &Candidate) -> Vec<u64> {
        let last = (c.at - LOCATOR_LEN).checked_sub(EOCD64_LEN);
        let anywhere = last.into_iter().flat_map(|last| (self.start..=last).rev());
        let mut fitting = std::iter::once(recorded).chain(anywhere);
        let fitting = fitting.find(|at| self.numbers64(*at, c).is_some());
        [fitting, Some(recorded), last]
            .into_iter()
            .flatten()
            .collect()
    }

    fn read(&self, c: &Candidate) -> Result<Found, Error> {
        let comment = self.at(c.at + EOCD_LEN as u64).unwrap_or_default();
        let directory = Directory {
            offset: c.offset.into(),
            size: c.size.into(),
            entries: c.entries.into(),
            is_zip64: false,
            needs_zip64: c.needs_zip64(),
            end: c.at,
            comment: comment[..comment.len().min(c.comment_len.into())].to_vec(),
        };
        let Some(locator) = self.locator(c) else {
            if c.disk != 0 || c.directory_disk != 0 || c.entries_here != c.entries {
                return Err(Error::Split);
            }
            return Ok(Found::Directory(directory));
        };
        if locator.disk != 0 || locator.disks > 1 {
            return Err(Error::Split);
        }
        Ok(Found::Zip64 {
            places: self.places64(locator.offset, c),
            directory,
        })
    }
}

/// A ZIP64 locator.
struct Locator {
    disk: u32,
    /// The recorded offset of the ZIP64 EOCD.
    offset: u64,
    disks: u32,
}

impl Candidate {
    /// Section 4.4.1.4: a number that does not fit is all ones.
    fn needs_zip64(&self) -> bool {
        self.size == u32::MAX || self.offset == u32::MAX
    }
}

/// The numbers of a ZIP64 EOCD (section 4.3.14).
struct Numbers64 {
    len: u64,
    disk: u32,
    directory_disk: u32,
    entries_here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl Numbers64 {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.u32()? != EOCD64 {
            return None;
        }
        let len = fields.u64()?;
        let _versions = fields.u32()?;
        Some(Self {
            len,
            disk: fields.u32()?,
            directory_disk: fields.u32()?,
            entries_here: fields.u64()?,
            entries: fields.u64()?,
            size: fields.u64()?,
            offset: fields.u64()?,
        })
    }
}

/// Reads a ZIP64 EOCD at `offset`; `None` if there is none. `narrow` has the EOCD's numbers.
pub(super) fn read_zip64(
    bytes: &[u8],
    offset: u64,
    narrow: &Directory,
) -> Result<Option<Directory>, Error> {
    let Some(wide) = Numbers64::read(bytes) else {
        return Ok(None);
    };
    if wide.disk != 0 || wide.directory_disk != 0 || wide.entries_here != wide.entries {
        return Err(Error::Split);
    }
    // Another program might trust the other record and see another archive.
    let differs = |narrow: u64, wide: u64| narrow != u64::from(u32::MAX) && narrow != wide;
    let entries_differ =
        narrow.entries != u64::from(u16::MAX) && narrow.entries != wide.entries % 65_536;
    if differs(narrow.size, wide.size) || differs(narrow.offset, wide.offset) || entries_differ {
        let what = "the ZIP64 end-of-central-directory record contradicts the plain one";
        return Err(Error::damaged(offset, what));
    }
    Ok(Some(Directory {
        offset: wide.offset,
        size: wide.size,
        entries: wide.entries,
        is_zip64: true,
        end: offset,
        ..narrow.clone()
    }))
}

/// The actual range of the directory, and the difference between offsets in the blob and the recorded
/// ones: bytes may have been prepended to a finished archive.
pub(super) fn place(directory: &Directory) -> Result<(Range<u64>, u64), Error> {
    let Directory {
        offset, size, end, ..
    } = *directory;
    let start = end.checked_sub(size).ok_or_else(|| {
        Error::damaged(
            end,
            format!(
                "the central directory of {size} bytes is larger than what lies before its end"
            ),
        )
    })?;
    let prepended = start.checked_sub(offset).ok_or_else(|| {
        Error::damaged(
            end,
            format!(
                "the central directory should begin at {offset} and end at {end}, but has {size} bytes"
            ),
        )
    })?;
    Ok((start..end, prepended))
}
