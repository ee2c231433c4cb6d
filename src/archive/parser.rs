//! From a blob's size to its index, asking for ranges.

use std::ops::Range;

use super::central::{self, DIGITAL_SIGNATURE, Lack};
use super::error::Error;
use super::index::{Builder, Index};
use super::tail::{self, Directory, EOCD64_LEN, Found};

/// How much of the end is asked for first, in bytes: enough for the longest comment and, in most
/// archives of a thousand entries, for the whole central directory and the playlists before it.
pub const TAIL: u64 = 128 * 1024;

/// How to read an archive.
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {}

/// Finds and parses the central directory without doing any I/O: it says which range it wants,
/// and is fed its bytes in pieces of any size.
#[derive(Debug)]
pub struct IndexParser {
    blob_size: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Collects the last bytes, which begin at `start`.
    Tail { start: u64, bytes: Vec<u8> },
    /// Collects what should be the ZIP64 EOCD. `others`: where else it may be.
    Zip64 {
        at: u64,
        bytes: Vec<u8>,
        others: Vec<u64>,
        directory: Directory,
    },
    /// Parses records as they come.
    Records(Box<Records>),
}

#[derive(Debug)]
struct Records {
    builder: Builder,
    directory: Directory,
    range: Range<u64>,
    /// The offset of the next byte to be fed.
    at: u64,
    /// The beginning of a record that has not come whole.
    pending: Vec<u8>,
    prepended: u64,
    /// The records are over, though the directory is not.
    ended: bool,
}

impl IndexParser {
    /// A parser for a blob of `blob_size` bytes.
    pub fn new(blob_size: u64, options: ParseOptions) -> Result<Self, Error> {
        let ParseOptions {} = options;
        if blob_size < 22 {
            return Err(Error::NotAnArchive { size: blob_size });
        }
        let start = blob_size.saturating_sub(TAIL);
        let bytes = Vec::with_capacity((blob_size - start) as usize);
        Ok(Self {
            blob_size,
            state: State::Tail { start, bytes },
        })
    }

    /// The range that is wanted next; `None` when there is nothing more to feed.
    pub fn wants(&self) -> Option<Range<u64>> {
        let range = match &self.state {
            State::Tail { start, bytes } => start + bytes.len() as u64..self.blob_size,
            State::Zip64 { at, bytes, .. } => at + bytes.len() as u64..at + EOCD64_LEN,
            State::Records(records) => records.at..records.range.end,
        };
        (!range.is_empty()).then_some(range)
    }

    /// Takes the next bytes of [`wants`](Self::wants): as many of them as there are, none beyond.
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

    /// How many entries have been parsed, and how many are announced.
    pub fn progress(&self) -> (u64, u64) {
        match &self.state {
            State::Records(records) => (records.builder.seen(), records.directory.entries),
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

    /// All that was wanted has come: on to what it says.
    fn advance(&mut self) -> Result<(), Error> {
        let idle = State::Tail {
            start: self.blob_size,
            bytes: Vec::new(),
        };
        match std::mem::replace(&mut self.state, idle) {
            State::Tail { bytes, .. } => match tail::find(&bytes, self.blob_size)? {
                Found::Directory(directory) => self.begin_records(directory),
                Found::Zip64 {
                    said,
                    before_locator,
                    directory,
                } => self.try_zip64(vec![said, before_locator], directory),
            },
            State::Zip64 {
                at,
                bytes,
                others,
                directory,
            } => match tail::read_zip64(&bytes, at, directory.clone()) {
                Some(directory) => self.begin_records(directory),
                None => self.try_zip64(others, directory),
            },
            State::Records(_) => Ok(()),
        }
    }

    /// Asks for the ZIP64 EOCD at the first of `places` that lies before the EOCD.
    fn try_zip64(&mut self, places: Vec<u64>, directory: Directory) -> Result<(), Error> {
        let fits = |at: &u64| {
            at.checked_add(EOCD64_LEN)
                .is_some_and(|end| end <= directory.end)
        };
        let mut places = places.into_iter().filter(fits);
        let at = places.next().ok_or_else(|| Error::Damaged {
            offset: directory.end,
            what: "the ZIP64 end-of-central-directory record is not where its locator says".into(),
        })?;
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
        )));
        Ok(())
    }
}

impl Records {
    fn new(directory: Directory, range: Range<u64>, prepended: u64, blob_size: u64) -> Self {
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
            ended: false,
        }
    }

    fn feed(&mut self, fed: &[u8]) -> Result<(), Error> {
        let start = self.at - self.pending.len() as u64;
        self.at += fed.len() as u64;
        if self.pending.is_empty() {
            let used = self.parse(fed, start)?;
            if let Some(used) = used {
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

    /// Parses the records that `bytes`, which lie at `start`, hold whole, and returns how many
    /// bytes they take; `None` if the parser has begun anew elsewhere.
    fn parse(&mut self, bytes: &[u8], start: u64) -> Result<Option<usize>, Error> {
        let mut used = 0;
        while used < bytes.len() && !self.ended {
            let at = start + used as u64;
            match central::read(&bytes[used..]) {
                Ok((record, len)) => {
                    self.builder.add(&record, at)?;
                    used += len;
                }
                Err(Lack::More) => return Ok(Some(used)),
                Err(Lack::NotARecord(DIGITAL_SIGNATURE)) => self.ended = true,
                Err(Lack::NotARecord(_)) if at == self.range.start && self.prepended > 0 => {
                    // Not prepended bytes, but a gap behind a directory that is where it says.
                    let start = self.directory.offset;
                    let range = start..start + self.directory.size;
                    let blob_size = self.range.end.max(range.end);
                    *self = Self::new(self.directory.clone(), range, 0, blob_size);
                    return Ok(None);
                }
                Err(Lack::NotARecord(_)) => {
                    return Err(Error::Damaged {
                        offset: at,
                        what: "there is no central directory record".into(),
                    });
                }
                Err(Lack::Damaged(what)) => {
                    return Err(Error::Damaged {
                        offset: at,
                        what: what.into(),
                    });
                }
            }
        }
        Ok(Some(if self.ended { bytes.len() } else { used }))
    }

    fn finish(self) -> Result<Index, Error> {
        let damaged = |what: String| Error::Damaged {
            offset: self.at,
            what,
        };
        if !self.pending.is_empty() || self.at < self.range.end {
            return Err(damaged("the central directory is cut off".into()));
        }
        let (seen, announced) = (self.builder.seen(), self.directory.entries);
        // Without ZIP64 the number has 16 bits, and some writers let it wrap.
        let is_right = match self.directory.is_zip64 {
            true => seen == announced,
            false => seen % 65_536 == announced,
        };
        if !is_right {
            return Err(damaged(format!(
                "the central directory has {seen} entries and announces {announced}"
            )));
        }
        Ok(self.builder.finish())
    }
}
