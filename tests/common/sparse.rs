//! An archive of zeroes except for its headers. It is generated as it is read, so it may be very large and needs
//! almost no memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::link::Content;

/// The records of a ZIP of stored entries (APPNOTE 6.3.10), by where they lie.
#[derive(Default)]
pub struct Sparse {
    records: BTreeMap<u64, Vec<u8>>,
    directory: Vec<u8>,
    entries: u16,
    end: u64,
}

impl Sparse {
    /// Adds a file of `size` zeroes.
    pub fn add(&mut self, name: &str, size: u32) {
        // Version, flags, method, time and date (1980-01-01), CRC-32, both sizes, length of name.
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        common.extend([0; 4]); // nobody compares it here
        common.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let local = [b"PK\x03\x04", &*common, name.as_bytes()].concat();
        self.directory
            .extend([&b"PK\x01\x02\x0a\x03"[..], &common, &[0; 6]].concat());
        self.directory.extend((0o100_644_u32 << 16).to_le_bytes());
        self.directory.extend((self.end as u32).to_le_bytes());
        self.directory.extend(name.as_bytes());
        let at = self.end;
        self.end += local.len() as u64 + u64::from(size);
        self.records.insert(at, local);
        self.entries += 1;
    }

    /// How long the archive is, and its bytes.
    pub fn finish(mut self) -> (u64, Content) {
        let count = self.entries.to_le_bytes();
        let mut tail = self.directory;
        let len = tail.len() as u32;
        tail.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count].concat());
        tail.extend([len.to_le_bytes(), (self.end as u32).to_le_bytes()].concat());
        tail.extend([0, 0]);
        let size = self.end + tail.len() as u64;
        self.records.insert(self.end, tail);
        let records = self.records;
        (size, Arc::new(move |range| bytes_of(&records, range)))
    }
}

fn bytes_of(records: &BTreeMap<u64, Vec<u8>>, range: Range<u64>) -> Bytes {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    let before = records.range(..range.start).next_back();
    for (at, record) in before.into_iter().chain(records.range(range.clone())) {
        let from = (*at).max(range.start);
        let to = (at + record.len() as u64).min(range.end);
        if from < to {
            let piece = &record[(from - at) as usize..(to - at) as usize];
            bytes[(from - range.start) as usize..(to - range.start) as usize]
                .copy_from_slice(piece);
        }
    }
    bytes.into()
}
