//! Reads archives from memory, in chunks of any size.

use aiozfs::archive::{EntryId, Error, Index, IndexParser, Kind, ParseOptions};

/// Parses a blob that is fed in chunks. `chunk_len` gives the length of each.
pub fn index(
    blob: &[u8],
    encoding: &str,
    chunk_len: impl FnMut() -> usize,
) -> Result<Index, Error> {
    sparse_index(blob.len() as u64, encoding, chunk_len, |at, len| {
        blob[at as usize..at as usize + len].to_vec()
    })
}

/// The same for a blob that exists only where `read` is called.
pub fn sparse_index(
    size: u64,
    encoding: &str,
    mut chunk_len: impl FnMut() -> usize,
    read: impl Fn(u64, usize) -> Vec<u8>,
) -> Result<Index, Error> {
    let mut options = ParseOptions::default();
    if !encoding.is_empty() {
        options.encoding = encoding.parse().expect("a known encoding");
    }
    let mut parser = IndexParser::new(size, options)?;
    while let Some(wanted) = parser.wants() {
        assert!(wanted.end <= size, "{wanted:?} of {size} bytes is wanted");
        let len = (wanted.end - wanted.start) as usize;
        parser.feed(&read(wanted.start, len.min(chunk_len())))?;
    }
    parser.finish()
}

/// An entry's data, once its local header has been checked.
pub fn content(index: &Index, blob: &[u8], id: EntryId) -> Result<Vec<u8>, Error> {
    index.stored(id)?;
    let check = index.header_check(id);
    let header = check.range();
    let extent = check
        .confirm(&blob[header.start as usize..header.end as usize])?
        .range();
    Ok(blob[extent.start as usize..extent.end as usize].to_vec())
}

/// A path and what is there; `None` for a directory.
pub type Shown = (String, Option<Result<Vec<u8>, Error>>);

/// All entries in the order of the archive.
pub fn tree(index: &Index, blob: &[u8]) -> Vec<Shown> {
    let entry = |id| {
        let path = String::from_utf8_lossy(index.path(id)).into_owned();
        let is_dir = index.get(id).kind == Kind::Dir;
        (path, (!is_dir).then(|| content(index, blob, id)))
    };
    index.ids().map(entry).collect()
}
