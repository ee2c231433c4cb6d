//! Reads the index of an archive: the directory of a ZIP, or the headers of a tar.
//!
//! The end of the blob is read first, so opening a ZIP costs no more requests than it must. The first bytes are read
//! only if the blob does not end like a ZIP.

use futures_util::stream::{self, StreamExt};

use super::blob::BlobReader;
use super::error::Error;
use super::tar::read_tar;
use super::watch::Watch;
use crate::archive::{
    Error as ArchiveError, Index, IndexParser, ParseOptions, Recognized, TAIL, recognize,
};

/// Length of the reads of the central directory, in bytes.
const DIRECTORY_STEP: u64 = 512 * 1024;

/// How many of these reads are made at once. Together they take half of the least memory.
const DIRECTORY_READS: usize = 16;

/// How many bytes are read to recognize a blob that does not end like a ZIP. They hold the first members of a tar, and
/// are enough to measure the rate of a connection.
const HEAD: u64 = 256 * 1024;

/// Reads the index of the archive in `blob`.
pub(super) async fn read_index(
    blob: &BlobReader,
    parse: ParseOptions,
    watch: &Watch,
) -> Result<Index, Error> {
    let why = match read_directory(blob, parse.clone()).await {
        Err(Error::Archive(why)) => why,
        read => return read,
    };
    let end = blob.size().min(HEAD);
    let head = blob.read(0..end, end).await?;
    match recognize(&head, blob.size()) {
        Some(Recognized::Tar) => read_tar(blob, &head, &parse, watch).await,
        Some(Recognized::Compressed(format, command))
            if matches!(why, ArchiveError::NotAnArchive { .. }) =>
        {
            Err(ArchiveError::CompressedAsWhole { format, command }.into())
        }
        Some(Recognized::Zip) if matches!(why, ArchiveError::NotAnArchive { .. }) => {
            Err(ArchiveError::NoEnd { size: blob.size() }.into())
        }
        _ => Err(why.into()),
    }
}

async fn read_directory(blob: &BlobReader, parse: ParseOptions) -> Result<Index, Error> {
    let mut parser = IndexParser::new(blob.size(), parse)?;
    while let Some(wanted) = parser.wants() {
        let steps = wanted.clone().step_by(DIRECTORY_STEP as usize);
        let reads = steps.map(|start| {
            let end = wanted.end.min(start + DIRECTORY_STEP);
            blob.read(start..end, wanted.end)
        });
        let mut reads = stream::iter(reads).buffered(DIRECTORY_READS);
        let mut at = wanted.start;
        while let Some(bytes) = reads.next().await {
            let bytes = bytes?;
            parser.feed(&bytes)?;
            at += bytes.len() as u64;
            // The bytes may show that something else is needed.
            if parser.wants() != Some(at..wanted.end) {
                break;
            }
        }
    }
    let index = parser.finish()?;
    // A large directory would fill the memory for content, and is not read again.
    if index.cd_range().end - index.cd_range().start > TAIL {
        blob.drop_read(&index.cd_range());
    }
    Ok(index)
}
