//! Headers that ask for gigabytes.

use aiozfs::archive::Method;
use aiozfs::decode::{Codec, Coding, Error, open};

use super::input::Bytes;

const GIB: u64 = 1 << 30;

/// Opens data of this method; `size` is that of the content.
fn opened(method: Method, data: &[u8], size: u64, memory: u64) -> Result<Box<dyn Codec>, Error> {
    let coding = Coding {
        method,
        flags: 0,
        size,
        compressed_size: data.len() as u64,
        memory,
    };
    open(&coding, Box::new(Bytes::new(data, 0, 1 << 20)), None)
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
