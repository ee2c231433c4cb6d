//! The parser: asks for ranges of the blob and builds the index. No I/O.

use std::ops::Range;

use super::encoding::Encoding;
use super::records::Records;
use super::tail::{self, Directory, EOCD64_LEN, Found};
use crate::archive::error::Error;
use crate::archive::index::Index;

/// Length of the first range, at the end of the blob, in bytes. It covers the longest comment and, in
/// most archives of a thousand entries, the whole central directory and the playlists before it. A new
/// connection transfers it in three round trips: the initial window is 10 segments of 1,460 bytes (RFC
/// 6928) and doubles twice, which makes 102,200 bytes with the HTTP head.
pub const TAIL: u64 = 96 * 1024;

/// Options of the parser.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {
    /// The encoding of names that are not UTF-8.
    pub encoding: Encoding,
}

/// Finds and parses the central directory without I/O: it says which range it wants, and is fed the bytes
/// in pieces of any size.
#[derive(Debug)]
pub struct IndexParser {
    blob_size: u64,
    encoding: Encoding,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Collects the last bytes of the blob, from `start` on.
    Tail { start: u64, bytes: Vec<u8> },
    /// Collects the presumed ZIP64 EOCD at `at`. `others`: other offsets where it may be.
    Zip64 {
        at: u64,
        bytes: Vec<u8>,
        others: Vec<u64>,
        directory: Directory,
    },
    /// Parses records as they come.
    Records(Box<Records>),
}

impl IndexParser {
    /// A parser for a blob of `blob_size` bytes.
    pub fn new(blob_size: u64, options: ParseOptions) -> Result<Self, Error> {
        let ParseOptions { encoding } = options;
        if blob_size < 22 {
            return Err(Error::NotAnArchive { size: blob_size });
        }
        let start = blob_size.saturating_sub(TAIL);
        let bytes = Vec::with_capacity((blob_size - start) as usize);
        Ok(Self {
            blob_size,
            encoding,
            state: State::Tail { start, bytes },
        })
    }

    /// The next range that is wanted; `None` at the end.
    pub fn wants(&self) -> Option<Range<u64>> {
        let range = match &self.state {
            State::Tail { start, bytes } => start + bytes.len() as u64..self.blob_size,
            State::Zip64 { at, bytes, .. } => at + bytes.len() as u64..at + EOCD64_LEN,
            State::Records(records) => records.wants(),
        };
        (!range.is_empty()).then_some(range)
    }

    /// Takes the next bytes of [`wants`](Self::wants): any number of them, but none after its end.
    ///
    /// # Errors
    /// If the archive is damaged or not a ZIP.
    pub fn feed(&mut self, fed: &[u8]) -> Result<(), Error> {
        match &mut self.state {
            State::Tail { bytes, .. } | State::Zip64 { bytes, .. } => bytes.extend_from_slice(fed),
            State::Records(records) => return records.feed(fed),
        }
        match self.wants() {
            None => self.advance(),
            Some(_) => Ok(()),
        }
    }

    /// The numbers of entries parsed and announced.
    pub fn progress(&self) -> (u64, u64) {
        match &self.state {
            State::Records(records) => records.progress(),
            _ => (0, 0),
        }
    }

    /// The index, once nothing more is wanted.
    pub fn finish(self) -> Result<Index, Error> {
        match self.state {
            State::Records(records) => records.finish(),
            _ => Err(Error::NotAnArchive {
                size: self.blob_size,
            }),
        }
    }

    /// Evaluates the collected bytes, and moves to the next state.
    fn advance(&mut self) -> Result<(), Error> {
        let idle = State::Tail {
            start: self.blob_size,
            bytes: Vec::new(),
        };
        match std::mem::replace(&mut self.state, idle) {
            State::Tail { bytes, .. } => match tail::find(&bytes, self.blob_size)? {
                Found::Directory(directory) => self.begin_records(directory),
                Found::Zip64 { places, directory } => self.try_zip64(places, directory),
            },
            State::Zip64 {
                at,
                bytes,
                others,
                directory,
            } => match tail::read_zip64(&bytes, at, &directory)? {
                Some(directory) => self.begin_records(directory),
                None => self.try_zip64(others, directory),
            },
            State::Records(_) => Ok(()),
        }
    }

    /// Wants the ZIP64 EOCD at the first of `places` that lies before the EOCD.
    fn try_zip64(&mut self, places: Vec<u64>, directory: Directory) -> Result<(), Error> {
        let fits = |at: &u64| {
            at.checked_add(EOCD64_LEN)
                .is_some_and(|end| end <= directory.end)
        };
        let mut places = places.into_iter().filter(fits);
        let Some(at) = places.next() else {
            if !directory.needs_zip64 {
                return self.begin_records(directory);
            }
            let what = "the ZIP64 end-of-central-directory record is not where its locator says";
            return Err(Error::damaged(directory.end, what));
        };
        self.state = State::Zip64 {
            at,
            bytes: Vec::new(),
            others: places.collect(),
            directory,
        };
        Ok(())
    }

    fn begin_records(&mut self, directory: Directory) -> Result<(), Error> {
        let (range, prepended) = tail::place(&directory)?;
        self.state = State::Records(Box::new(Records::new(
            directory,
            range,
            prepended,
            self.blob_size,
            self.encoding,
        )));
        Ok(())
    }
}
