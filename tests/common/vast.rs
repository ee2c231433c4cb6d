//! A blob larger than any disk of a test: zeroes except for some ranges, generated when it is read.

use std::ops::Range;

use super::zips::{Item, eocd, eocd64, locator, zip64};

/// The blob.
#[derive(Default)]
pub struct Vast {
    pub size: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Vast {
    pub fn zeroes(size: u64) -> Self {
        Self {
            size,
            pieces: Vec::new(),
        }
    }

    pub fn put(&mut self, at: u64, bytes: impl Into<Vec<u8>>) {
        self.pieces.push((at, bytes.into()));
    }

    /// Writes the local header of a file of `size` bytes at `at`, and its record behind `directory`, with
    /// ZIP64 fields where a number needs one. Returns where its data begins.
    pub fn add(&mut self, directory: &mut Vec<u8>, name: &str, at: u64, size: u64) -> u64 {
        let mut item = Item::new(name, "");
        let mut numbers = Vec::new();
        match u32::try_from(size) {
            Ok(size) => item.sizes = (size, size),
            Err(_) => {
                item.sizes = (u32::MAX, u32::MAX);
                numbers.extend([size, size]);
            }
        }
        item.local_numbers = (item.crc, item.sizes.1, item.sizes.0);
        item.local_extra = zip64(&[size, size]);
        if at > u32::MAX.into() {
            item.offset = Some(u32::MAX);
            numbers.push(at);
        }
        item.extra = zip64(&numbers);
        directory.extend(item.central(at as u32));
        let header = item.local();
        let data = at + header.len() as u64;
        self.put(at, header);
        data
    }

    /// Ends it with a directory and a ZIP64 end behind that.
    pub fn end(&mut self, directory: Vec<u8>, at: u64, entries: u64) {
        let len = directory.len() as u64;
        let parts = [
            directory,
            eocd64(entries, len, at, b""),
            locator(at + len),
            eocd((u16::MAX, u32::MAX, u32::MAX), 0, b""),
        ];
        let tail = parts.concat();
        self.size = at + tail.len() as u64;
        self.put(at, tail);
    }

    pub fn read(&self, range: Range<u64>) -> Vec<u8> {
        let mut out = vec![0; (range.end - range.start) as usize];
        for (start, bytes) in &self.pieces {
            let end = start + bytes.len() as u64;
            let (from, to) = (range.start.max(*start), range.end.min(end));
            if from < to {
                let part = &bytes[(from - start) as usize..(to - start) as usize];
                out[(from - range.start) as usize..(to - range.start) as usize]
                    .copy_from_slice(part);
            }
        }
        out
    }
}
