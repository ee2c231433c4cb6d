//! Compressed data that is damaged, cut, or not what the directory lists: an error, never a wrong end, within
//! bounded time and memory.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::common::tree::TempDir;
use aiozfs::decode::Error;

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::fault::{Behaviour, FaultNode};
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

/// The length of the file of [`silently_damaged`], in bytes.
const LEN: usize = 8 << 20;

/// Opens an archive with the file `f` and `others`, on a server that gives a wrong byte of `f`. Only the CRC-32 at the end
/// of `f` tells. Returns the right bytes of `f`, too.
fn silently_damaged(mut others: Vec<Item>) -> (FaultNode, TempDir, Opened, Vec<u8>) {
    const NOISE: usize = 20_000;
    // Noise, which comes again and again: a wrong byte in it does, too. Deflate stores it as it is at first, so that no
    // decoder notices.
    let mut random = fastrand::Rng::with_seed(6);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(NOISE)
        .collect();
    let mut plain = noise.clone();
    while plain.len() < LEN {
        plain.extend_from_slice(&noise);
        plain.extend(std::iter::repeat_with(|| random.u8(..)).take(NOISE / 4));
    }
    plain.truncate(LEN);
    let mut compress = flate2::Compress::new(flate2::Compression::new(6), false);
    let mut stored = Vec::with_capacity(LEN);
    for (part, flush) in [
        (&plain[..NOISE], flate2::FlushCompress::Sync),
        (&plain[NOISE..], flate2::FlushCompress::Finish),
    ] {
        compress
            .compress_vec(part, &mut stored, flush)
            .expect("memory");
    }
    assert_eq!(compress.total_in() as usize, LEN);
    others.insert(0, item("f", &plain, stored));
    let archive = zip(others);
    let first = archive
        .windows(100)
        .position(|window| *window == plain[..100]);
    let at = first.expect("its first bytes") as u64 + 50;
    let node = FaultNode::start(archive);
    node.behave(Behaviour::Flip(at));
    let cache = tree::temp();
    let mut options = options(256 << 10);
    options.reader.memory = 16 << 20;
    let opened = Opened::url(&node.url(), cache.path(), options);
    (node, cache, opened, plain)
}

/// Two programs read one file, and a server gave a wrong byte for a while. When one of them met the wrong CRC-32 at the
/// end, the other went on with a decoder that had the wrong byte in its window, and got it again and again.
#[test]
fn a_reader_does_not_go_on_with_data_that_another_has_found_to_be_wrong() {
    let (node, _cache, opened, plain) = silently_damaged(Vec::new());
    let (half, part) = (2 << 20, 128 << 10);
    for start in (0..half).step_by(part) {
        let range = start as u64..(start + part) as u64;
        let read = opened.read("f", range).expect("nothing tells yet");
        assert!(read != plain[start..start + part], "the byte is wrong");
    }
    node.behave(Behaviour::Good);
    let end = LEN as u64;
    let read = opened.read("f", end - 1000..end).expect("fetched again");
    assert!(read == plain[LEN - 1000..]);
    for start in (half..LEN).step_by(part) {
        let read = opened.read("f", start as u64..(start + part) as u64);
        assert!(
            read.expect("bytes") == plain[start..start + part],
            "wrong at {start}"
        );
    }
    opened.end(None);
}

/// A server gave a wrong byte for a while. `cp` copied it, the decoder found the wrong CRC-32 while it read ahead and
/// fetched the file again, and `cp` went on with right bytes and ended without an error.
#[test]
fn a_program_that_may_have_got_wrong_plain_bytes_gets_an_error() {
    early_reader_gets_an_error(0);
}

/// What was given out was forgotten once programs had read 256 other files.
#[test]
fn a_program_gets_that_error_also_after_many_other_files_were_read() {
    early_reader_gets_an_error(300);
}

/// A program reads wrong bytes, `others` other files are read, and then the file's end, where its CRC-32 tells.
fn early_reader_gets_an_error(others: usize) {
    const BLOCK: usize = 128 << 10;
    let zeros = vec![0; (1 << 20) + 1];
    let stored = deflated(&zeros, 1);
    let other = |n| item(&format!("other{n}"), &zeros, stored.clone());
    let (node, _cache, opened, plain) = silently_damaged((0..others).map(other).collect());
    let volume = &opened.volume;
    let found = opened.runtime.block_on(volume.find(b"f", false));
    let ino = found.expect("a file");
    let read = |moment, at: usize| {
        let read = volume.read(ino, moment, at as u64, BLOCK as u32);
        opened.runtime.block_on(read)
    };
    let early = volume.open(ino).expect("it opens");
    assert!(read(early, 0).expect("nothing tells yet") != plain[..BLOCK]);
    node.behave(Behaviour::Good);
    for n in 0..others {
        let read = opened.read(&format!("other{n}"), 0..10);
        assert_eq!(read.expect("bytes"), [0; 10]);
    }
    let end = opened.read("f", LEN as u64 - 1000..LEN as u64);
    assert!(end.expect("fetched again") == plain[LEN - 1000..]);
    let error = read(early, 1 << 20).expect_err("it has a wrong byte");
    assert!(error.to_string().contains("open it again"), "{error}");
    let later = volume.open(ino).expect("it opens");
    let right = read(later, 0).expect("right bytes have come");
    assert!(right == plain[..BLOCK]);
    opened.end(None);
}
