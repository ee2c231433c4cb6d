//! Walks from header to header, and builds the index. No I/O.

use std::ops::Range;

use super::TAR_BLOCK;
use super::builder::{Builder, Map, Member};
use super::describe::describe;
use super::extended::{Extended, Malformed, Sparse, Version};
use super::header::{self, Header, is_zero};
use super::map::{self, MapText};
use crate::archive::ending::{Ending, MAX_EXTENDED};
use crate::archive::error::Error;
use crate::archive::index::Index;
use crate::archive::sparse::Piece;
use crate::archive::zip::ParseOptions;

/// The largest size of a file on Linux, in bytes.
const LARGEST: u64 = i64::MAX as u64;

/// The longest old GNU sparse map in bytes, with the header. A map of the most pieces, 21 a block, is shorter.
const LONGEST_OLD_MAP: u64 = 32 << 20;

/// The walk over the members of a tar.
///
/// It says which bytes it needs next, and takes them in pieces of any size. Each header tells where the next one
/// lies, so it never wants more than one header, or one extended header, at once.
#[derive(Debug)]
pub struct TarWalk {
    size: u64,
    /// The range that is needed for the next step.
    need: Range<u64>,
    /// The beginning of it that was fed.
    fed: Vec<u8>,
    state: State,
    local: Extended,
    global: Extended,
    builder: Builder,
    /// Where a header lies if there is none right behind a hard link: some writers give links data.
    otherwise: Option<u64>,
    /// Whether there was an extended header for the next member.
    is_extended: bool,
}

#[derive(Debug)]
enum State {
    Header,
    /// The block behind one of zeros.
    Zeros,
    /// The header behind the data of a hard link, if it has data. Otherwise the archive ended at `at`.
    BehindZeros {
        at: u64,
        ending: Ending,
    },
    Extended {
        typeflag: u8,
        len: u64,
    },
    /// A block that continues the map of an old GNU sparse member.
    OldMap(Box<(Member, Vec<(u64, u64)>)>),
    /// A block of the map before the data of a sparse member.
    MapBeforeData(Box<(Member, MapText)>),
    Ended(Ending),
}

impl TarWalk {
    /// The walk over a blob of `size` bytes.
    pub fn new(size: u64, options: &ParseOptions) -> Self {
        Self::from(0, size, options)
    }

    /// A walk that begins at a header in the middle of the blob.
    pub fn from(offset: u64, size: u64, options: &ParseOptions) -> Self {
        let mut walk = Self {
            size,
            need: offset..offset,
            fed: Vec::new(),
            state: State::Header,
            local: Extended::default(),
            global: Extended::default(),
            builder: Builder::new(size, options.encoding),
            otherwise: None,
            is_extended: false,
        };
        walk.go(offset, TAR_BLOCK, State::Header);
        walk
    }

    /// The bytes that are needed next; `None` at the end.
    pub fn wants(&self) -> Option<Range<u64>> {
        match self.state {
            State::Ended(_) => None,
            _ => Some(self.need.start + self.fed.len() as u64..self.need.end),
        }
    }

    /// The number of members so far.
    pub fn seen(&self) -> u64 {
        self.builder.seen()
    }

    /// Takes what it needs of bytes that lie at `offset`, and goes as far as they lead.
    ///
    /// # Errors
    /// If there are too many members. Damage is no error: it ends the walk.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        while let Some(wanted) = self.wants() {
            let part = wanted.start.checked_sub(offset).and_then(|from| {
                let from = usize::try_from(from).ok()?;
                let rest = bytes.get(from..)?;
                let len = rest.len().min((wanted.end - wanted.start) as usize);
                (len > 0).then(|| &rest[..len])
            });
            let Some(part) = part else { return Ok(()) };
            if self.fed.is_empty() && part.len() as u64 == self.need.end - self.need.start {
                self.step(part)?;
            } else {
                self.fed.extend_from_slice(part);
                if self.fed.len() as u64 == self.need.end - self.need.start {
                    let all = std::mem::take(&mut self.fed);
                    self.step(&all)?;
                }
            }
        }
        Ok(())
    }

    /// The index, once nothing more is wanted.
    pub fn finish(self) -> Index {
        let ending = match self.state {
            State::Ended(ending) => ending,
            _ => Ending::Cut,
        };
        let end = self.need.start.min(self.size);
        self.builder.finish(end, ending, self.global.comment)
    }

    /// Goes to `len` bytes at `at`, or ends if they are not there.
    fn go(&mut self, at: u64, len: u64, state: State) {
        let end = at.saturating_add(len);
        self.need = at..end;
        self.state = if end <= self.size {
            state
        } else {
            // Nothing is lost if only bytes that fill up the last block are missing.
            let is_behind = at >= self.size && !self.is_extended;
            let here = match state {
                State::Zeros => at - TAR_BLOCK,
                _ => self.size,
            };
            self.need = here..here;
            State::Ended(match state {
                State::Zeros => Ending::Marked,
                State::Header if is_behind => Ending::Unmarked,
                _ => Ending::Cut,
            })
        };
    }

    /// Ends at `at`.
    fn end_at(&mut self, at: u64, ending: Ending) {
        self.need = at..at;
        self.end(ending);
    }

    /// Ends at the place of the header that is wrong.
    fn end(&mut self, ending: Ending) {
        self.state = State::Ended(ending);
    }

    /// Takes the bytes of [`need`](Self::need).
    fn step(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Ended(Ending::Cut)) {
            State::Header => self.header(bytes),
            State::Zeros => {
                let at = self.need.start - TAR_BLOCK;
                let ending = if is_zero(bytes) {
                    Ending::Marked
                } else {
                    Ending::Lone
                };
                let next = self.otherwise.take();
                match next.filter(|next| next.saturating_add(TAR_BLOCK) <= self.size) {
                    Some(next) => self.go(next, TAR_BLOCK, State::BehindZeros { at, ending }),
                    None => self.end_at(at, ending),
                }
                Ok(())
            }
            State::BehindZeros { at, ending } => {
                if Header::read(bytes).is_some() {
                    return self.header(bytes);
                }
                self.end_at(at, ending);
                Ok(())
            }
            State::Extended { typeflag, len } => {
                self.extended(typeflag, &bytes[..len as usize]);
                Ok(())
            }
            State::OldMap(started) => {
                let (member, mut pairs) = *started;
                let (more, goes_on) = header::more_pieces(bytes);
                self.old_map(
                    member,
                    more.map(|more| {
                        pairs.extend(more);
                        pairs
                    }),
                    goes_on,
                )
            }
            State::MapBeforeData(started) => {
                let (member, map) = *started;
                self.map_before_data(member, map, bytes)
            }
            State::Ended(ending) => {
                self.end(ending);
                Ok(())
            }
        }
    }

    fn header(&mut self, block: &[u8]) -> Result<(), Error> {
        let at = self.need.start;
        let Some(header) = Header::read(block) else {
            if is_zero(block) {
                self.go(at + TAR_BLOCK, TAR_BLOCK, State::Zeros);
            } else if let Some(next) = self.otherwise.take() {
                self.go(next, TAR_BLOCK, State::Header);
            } else {
                self.end(Ending::NoHeader);
            }
            return Ok(());
        };
        self.otherwise = None;
        let Some(size) = header.size() else {
            self.end(Ending::BadSize);
            return Ok(());
        };
        match header.typeflag() {
            typeflag @ (b'x' | b'X' | b'g' | b'L' | b'K') => {
                if size > MAX_EXTENDED {
                    self.end(Ending::LongExtended);
                } else if size == 0 {
                    self.need = at..at + TAR_BLOCK;
                    self.extended(typeflag, &[]);
                } else {
                    let state = State::Extended {
                        typeflag,
                        len: size,
                    };
                    self.go(at + TAR_BLOCK, size.next_multiple_of(TAR_BLOCK), state);
                }
                Ok(())
            }
            // A name of a volume, a part of a member of another volume, old GNU names, and lists of access rights
            // that precede their member: nothing of these is shown.
            typeflag @ (b'V' | b'M' | b'N' | b'A' | b'I') => {
                if matches!(typeflag, b'V' | b'M') {
                    self.local = Extended::default();
                    self.is_extended = false;
                }
                self.skip(at, TAR_BLOCK, size);
                Ok(())
            }
            _ => self.member(header, size),
        }
    }

    /// Takes an extended header whose data ends at the end of [`need`](Self::need).
    fn extended(&mut self, typeflag: u8, data: &[u8]) {
        let name = || {
            let end = data.iter().position(|byte| *byte == 0);
            Some(data[..end.unwrap_or(data.len())].to_vec())
        };
        let taken = match typeflag {
            b'L' => {
                self.local.path = name();
                Ok(())
            }
            b'K' => {
                self.local.link = name();
                Ok(())
            }
            b'g' => {
                let taken = self.global.take(data);
                // A map is that of one member.
                self.global.sparse = Sparse::default();
                taken
            }
            _ => self.local.take(data),
        };
        self.is_extended |= typeflag != b'g';
        match taken {
            Err(Malformed) => self.end(Ending::BadExtended),
            Ok(()) if self.global.names_are_long() => self.end(Ending::LongExtended),
            Ok(()) => self.go(self.need.end, TAR_BLOCK, State::Header),
        }
    }

    fn member(&mut self, header: Header, header_size: u64) -> Result<(), Error> {
        let at = self.need.start;
        self.is_extended = false;
        let local = std::mem::take(&mut self.local);
        let recorded = local.size.or(self.global.size).unwrap_or(header_size);
        let (member, sparse) = describe(header, at, recorded, local, &self.global);
        let end_of = |len: u64| at.checked_add(TAR_BLOCK)?.checked_add(len);
        let end = end_of(member.stored);
        if member.size > LARGEST || end.is_none_or(|end| end > LARGEST) {
            self.end(Ending::BadSize);
            return Ok(());
        }
        if header.typeflag() == b'1' && recorded > 0 {
            self.otherwise =
                end_of(recorded).and_then(|end| end.checked_next_multiple_of(TAR_BLOCK));
        }
        match sparse {
            None => self.add(member, TAR_BLOCK),
            Some(sparse) => self.place(member, header, &sparse),
        }
    }

    /// Adds a sparse member, or goes to the rest of its map.
    fn place(&mut self, member: Member, header: Header, sparse: &Sparse) -> Result<(), Error> {
        match sparse.version() {
            None => {
                let (pairs, goes_on) = header.pieces();
                self.old_map(member, pairs, goes_on)
            }
            Some(Version::MapInHeader) => {
                let (pairs, odd) = sparse.pieces.as_chunks::<2>();
                let pairs = pairs.iter().map(|[at, len]| (*at, *len));
                let stored = 0..member.stored;
                let pieces = map::pieces(pairs, member.size, stored).ok();
                self.add_sparse(member, TAR_BLOCK, pieces.filter(|_| odd.is_empty()))
            }
            Some(Version::MapBeforeData) => {
                let map = MapText::new(self.builder.room());
                self.want_map(member, map)
            }
        }
    }

    /// Goes on with the map of an old GNU sparse member; `None`: its numbers are malformed.
    fn old_map(
        &mut self,
        member: Member,
        pairs: Option<Vec<(u64, u64)>>,
        goes_on: bool,
    ) -> Result<(), Error> {
        let distance = self.need.end - member.header_offset;
        match pairs {
            Some(pairs)
                if goes_on && pairs.len() <= self.builder.room() && distance < LONGEST_OLD_MAP =>
            {
                self.go(
                    self.need.end,
                    TAR_BLOCK,
                    State::OldMap((member, pairs).into()),
                );
                Ok(())
            }
            // Where its data begins is unknown if the rest of the map is.
            _ if goes_on => {
                self.end(Ending::BadSize);
                Ok(())
            }
            pairs => {
                let pairs = pairs.unwrap_or_else(|| vec![(u64::MAX, 1)]);
                let pieces = map::pieces(pairs, member.size, 0..member.stored);
                self.add_sparse(member, distance, pieces.ok())
            }
        }
    }

    fn want_map(&mut self, member: Member, map: MapText) -> Result<(), Error> {
        let start = member.header_offset + TAR_BLOCK + map.len;
        if map.len + TAR_BLOCK > member.stored.next_multiple_of(TAR_BLOCK) {
            return self.add_sparse(member, TAR_BLOCK, None);
        }
        self.go(start, TAR_BLOCK, State::MapBeforeData((member, map).into()));
        Ok(())
    }

    fn map_before_data(
        &mut self,
        member: Member,
        mut map: MapText,
        block: &[u8],
    ) -> Result<(), Error> {
        let pieces = match map.take(block) {
            Ok(false) => return self.want_map(member, map),
            Ok(true) => map::pieces(map.pairs(), member.size, map.len..member.stored).ok(),
            Err(_) => None,
        };
        self.add_sparse(member, TAR_BLOCK, pieces)
    }

    fn add_sparse(
        &mut self,
        mut member: Member,
        distance: u64,
        pieces: Option<Vec<Piece>>,
    ) -> Result<(), Error> {
        let room = self.builder.room();
        let pieces = pieces.filter(|pieces| pieces.len() <= room);
        member.map = pieces.map_or(Map::Bad, |pieces| Map::Sparse(distance, pieces));
        self.add(member, distance)
    }

    /// Adds a member whose data begins at this distance from its header, and goes to the next.
    fn add(&mut self, member: Member, distance: u64) -> Result<(), Error> {
        self.builder.add(&member)?;
        self.skip(member.header_offset, distance, member.stored);
        Ok(())
    }

    /// Goes to the header behind a member.
    fn skip(&mut self, header: u64, distance: u64, stored: u64) {
        let end = header
            .checked_add(distance)
            .and_then(|data| data.checked_add(stored));
        let next = end.and_then(|end| end.checked_next_multiple_of(TAR_BLOCK));
        match (end, next) {
            (Some(end), Some(next)) if end <= self.size => {
                self.go(next, TAR_BLOCK, State::Header);
            }
            (Some(_), Some(_)) => {
                self.need = self.size..self.size;
                self.end(Ending::Cut);
            }
            _ => self.end(Ending::BadSize),
        }
    }
}
