//! XZ of several streams, whose blocks have headers of their own.

use std::fs;

use aiozfs::archive::Method;
use aiozfs::decode::{Error, Memory, open};

use super::entries::plain;
use super::input::{Bytes, ENOUGH, entry, read_all};
use crate::common::run::python;
use crate::common::tree;

/// Filters for a stream in Python: LZMA2 alone, and behind two others.
const ALONE: &str = "";
const CHAIN: &str = "{'id': lzma.FILTER_DELTA, 'dist': 3}, {'id': lzma.FILTER_X86}, ";

/// Two streams, with these filters before LZMA2, one for each half of the content. The first has a dictionary of 64 KiB, the
/// second one of 1 MiB.
fn streams(content: &[u8], filters: [&str; 2]) -> Vec<u8> {
    let dir = tree::temp();
    let [from, to] = ["content", "xz"].map(|name| dir.path().join(name));
    fs::write(&from, content).expect("a file");
    let [first, second] = filters;
    let program = format!(
        "
import lzma, sys
data = open(sys.argv[1], 'rb').read()
half = len(data) // 2
def stream(part, before, dictionary):
    last = {{'id': lzma.FILTER_LZMA2, 'preset': 1, 'dict_size': dictionary}}
    return lzma.compress(part, filters=before + [last])
first = stream(data[:half], [{first}], 1 << 16)
second = stream(data[half:], [{second}], 1 << 20)
open(sys.argv[2], 'wb').write(first + second)
"
    );
    python(&program, &[&from, &to]);
    fs::read(&to).expect("its output")
}

fn decode(stored: &[u8], size: usize, memory: u64) -> Result<Vec<u8>, Error> {
    let entry = entry(Method::Xz, stored, size as u64);
    let input = Box::new(Bytes::new(stored, 0, 4096));
    let codec = open(&entry, input, None, Memory::new(memory).share_at_once());
    read_all(&mut *codec?, entry.size)
}

/// If the first block had several filters, its dictionary was the memory limit of all. A later block with a larger one
/// counted as damaged.
#[test]
fn later_streams_may_have_larger_dictionaries() {
    let content = plain(4, 3 << 20);
    for filters in [[ALONE, ALONE], [CHAIN, CHAIN], [CHAIN, ALONE]] {
        let stored = streams(&content, filters);
        let read = decode(&stored, content.len(), ENOUGH);
        let read = read.unwrap_or_else(|e| panic!("{filters:?}: {e}"));
        assert!(read == content, "{filters:?}: other bytes");
    }
}

/// An entry is not called damaged for what this decoder cannot do.
#[test]
fn streams_beyond_the_memory_or_the_decoder_are_not_damaged() {
    let content = plain(4, 3 << 20);
    let read = decode(&streams(&content, [CHAIN, CHAIN]), content.len(), 2 << 20);
    let error = read.expect_err("its second dictionary is too large");
    let is_told = matches!(error, Error::TooMuchMemory { needs, allowed } if needs > allowed);
    assert!(is_told, "{error}");

    let read = decode(&streams(&content, [ALONE, CHAIN]), content.len(), ENOUGH);
    let error = read.expect_err("blocks of several filters are not decoded alone");
    let method = Method::Xz;
    assert_eq!(error, Error::Unsupported { method });
}
