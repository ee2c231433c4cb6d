//! The data of an entry, decoded from memory.

use std::io::{self, BufRead, Read};

use aiozfs::archive::{Entry, Index, Kind, Method, Timestamp};
use aiozfs::decode::{Checkpoint, Codec, Error, Input, Key, Memory};

use crate::common::coded::PASSWORD;

/// The memory that is enough for everything that honest programs write in these tests, in bytes.
pub const ENOUGH: u64 = 256 << 20;

/// Bytes in memory, a few at a time.
pub struct Bytes {
    bytes: Vec<u8>,
    at: usize,
    /// The offset of the first byte.
    first: u64,
    /// The most bytes that it gives at once.
    step: usize,
}

impl Bytes {
    pub fn new(bytes: &[u8], first: u64, step: usize) -> Self {
        let bytes = bytes.to_vec();
        let at = 0;
        Self {
            bytes,
            at,
            first,
            step,
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Bytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.bytes[self.at..];
        Ok(&rest[..rest.len().min(self.step)])
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
    }
}

impl Input for Bytes {
    fn position(&self) -> u64 {
        self.first + self.at as u64
    }
}

/// What the directory says of an entry with this data; `size` is that of the content.
pub fn entry(method: Method, data: &[u8], size: u64) -> Entry {
    Entry {
        header_offset: 0,
        size,
        compressed_size: data.len() as u64,
        crc32: None,
        method,
        flags: 0,
        encryption: None,
        kind: Kind::File,
        mode: None,
        owner: None,
        mtime: Timestamp::default(),
    }
}

/// The data of an entry, as the archive has it.
pub struct Data {
    pub name: String,
    pub entry: Entry,
    pub stored: Vec<u8>,
    pub step: usize,
}

impl Data {
    /// Of each file of an archive.
    pub fn all(index: &Index, blob: &[u8]) -> Vec<Self> {
        let ids = index.ids().filter(|id| index.kind(*id) == Kind::File);
        let each = ids.map(|id| {
            assert_eq!(index.readable(id), Ok(()));
            let check = index.header_check(id);
            let header = check.range().start as usize..check.range().end as usize;
            let extent = check.confirm(&blob[header]).expect("its header").range();
            Self {
                name: String::from_utf8_lossy(index.path(id)).into_owned(),
                entry: index.get(id),
                stored: blob[extent.start as usize..extent.end as usize].to_vec(),
                step: 4096,
            }
        });
        each.collect()
    }

    pub fn open(&self, from: Option<&Checkpoint>) -> Result<Box<dyn Codec>, Error> {
        self.open_with(PASSWORD, from)
    }

    pub fn open_with(
        &self,
        password: &str,
        from: Option<&Checkpoint>,
    ) -> Result<Box<dyn Codec>, Error> {
        let begin = from.map_or(0, |from| from.input);
        let before = self.entry.encryption.map_or(0, |e| e.overhead().0) as usize;
        let rest = self
            .stored
            .get(before + begin as usize..)
            .unwrap_or_default();
        let raw = Box::new(Bytes::new(rest, begin, self.step));
        let input: Box<dyn Input> = match self.entry.encryption {
            None => raw,
            Some(encryption) => {
                let (header, len) = (&self.stored[..], self.stored.len() as u64);
                let key = Key::unlock(encryption, header, len, password.as_bytes())?;
                key.input(raw, from)?
            }
        };
        aiozfs::decode::open(
            &self.entry,
            input,
            from,
            Memory::new(ENOUGH).share_at_once(),
        )
    }

    /// All plain bytes. More than the entry has are too many.
    pub fn decode(&self) -> Result<Vec<u8>, Error> {
        read_all(&mut *self.open(None)?, self.entry.size)
    }
}

/// All plain bytes of a codec, up to some more than `size`.
pub fn read_all(codec: &mut dyn Codec, size: u64) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    let mut piece = vec![0; 30_000];
    loop {
        let count = codec.read(&mut piece)?;
        all.extend_from_slice(&piece[..count]);
        if count == 0 || all.len() as u64 > size + 1_000_000 {
            return Ok(all);
        }
    }
}
