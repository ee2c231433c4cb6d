//! Files that are read in order are decoded once, however many are read at the same time, and however far ahead their
//! readers ask. These tests count what was decoded.

use std::fs;
use std::sync::atomic::Ordering::SeqCst;

use aiozfs::volume::open_cache;
use futures_util::StreamExt;
use futures_util::stream;

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::fault::FaultNode;
use crate::common::tree;

const LEN: u64 = 12 << 20;

/// What the kernel asks for at once.
const READ: u64 = 128 << 10;

/// How many of its reads are under way at once: `cat` asks for 4 MiB ahead, and more than a walk goes ahead.
const UNDER_WAY: usize = 40;

/// Reads `files` files from end to end at the same time, and asserts that each byte was decoded once.
fn assert_decoded_once(opened: &Opened, files: usize, plain: &[u8]) {
    let decoder = opened.volume.decoder();
    let readers = (0..files).map(|file| {
        let id = opened.id(&format!("{file}.txt"));
        let reads = (0..LEN)
            .step_by(READ as usize)
            .map(move |start| async move { (start, decoder.read(id, start..start + READ).await) });
        stream::iter(reads)
            .buffered(UNDER_WAY)
            .for_each(move |(start, read)| async move {
                let read = read.unwrap_or_else(|e| panic!("file {file} at {start}: {e}"));
                assert!(
                    read == plain[start as usize..][..READ as usize],
                    "file {file} at {start}"
                );
            })
    });
    // Ids are looked up before anything runs.
    let readers: Vec<_> = readers.collect();
    opened
        .runtime
        .block_on(futures_util::future::join_all(readers));
    let (walks, bytes) = (
        decoder.work().walks.load(SeqCst),
        decoder.work().plain.load(SeqCst),
    );
    let once = files as u64 * LEN;
    println!("{files} files: {walks} walks decoded {bytes} of {once} bytes");
    assert!(
        bytes <= once * 11 / 10,
        "{files} files: {bytes} of {once} bytes"
    );
    assert_eq!(walks, files as u64, "one for each file");
}

fn archive(files: usize) -> (Vec<u8>, Vec<u8>) {
    let plain = plain(2, LEN as usize);
    let stored = deflated(&plain, 1);
    let items = (0..files).map(|file| item(&format!("{file}.txt"), &plain, stored.clone()));
    (zip(items.collect()), plain)
}

/// Two files were decoded at a fifth of the rate of one: blocks that the kernel asked for further ahead of its reader
/// than a walk goes got walks of their own, up to eight for a file, which all decoded the same bytes.
#[test]
fn files_that_are_read_at_the_same_time_are_decoded_once() {
    let dir = tree::temp();
    let path = dir.path().join("a.zip");
    for (files, memory) in [(1, 128), (2, 128), (8, 128), (2, 16)] {
        let (archive, plain) = archive(files);
        fs::write(&path, archive).expect("a file");
        let mut options = options(1 << 20);
        options.reader.memory = memory << 20;
        assert_decoded_once(&Opened::file(&path, options), files, &plain);
    }
}

/// After a remount the checkpoints were known, and before a file's first block was read, each of them that the kernel asked
/// beyond got a walk of its own.
#[test]
fn files_on_a_server_that_are_read_at_the_same_time_are_decoded_once_also_after_a_remount() {
    let (archive, plain) = archive(3);
    let len = archive.len() as u64;
    let (node, cache) = (FaultNode::start(archive), tree::temp());
    let settle = open_cache(cache.path(), Some(1 << 30)).expect("a cache");
    let opened = Opened::url(&node.url(), cache.path(), options(1 << 20));
    assert_decoded_once(&opened, 3, &plain);
    let sent = node.sent();
    assert!(sent <= len + len / 10, "{sent} of {len} bytes were sent");
    opened.end(Some(&settle));

    // With a checkpoint for each MiB.
    let again = Opened::url(&node.url(), cache.path(), options(1 << 20));
    assert_decoded_once(&again, 3, &plain);
    again.end(None);
}
