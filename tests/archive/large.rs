//! Blobs of a size that no test writes: bytes are made where they are asked for.

use std::ops::Range;

use aiozfs::archive::Error;

use crate::drive;
use crate::zips::{Item, eocd, eocd64, locator, zip64};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// A blob that is zero but for some pieces.
struct Sparse {
    size: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Sparse {
    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        for (start, bytes) in &self.pieces {
            let end = start + bytes.len() as u64;
            let (from, to) = (at.max(*start), end.min(at + len as u64));
            if from < to {
                let part = &bytes[(from - start) as usize..(to - start) as usize];
                out[(from - at) as usize..(to - at) as usize].copy_from_slice(part);
            }
        }
        out
    }

    /// With a ZIP64 end behind a directory.
    fn ended(mut self, directory: Vec<u8>, at: u64, entries: u64) -> Self {
        let size = directory.len() as u64;
        let end = at + size;
        let tail = [
            directory,
            eocd64(entries, size, at, b""),
            locator(end),
            eocd((u16::MAX, u32::MAX, u32::MAX), 0, b""),
        ];
        let tail = tail.concat();
        self.size = at + tail.len() as u64;
        self.pieces.push((at, tail));
        self
    }
}

#[test]
fn five_terabytes() {
    let places: [(&str, u64, u64); 4] = [
        ("first", 0, 4 * GIB + 5),
        ("past 4 GiB", 5 * GIB, 100),
        ("past 4 TiB", 4 * TIB + 7, 3 * MIB),
        ("last", 5 * TIB - MIB, 10),
    ];
    let mut sparse = Sparse {
        size: 0,
        pieces: Vec::new(),
    };
    let mut directory = Vec::new();
    for (name, at, size) in places {
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
        sparse.pieces.push((at, item.local()));
    }
    let sparse = sparse.ended(directory, 5 * TIB, 4);

    let read = |at, len| sparse.read(at, len);
    let index = drive::sparse_index(sparse.size, "", || 1000, read).expect("an index");
    assert_eq!(index.len(), 4);
    for (id, (name, at, size)) in index.ids().zip(places) {
        assert_eq!(index.path(id), name.as_bytes());
        assert_eq!(index.readable(id), Ok(()));
        let check = index.header_check(id);
        let Range { start, end } = check.range();
        let extent = check
            .confirm(&read(start, (end - start) as usize))
            .expect("confirmed");
        let data = at + 30 + name.len() as u64 + 20;
        assert_eq!((extent.offset, extent.len), (data, size), "{name}");
    }
}

/// An archive announces a directory of a terabyte with a trillion entries: nothing of the kind is
/// reserved before their bytes have come.
#[test]
fn announced_sizes_reserve_nothing() {
    let directory = Item::new("only one", "").central(0);
    let at = 2 * TIB;
    let size = TIB;
    let tail = [
        eocd64(1 << 40, size, at, b""),
        locator(at + size),
        eocd((u16::MAX, u32::MAX, u32::MAX), 0, b""),
    ];
    let tail = tail.concat();
    let sparse = Sparse {
        size: at + size + tail.len() as u64,
        pieces: vec![(at, directory), (at + size, tail)],
    };
    let read = |at, len| sparse.read(at, len);
    let error = drive::sparse_index(sparse.size, "", || MIB as usize, read).expect_err("a lie");
    let expected = Error::Damaged {
        offset: at + 54,
        what: "there is no central directory record".into(),
    };
    assert_eq!(error, expected);
}

/// The end is searched where it can be, whatever more of the tail has been read.
#[test]
fn the_end_is_searched_in_the_last_65557_bytes() {
    for (behind, is_found) in [(65_535, true), (65_536, false)] {
        let mut blob = eocd((0, 0, 0), 0, b"");
        blob.resize(22 + behind, b' ');
        let result = drive::index(&blob, "", || usize::MAX);
        assert_eq!(result.is_ok(), is_found, "{behind} bytes behind");
    }
}
