//! Blobs larger than a test can write: bytes are generated when they are read.

use std::ops::Range;

use aiozfs::archive::Error;

use super::drive;
use crate::common::vast::Vast;
use crate::common::zips::{Item, eocd, eocd64, locator};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

#[test]
fn five_terabytes() {
    let places: [(&str, u64, u64); 4] = [
        ("first", 0, 4 * GIB + 5),
        ("past 4 GiB", 5 * GIB, 100),
        ("past 4 TiB", 4 * TIB + 7, 3 * MIB),
        ("last", 5 * TIB - MIB, 10),
    ];
    let (mut blob, mut directory) = (Vast::default(), Vec::new());
    for (name, at, size) in places {
        blob.add(&mut directory, name, at, size);
    }
    blob.end(directory, 5 * TIB, 4);

    let read = |at, len| blob.read(at..at + len as u64);
    let index = drive::sparse_index(blob.size, "", || 1000, read).expect("an index");
    assert_eq!(index.len(), 4);
    for (id, (name, at, size)) in index.ids().zip(places) {
        assert_eq!(index.path(id), name.as_bytes());
        assert_eq!(index.stored(id), Ok(()));
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
fn announced_sizes_reserve_no_memory() {
    let directory = Item::new("only one", "").central(0);
    let at = 2 * TIB;
    let size = TIB;
    let tail = [
        eocd64(1 << 40, size, at, b""),
        locator(at + size),
        eocd((u16::MAX, u32::MAX, u32::MAX), 0, b""),
    ];
    let tail = tail.concat();
    let mut blob = Vast::zeroes(at + size + tail.len() as u64);
    blob.put(at, directory);
    blob.put(at + size, tail);
    let read = |at, len| blob.read(at..at + len as u64);
    let error = drive::sparse_index(blob.size, "", || MIB as usize, read).expect_err("a lie");
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
