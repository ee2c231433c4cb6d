//! Compressed data that is damaged, cut, or not what the directory lists: an error, never a wrong end, within
//! bounded time and memory.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiozfs::decode::Error;
use tempfile::TempDir;

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::tree;
use crate::common::zips::Item;

/// A small and a large entry.
const LENS: [usize; 2] = [200_000, 3 << 20];

struct Made {
    _folder: TempDir,
    path: PathBuf,
}

fn archive(items: Vec<Item>) -> Made {
    let folder = tree::temp();
    let path = folder.path().join("a.zip");
    fs::write(&path, zip(items)).expect("a file");
    Made {
        _folder: folder,
        path,
    }
}

/// Reads all of an entry.
fn read(item: Item) -> Result<Vec<u8>, Error> {
    let size = u64::from(item.sizes.0);
    let name = String::from_utf8(item.name.clone()).expect("a plain name");
    let made = archive(vec![item]);
    let opened = Opened::file(&made.path, options(256 << 10));
    opened.read_through(&name, size)
}

fn failure(item: Item) -> Error {
    read(item).expect_err("it is wrong")
}

#[test]
fn wrong_sizes_and_checksums_are_errors() {
    for len in LENS {
        let plain = plain(7, len);
        let right = || item("f", &plain, deflated(&plain, 6));
        let error = failure(
            right()
                .with(|item| item.crc ^= 1)
                .with(|item| item.local_numbers.0 ^= 1),
        );
        assert!(matches!(error, Error::Checksum { .. }), "{len}: {error}");

        let shorter = right()
            .with(|item| item.sizes.0 -= 1)
            .with(|item| item.local_numbers.2 -= 1);
        let error = failure(shorter);
        assert_eq!(
            error,
            Error::TooLong {
                size: len as u64 - 1
            }
        );

        let longer = right()
            .with(|item| item.sizes.0 += 1)
            .with(|item| item.local_numbers.2 += 1);
        let error = failure(longer);
        let size = len as u64 + 1;
        assert!(
            matches!(error, Error::TooShort { size: told, .. } if told == size),
            "{error}"
        );
    }
}

#[test]
fn damage_at_any_place_is_an_error() {
    for len in LENS {
        let plain = plain(8, len);
        let stored = deflated(&plain, 6);
        let mut random = fastrand::Rng::with_seed(len as u64);
        for place in 0..12 {
            let mut bad = stored.clone();
            let at = match place {
                0 => 0,
                1 => bad.len() - 1,
                _ => random.usize(..bad.len()),
            };
            bad[at] ^= 1 << random.u8(0..8);
            // The last byte has bits that mean nothing.
            let is_right = match &read(item("f", &plain, bad)) {
                Ok(bytes) => *bytes == plain,
                Err(error) => matches!(
                    error,
                    Error::Damaged { .. }
                        | Error::Checksum { .. }
                        | Error::TooShort { .. }
                        | Error::TooLong { .. }
                ),
            };
            assert!(is_right, "{len}, byte {at}");
        }
        for end in [0, 1, stored.len() / 2, stored.len() - 1] {
            let error = failure(item("f", &plain, stored[..end].to_vec()));
            let is_right = matches!(error, Error::Damaged { .. } | Error::TooShort { .. });
            assert!(is_right, "{len}, cut at {end}: {error}");
        }
    }
}

/// The part before the damage can be read, and a whole entry beside it.
#[test]
fn what_lies_before_the_damage_is_read() {
    let plain = plain(8, 3 << 20);
    let mut bad = deflated(&plain, 6);
    let at = bad.len() * 9 / 10;
    bad[at..at + 2000].fill(0xff);
    let good = deflated(&plain, 6);
    let made = archive(vec![item("bad", &plain, bad), item("good", &plain, good)]);
    let opened = Opened::file(&made.path, options(256 << 10));
    assert_eq!(opened.read("bad", 0..1000).expect("bytes"), plain[..1000]);
    let read = opened.read_through("bad", plain.len() as u64);
    read.expect_err("it is damaged");
    assert_eq!(opened.read("good", 0..1000).expect("bytes"), plain[..1000]);
    assert_eq!(
        opened.read("good", 2 << 20..3 << 20).expect("bytes"),
        plain[2 << 20..]
    );
}

/// A ratio of 1,000: the listed size bounds what is decoded, not what the data would give.
#[test]
fn a_bomb_costs_what_its_size_says() {
    let zeros = vec![0; 64 << 20];
    let stored = deflated(&zeros, 9);
    for size in [1000, 5 << 20] {
        let lie = item("bomb", &zeros[..size], stored.clone());
        let begun = Instant::now();
        assert_eq!(failure(lie), Error::TooLong { size: size as u64 });
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn an_unknown_method_is_refused() {
    let strange = item("f", b"abc", vec![1, 2, 3]).with(|item| {
        item.method = 77;
    });
    assert!(matches!(failure(strange), Error::Unsupported { .. }));
}
