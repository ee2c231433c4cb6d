//! stub
#![allow(missing_docs, unused)]
use std::ops::Range;
pub const TAIL: u64 = 128 * 1024;
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u32);
impl EntryId {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub len: u64,
}
impl Extent {
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Stored,
    Deflated,
    Other(u16),
}
impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    pub secs: i64,
    pub nanos: u32,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub header_offset: u64,
    pub size: u64,
    pub compressed_size: u64,
    pub crc32: u32,
    pub method: Method,
    pub encrypted: bool,
    pub kind: Kind,
    pub mode: Option<u16>,
    pub mtime: Timestamp,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Special,
}
#[derive(Debug, Clone, Default)]
pub struct ParseOptions {}
pub struct IndexParser;
impl IndexParser {
    pub fn new(_: u64, _: ParseOptions) -> Result<Self, Error> {
        todo!()
    }
    pub fn wants(&self) -> Option<Range<u64>> {
        todo!()
    }
    pub fn feed(&mut self, _: &[u8]) -> Result<(), Error> {
        todo!()
    }
    pub fn finish(self) -> Result<Index, Error> {
        todo!()
    }
}
pub struct Index;
impl Index {
    pub fn len(&self) -> usize {
        0
    }
    pub fn get(&self, _: EntryId) -> Entry {
        todo!()
    }
    pub fn readable(&self, _: EntryId) -> Result<(), Error> {
        todo!()
    }
    pub fn header_check(&self, _: EntryId) -> HeaderCheck {
        todo!()
    }
    pub fn cd_range(&self) -> Range<u64> {
        todo!()
    }
    pub fn blob_size(&self) -> u64 {
        0
    }
}
pub struct HeaderCheck;
impl HeaderCheck {
    pub fn range(&self) -> Range<u64> {
        todo!()
    }
    pub fn predicted(&self) -> Extent {
        todo!()
    }
    pub fn confirm(&self, _: &[u8]) -> Result<Extent, Error> {
        todo!()
    }
}
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    X,
}
impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
