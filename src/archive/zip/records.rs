//! Parses the records of the central directory as their bytes arrive.

use std::ops::Range;

use super::builder::Builder;
use super::central::{self, ARCHIVE_EXTRA, DIGITAL_SIGNATURE, RecordError};
use super::encoding::Encoding;
use super::tail::Directory;
use crate::archive::error::Error;
use crate::archive::index::Index;

/// A central directory that is being parsed.
#[derive(Debug)]
pub(super) struct Records {
    builder: Builder,
    directory: Directory,
    range: Range<u64>,
    /// The offset of the next byte to be fed.
    at: u64,
    /// The beginning of an incomplete record.
    pending: Vec<u8>,
    prepended: u64,
    blob_size: u64,
    encoding: Encoding,
    /// The records have ended before the directory.
    ended: bool,
}

impl Records {
    pub(super) fn new(
        directory: Directory,
        range: Range<u64>,
        prepended: u64,
        blob_size: u64,
        encoding: Encoding,
    ) -> Self {
        let comment = directory.comment.clone();
        Self {
            builder: Builder::new(
                range.clone(),
                blob_size,
                prepended,
                directory.entries,
                comment,
            ),
            at: range.start,
            range,
            directory,
            pending: Vec::new(),
            prepended,
            blob_size,
            encoding,
            ended: false,
        }
    }

    /// The range that is still wanted; empty at the end.
    pub(super) fn wants(&self) -> Range<u64> {
        self.at..self.range.end
    }

    /// The numbers of entries parsed and announced.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.builder.seen(), self.directory.entries)
    }

    pub(super) fn feed(&mut self, fed: &[u8]) -> Result<(), Error> {
        let start = self.at - self.pending.len() as u64;
        self.at += fed.len() as u64;
        if self.pending.is_empty() {
            if let Some(used) = self.parse(fed, start)? {
                self.pending.extend_from_slice(&fed[used..]);
            }
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(fed);
        if let Some(used) = self.parse(&bytes, start)? {
            bytes.drain(..used);
            self.pending = bytes;
        }
        Ok(())
    }

    /// Parses the complete records in `bytes`, which lie at `start`, and returns their length; `None` if
    /// the parser has restarted at another offset.
    fn parse(&mut self, bytes: &[u8], start: u64) -> Result<Option<usize>, Error> {
        let mut used = 0;
        while used < bytes.len() && !self.ended {
            let at = start + used as u64;
            match central::read(&bytes[used..], self.encoding) {
                Ok((record, len)) => {
                    self.builder.add(record)?;
                    used += len;
                }
                Err(RecordError::Incomplete) => return Ok(Some(used)),
                Err(RecordError::NotARecord(DIGITAL_SIGNATURE)) => self.ended = true,
                Err(RecordError::NotARecord(_)) if at == self.range.start && self.prepended > 0 => {
                    // There is a gap after the directory, and no bytes are prepended: the directory is
                    // at its recorded offset.
                    let start = self.directory.offset;
                    let range = start..start + self.directory.size;
                    *self = Self::new(
                        self.directory.clone(),
                        range,
                        0,
                        self.blob_size,
                        self.encoding,
                    );
                    return Ok(None);
                }
                Err(RecordError::NotARecord(signature)) => {
                    let what = match signature {
                        ARCHIVE_EXTRA => "the central directory is encrypted",
                        _ => "there is no central directory record",
                    };
                    return Err(Error::damaged(at, what));
                }
                Err(RecordError::Split) => return Err(Error::Split),
                Err(RecordError::Damaged(what)) => return Err(Error::damaged(at, what)),
            }
        }
        Ok(Some(if self.ended { bytes.len() } else { used }))
    }

    pub(super) fn finish(self) -> Result<Index, Error> {
        if !self.pending.is_empty() || self.at < self.range.end {
            return Err(Error::damaged(self.at, "the central directory is cut off"));
        }
        let (seen, announced) = (self.builder.seen(), self.directory.entries);
        // Without ZIP64 the count has 16 bits, and some writers let it wrap.
        let is_right = if self.directory.is_zip64 {
            seen == announced
        } else {
            seen % 65_536 == announced
        };
        if !is_right {
            let what =
                format!("the central directory has {seen} entries and announces {announced}");
            return Err(Error::damaged(self.at, what));
        }
        self.builder.finish()
    }
}
