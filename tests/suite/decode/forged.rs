//! Entries encrypted with WinZip's AES whose bytes do not agree with their authentication code. AE-2 has no CRC-32, so
//! nothing else tells.

use std::fs;
use std::path::{Path, PathBuf};

use aiozfs::decode::{Error, Password};
use aiozfs::volume::Options;

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::aes::{CODE, sealed};
use crate::common::coded::PASSWORD;
use crate::common::fault::FaultNode;
use crate::common::tree;
use crate::common::zips::Item;

const SMALL: usize = 200_000;
const LARGE: usize = 6 << 20;

fn with_password(memory: u64) -> Options {
    let mut options = options(256 << 10);
    options.reader.memory = memory;
    options.password = Some(Password::new(PASSWORD.as_bytes()));
    options
}

/// An entry `f` of this method, with `padding` bytes between the end of the compressed data and the code.
fn entry(plain: &[u8], method: u16, padding: usize) -> Item {
    let mut data = match method {
        8 => deflated(plain, 6),
        _ => plain.to_vec(),
    };
    data.extend(vec![0xa5; padding]);
    sealed(item("f", plain, data).with(|item| item.method = method))
}

/// Changes one byte, counted from the end.
fn forged(item: &Item, from_end: usize) -> Item {
    item.clone().with(|item| {
        let at = item.data.len() - from_end;
        item.data[at] ^= 1;
    })
}

fn file(dir: &Path, items: Vec<Item>) -> PathBuf {
    let path = dir.join("a.zip");
    fs::write(&path, zip(items)).expect("a file");
    path
}

fn assert_forged(result: Result<Vec<u8>, Error>, what: &str) {
    assert_eq!(result.err(), Some(Error::Forged), "{what}");
}

/// The code was compared when the decoder pulled the last encrypted byte. A decoder stops at the end of its own data
/// and did not pull bytes behind it, so that a wrong code passed.
#[test]
fn a_forged_code_or_last_byte_is_found_by_whoever_reads_to_the_end() {
    let dir = tree::temp();
    for len in [SMALL, LARGE] {
        let plain = plain(3, len);
        for (method, padding) in [(0, 0), (8, 0), (8, 1), (8, 100_000)] {
            let what = format!("{len} bytes, method {method}, {padding} bytes of padding");
            let right = entry(&plain, method, padding);
            let opened = Opened::file(
                &file(dir.path(), vec![right.clone()]),
                with_password(64 << 20),
            );
            let read = opened.read_through("f", len as u64);
            assert!(read.expect(&what) == plain, "{what}");
            // The code's last and first byte, and the last one before it.
            for from_end in [1, CODE, CODE + 1] {
                let bad = file(dir.path(), vec![forged(&right, from_end)]);
                let opened = Opened::file(&bad, with_password(64 << 20));
                let read = opened.read_through("f", len as u64);
                assert_forged(read, &format!("{what}, {from_end} from the end"));
            }
        }
    }
}

/// Reads most of an entry in order, so that there are checkpoints, then eight blocks backwards, so that only decoders
/// that began at a checkpoint are left, then the end.
fn read_end_from_checkpoint(item: Item) -> Result<Vec<u8>, Error> {
    let dir = tree::temp();
    let opened = Opened::file(&file(dir.path(), vec![item]), with_password(16 << 20));
    let (most, end) = (5 << 20, LARGE as u64);
    opened
        .read_through("f", most)
        .expect("no end, nothing compared");
    let (decoder, id) = (opened.volume.decoder(), opened.id("f"));
    opened.runtime.block_on(async {
        for at in (1..9).rev().map(|eighth| eighth * most / 9) {
            decoder.read(id, at..at + 1).await.expect("a block");
        }
        decoder.read(id, end - 1000..end).await
    })
}

/// A decoder that began at a checkpoint compared an AE-2 entry with nothing.
#[test]
fn the_code_is_compared_from_a_checkpoint_on() {
    let plain = plain(4, LARGE);
    for method in [0, 8] {
        let right = entry(&plain, method, if method == 0 { 0 } else { 10 });
        let read = read_end_from_checkpoint(right.clone()).expect("bytes");
        assert!(read == plain[LARGE - 1000..]);
        for from_end in [1, CODE + 1] {
            let read = read_end_from_checkpoint(forged(&right, from_end));
            assert_forged(read, &format!("method {method}, {from_end} from the end"));
        }
    }
}

/// Checkpoints of encrypted entries are not on disk, so a later mount begins at the start and compares everything.
#[test]
fn the_code_is_compared_after_a_remount() {
    let plain = plain(5, LARGE);
    let node = FaultNode::start(zip(vec![forged(&entry(&plain, 8, 10), 1)]));
    let cache = tree::temp();
    let settle = aiozfs::volume::open_cache(cache.path(), Some(1 << 30)).expect("a cache");
    let first = Opened::url(&node.url(), cache.path(), with_password(16 << 20));
    let most = 5 << 20;
    assert!(first.read_through("f", most).expect("bytes") == plain[..most as usize]);
    first.end(Some(&settle));
    let again = Opened::url(&node.url(), cache.path(), with_password(16 << 20));
    let (decoder, id) = (again.volume.decoder(), again.id("f"));
    let end = LARGE as u64;
    let read = again.runtime.block_on(decoder.read(id, end - 1000..end));
    assert_forged(read, "after a remount");
    again.end(None);
}
