//! Random reads of a compressed file are those of the plain bytes, whatever is in memory and on disk.

use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use aiozfs::decode::Password;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::entries::{Opened, deflated, item, options, plain, zip};
use crate::common::coded::{self, PASSWORD};
use crate::common::fault::FaultNode;
use crate::common::{run, tree};

const LEN: usize = 4 << 20;

/// Reads at these places of `large.txt`, and compares.
fn compare(opened: &Opened, plain: &[u8], reads: &[(u64, u64)]) {
    compare_file(opened, "large.txt", plain, reads);
}

fn compare_file(opened: &Opened, name: &str, plain: &[u8], reads: &[(u64, u64)]) {
    for (start, len) in reads {
        let start = start % (plain.len() as u64 + 10);
        let range = start.min(plain.len() as u64)..(start + len).min(plain.len() as u64);
        let got = opened.read(name, start..start + len);
        let got = got.unwrap_or_else(|e| panic!("{name}, {range:?}: {e}"));
        let expected = &plain[range.start as usize..range.end as usize];
        assert!(got == expected, "wrong bytes at {range:?}");
    }
}

fn archive(plain: &[u8], level: u32) -> Vec<u8> {
    let small = &plain[..50_000.min(plain.len())];
    zip(vec![
        item("large.txt", plain, deflated(plain, level)),
        item("small.txt", small, deflated(small, 6)),
    ])
}

#[test]
fn random_reads_are_the_plain_bytes_cold_warm_and_after_a_remount() {
    let spacing = 20_000u64..3_000_000;
    let memory = prop::sample::select(vec![16u64 << 20, 64 << 20]);
    let reads = prop::collection::vec((any::<u64>(), 1u64..400_000), 25);
    let all = (
        any::<u64>(),
        1u32..10,
        spacing,
        memory,
        reads,
        any::<bool>(),
    );
    let mut runner = TestRunner::new(ProptestConfig::with_cases(6));
    let ran = runner.run(&all, |(seed, level, spacing, memory, reads, is_through)| {
        read_in_all_states(seed, level, (spacing, memory), &reads, is_through);
        Ok(())
    });
    ran.expect("the plain bytes");
}

fn read_in_all_states(
    seed: u64,
    level: u32,
    (spacing, memory): (u64, u64),
    reads: &[(u64, u64)],
    is_read_through: bool,
) {
    let plain = plain(seed, LEN);
    let node = FaultNode::start(archive(&plain, level));
    let cache = tree::temp();
    let options = || {
        let mut options = options(spacing);
        options.reader.memory = memory;
        options
    };
    let settle = aiozfs::volume::open_cache(cache.path(), Some(1 << 30)).expect("a cache");
    let cold = Opened::url(&node.url(), cache.path(), options());
    compare(&cold, &plain, &reads[..15]);
    if is_read_through {
        for start in (0..LEN as u64).step_by(128 << 10) {
            compare(&cold, &plain, &[(start, 128 << 10)]);
        }
    }
    compare(&cold, &plain, reads);
    cold.end(Some(&settle));

    let again = Opened::url(&node.url(), cache.path(), options());
    compare(&again, &plain, reads);
    again.end(None);
}

/// Like the test above, for every method and encryption, with archives by the programs that people use.
#[test]
fn every_method_reads_the_same_at_random_cold_warm_and_after_a_remount() {
    let seed = fastrand::u64(..);
    println!("the seed is {seed}"); // shown if the test fails
    let (source, out) = (tree::temp(), tree::temp());
    let text = plain(seed, 5 << 18);
    for (name, content) in [
        ("text.txt", &text[..]),
        ("noise.bin", &[7; 9]),
        ("tiny.txt", b"tiny"),
        ("empty", b""),
    ] {
        fs::write(source.path().join(name), content).expect("a file");
    }
    let kinds = coded::all().into_iter().enumerate();
    let kinds: Vec<_> = kinds
        .map(|(at, kind)| {
            let archive = out.path().join(format!("{at}.zip"));
            kind.make(source.path(), &archive);
            (archive, kind.name)
        })
        .collect();
    run::each(kinds, 4, |(archive, name)| {
        println!("{name} begins");
        let mut random = fastrand::Rng::with_seed(seed);
        name.bytes().for_each(|_| _ = random.u8(..));
        let node = FaultNode::start(fs::read(archive).expect("an archive"));
        let cache = tree::temp();
        let mut options = options(random.u64(20_000..1_000_000));
        options.reader.memory = [16, 64][random.usize(..2)] << 20;
        options.password = Some(Password::new(PASSWORD.as_bytes()));
        let mut reads = || {
            let read = || (random.u64(..text.len() as u64), random.u64(1..300_000));
            std::iter::repeat_with(read).take(6).collect::<Vec<_>>()
        };
        let settle = aiozfs::volume::open_cache(cache.path(), Some(1 << 30)).expect("a cache");
        let first = Opened::url(&node.url(), cache.path(), options.clone());
        let cold = reads();
        compare_file(&first, "text.txt", &text, &cold);
        compare_file(&first, "text.txt", &text, &[(text.len() as u64 - 5, 100)]);
        compare_file(&first, "text.txt", &text, &cold);
        first.end(Some(&settle));
        let again = Opened::url(&node.url(), cache.path(), options);
        compare_file(&again, "text.txt", &text, &reads());
        again.end(None);
        println!("{name} is done");
    });
}

/// After a file was read through, a mount with the cache needs no server, and decodes no more than the
/// distance between two checkpoints for each read.
#[test]
fn checkpoints_outlive_the_mount() {
    let plain = plain(3, 24 << 20);
    let node = FaultNode::start(archive(&plain, 6));
    let cache = tree::temp();
    let first = Opened::url(&node.url(), cache.path(), options(256 << 10));
    let settle = aiozfs::volume::open_cache(cache.path(), Some(1 << 30)).expect("a cache");
    for start in (0..24 << 20).step_by(128 << 10) {
        compare(&first, &plain, &[(start, 128 << 10)]);
    }
    first.end(Some(&settle));
    thread::sleep(Duration::from_secs(2)); // the cache gathers parts of blocks
    let files = files_of(cache.path(), "points-");
    assert_eq!(files.len(), 1, "{files:?}");

    let requests = node.requests();
    let again = Opened::url(&node.url(), cache.path(), options(256 << 10));
    let before = again.volume.archive().status();
    compare(&again, &plain, &[(20 << 20, 1000)]);
    let read = again.volume.archive().status();
    let stored = (plain.len() as u64) / 4;
    assert!(
        read.bytes_fetched - before.bytes_fetched < stored,
        "it decoded from the start"
    );
    assert!(
        node.requests() <= requests + 1,
        "only the version is asked for"
    );
    again.end(None);

    // Damaged, they are a miss.
    for file in files {
        let mut bytes = fs::read(&file).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("it is ours");
    }
    let last = Opened::url(&node.url(), cache.path(), options(256 << 10));
    compare(&last, &plain, &[(20 << 20, 1000), (5, 100)]);
    last.end(None);
}

fn files_of(dir: &std::path::Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_of(&path, prefix));
        } else if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(path);
        }
    }
    found
}

/// Eight readers, each in a place of its own, read on from there and jump.
#[test]
fn eight_readers_in_one_file_get_their_bytes() {
    let plain = Arc::new(plain(9, 32 << 20));
    let folder = tree::temp();
    let path = folder.path().join("a.zip");
    fs::write(&path, archive(&plain, 1)).expect("a file");
    let mut options = options(1 << 20);
    options.reader.memory = 32 << 20;
    let opened = Arc::new(Opened::file(&path, options));
    thread::scope(|scope| {
        for reader in 0..8u64 {
            let (opened, plain) = (opened.clone(), plain.clone());
            scope.spawn(move || {
                let mut at = reader * (4 << 20);
                for step in 0..60 {
                    compare(&opened, &plain, &[(at, 100_000)]);
                    at = if step % 20 == 19 {
                        at * 7 % (32 << 20)
                    } else {
                        at + 100_000
                    };
                }
            });
        }
    });
}

/// A sequential reader decodes each byte once: the stored bytes are read once.
#[test]
fn a_file_that_is_read_in_order_is_decoded_once() {
    let plain = plain(4, 16 << 20);
    let node = FaultNode::start(archive(&plain, 6));
    let cache = tree::temp();
    let mut options = options(1 << 20);
    options.reader.memory = 16 << 20;
    let opened = Opened::url(&node.url(), cache.path(), options);
    for start in (0..16 << 20).step_by(64 << 10) {
        compare(&opened, &plain, &[(start, 64 << 10)]);
    }
    let archive_len = archive(&plain, 6).len() as u64;
    assert!(
        node.sent() < archive_len + (1 << 20),
        "{} of {archive_len}",
        node.sent()
    );
    opened.end(None);
}
