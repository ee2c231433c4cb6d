//! Headers that ask for gigabytes, and several that ask for much.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::thread;

use aiozfs::archive::Method;
use aiozfs::decode::{Codec, Error, Memory, open};

use super::entries::{item, plain, zip};
use super::input::{Bytes, entry};
use crate::common::mount::Mount;
use crate::common::run::{aiozfs, run};
use crate::common::tree;
use crate::common::zips::{Item, zip64};

const GIB: u64 = 1 << 30;

/// Opens data of this method; `size` is that of the content.
fn opened(method: Method, data: &[u8], size: u64, memory: u64) -> Result<Box<dyn Codec>, Error> {
    let entry = entry(method, data, size);
    let share = Memory::new(memory).share_at_once();
    open(&entry, Box::new(Bytes::new(data, 0, 1 << 20)), None, share)
}

fn first_read(method: Method, data: &[u8], size: u64, memory: u64) -> Result<usize, Error> {
    opened(method, data, size, memory)?.read(&mut [0; 100])
}

/// Heads that ask for a dictionary of this many bytes, and something behind.
fn heads() -> Vec<(Method, Vec<u8>)> {
    let lzma = [
        &[24, 8, 5, 0, 0x5d][..],
        &(3u32 << 30).to_le_bytes(),
        &[0; 100],
    ]
    .concat();
    // Magic number, flags and their CRC-32; a block header with LZMA2 of the largest dictionary.
    let mut block = vec![2, 0, 0x21, 1, 40, 0, 0, 0];
    block.extend(crc32fast::hash(&block).to_le_bytes());
    let flags = [0, 1];
    let crc = crc32fast::hash(&flags).to_le_bytes();
    let xz = [
        b"\xfd7zXZ\0",
        &flags[..],
        &crc,
        &block,
        &[1, 0, 0, 65, 0, 0, 0, 0],
    ]
    .concat();
    // No single segment, a window of 1.5 GiB, then a raw block.
    let zstd = b"\x28\xb5\x2f\xfd\x00\xa4\x09\x00\x00A".to_vec();
    // Order 8, 256 MiB, restart.
    let ppmd = [&(7u16 | 255 << 4).to_le_bytes()[..], &[0; 100]].concat();
    vec![
        (Method::Lzma, lzma),
        (Method::Xz, xz),
        (Method::Zstd, zstd),
        (Method::Ppmd, ppmd),
    ]
}

#[test]
fn dictionaries_beyond_the_allowed_memory_are_refused() {
    for (method, head) in heads() {
        let error = first_read(method, &head, 8 * GIB, 64 << 20).expect_err("refused");
        let Error::TooMuchMemory { needs, allowed } = error else {
            panic!("{method}: {error}");
        };
        assert!(needs > allowed && allowed == 64 << 20, "{method}");
    }
}

/// A dictionary need not be longer than the content, however large the header says it is.
#[test]
fn dictionaries_of_small_contents_are_not_refused() {
    for (method, head) in heads() {
        let read = first_read(method, &head, 1000, 64 << 20);
        assert!(
            !matches!(read, Err(Error::TooMuchMemory { .. })),
            "{method}"
        );
    }
}

#[test]
fn nonsense_is_an_error_for_each_method() {
    let mut random = fastrand::Rng::with_seed(3);
    let methods = [
        Method::Deflated64,
        Method::Bzip2,
        Method::Lzma,
        Method::Zstd,
        Method::Xz,
        Method::Ppmd,
    ];
    for method in methods {
        for len in [1, 2, 5, 9, 20, 1000, 100_000] {
            let data: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            let read = opened(method, &data, 1 << 20, 64 << 20);
            let read = read.and_then(|mut codec| super::input::read_all(&mut *codec, 1 << 20));
            // LZMA and PPMd decode anything into something.
            let may_be = matches!(method, Method::Lzma | Method::Ppmd) && len > 9;
            assert!(read.is_err() || may_be, "{method}, {len} bytes");
        }
    }
}

/// A file in one Zstandard frame, and what it is compressed to. The decoder needs all of the window.
pub fn zstd_with_window(log: u32) -> (Vec<u8>, Vec<u8>) {
    let noise = plain(1, 1 << log);
    let content = [&noise[..], &noise[..1 << 20]].concat();
    let mut encoder = zstd::bulk::Compressor::new(1).expect("memory");
    let window = zstd::zstd_safe::CParameter::WindowLog(log);
    encoder.set_parameter(window).expect("a valid window");
    let stored = encoder.compress(&content).expect("memory");
    (content, stored)
}

fn zstd_items(count: usize, log: u32) -> (Vec<u8>, Vec<Item>) {
    let (content, stored) = zstd_with_window(log);
    let one = |n| item(&format!("{n}"), &content, stored.clone()).with(|item| item.method = 93);
    let items = (0..count).map(one).collect();
    (content, items)
}

/// Each decoder had a bound of its own, so that several large windows passed the bound of the mount.
#[test]
fn decoders_of_large_windows_share_one_memory_bound() {
    let (content, items) = zstd_items(16, 23);
    let dir = tree::temp();
    let archive = dir.path().join("a.zip");
    fs::write(&archive, zip(items)).expect("a file");
    let memory = 64;
    let mount = Mount::with(&archive, &["--memory", &format!("{memory}M")]);
    thread::scope(|scope| {
        for n in 0..16 {
            let (path, content) = (mount.join(n.to_string()), &content);
            scope.spawn(move || {
                let file = File::open(path).expect("it opens");
                let mut buffer = vec![0; 1 << 20];
                for part in [3, 5, 8] {
                    file.read_exact_at(&mut buffer, part << 20).expect("bytes");
                    assert!(buffer == content[(part as usize) << 20..][..1 << 20], "{n}");
                }
            });
        }
    });
    let peak = mount.peak_memory();
    let bound = (memory << 20) + 64_000_000;
    assert!(peak <= bound, "{peak} of {bound} bytes");
    mount.assert_no_complaint();
}

/// `verify` decodes several entries at once, within the bound for all of them.
#[test]
fn verify_shares_one_memory_bound_and_names_the_option() {
    let (_, items) = zstd_items(8, 23);
    let dir = tree::temp();
    let archive = dir.path().join("a.zip");
    fs::write(&archive, zip(items)).expect("a file");
    let verify = |memory: &str| run(aiozfs().args(["verify", "--memory", memory]).arg(&archive));
    let done = verify("16M").ok("verify");
    assert!(
        done.stdout.contains("of 8 entries, 8 were compared"),
        "{}",
        done.stdout
    );

    let (_, items) = zstd_items(1, 25);
    fs::write(&archive, zip(items)).expect("a file");
    let refused = verify("16M");
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stdout.contains("--memory"), "{}", refused.stdout);
}

/// The lengths of an entry were added before they were compared with a bound, and the sum overflowed: in a build with
/// checks, the request to open it panicked; in others, its server was blamed for wrong data.
#[test]
fn an_entry_of_almost_2_64_bytes_is_no_tiny_one() {
    let huge = item("huge", b"", vec![0x41; 120]).with(|item| {
        item.sizes.0 = u32::MAX;
        item.extra = zip64(&[u64::MAX - 99]);
    });
    let dir = tree::temp();
    let archive = dir.path().join("huge.zip");
    fs::write(&archive, zip(vec![huge])).expect("a file");
    let mount = Mount::new(&archive);
    let _ = File::open(mount.join("huge"));
    assert!(mount.log_lines("panicked").is_empty(), "{}", mount.log());
}
