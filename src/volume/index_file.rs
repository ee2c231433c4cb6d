//! An index as a file, which a user gives so that it need not be read from the archive.
//!
//! Layout, little-endian: [`MAGIC`]; the archive's size in 64 bits; the length of its identity in 32 bits, and the
//! identity; the index as `archive::Index::store` writes it; the SHA-256 of all bytes before.
//!
//! The identity is `cid` and the CID, or `version` and the [`Source::version`] of a URL, or empty. An index of
//! another archive is refused. If nothing but the size can be compared, the header of each entry still is, before its
//! bytes are given out.

use std::io::{self, Write};
use std::path::Path;

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::error::{IndexFileError, OpenError};
use super::location::Location;
use super::options::{Options, Verify};
use super::resolve::{resolve, servers_of};
use super::sources::Stack;
use crate::archive::Index;
use crate::reader::Archive;
use crate::source::{Priority, Source};

/// The first bytes of a file. The last number is the version of the layout.
const MAGIC: &[u8; 16] = b"aiozfs index  1\n";

/// The longest identity, in bytes.
const MAX_IDENTITY: u32 = 4096;

/// The length of the checksum in bytes.
const CHECKSUM: usize = 32;

/// The largest file that is read, in bytes. The index of a million entries takes some 70 MB.
const MAX_FILE: u64 = 4 << 30;

/// An index that a user gave, and the archive that it was made of.
pub(super) struct IndexFile {
    pub(super) index: Index,
    pub(super) made_of: MadeOf,
}

/// The archive that an index was made of.
pub(super) struct MadeOf {
    size: u64,
    identity: String,
}

/// Writes the index of the open archive at `location`.
///
/// # Errors
/// Those of `out`.
pub fn write_index(location: &Location, archive: &Archive, out: &mut dyn Write) -> io::Result<()> {
    let index = archive.index();
    let identity = identity(location, &**archive.source());
    let mut hash = Sha256::new();
    let mut done = Ok(());
    let mut push = |bytes: &[u8]| {
        hash.update(bytes);
        if done.is_ok() {
            done = out.write_all(bytes);
        }
    };
    push(MAGIC);
    push(&index.blob_size().to_le_bytes());
    push(&(identity.len() as u32).to_le_bytes());
    push(identity.as_bytes());
    index.store(&mut push);
    done?;
    out.write_all(&hash.finalize())
}

/// Identifies an archive, besides its size. Empty if nothing does.
fn identity(location: &Location, source: &dyn Source) -> String {
    let identity = match (location, source.version()) {
        (Location::Cid(cid), _) => format!("cid {cid}"),
        (_, Some(version)) => format!("version {version}"),
        (_, None) => String::new(),
    };
    if identity.len() > MAX_IDENTITY as usize {
        return String::new();
    }
    identity
}

impl IndexFile {
    /// Reads the file at `location`, as an archive there is read, with the archive's `options`. A CID is verified.
    pub(super) async fn load(location: &Location, options: &Options) -> Result<Self, OpenError> {
        let bytes = read(location, options).await.map_err(|error| match error {
            error @ OpenError::Index(..) => error,
            error => OpenError::index(location, IndexFileError::Unread(Box::new(error))),
        })?;
        let refused = |why| OpenError::index(location, why);
        Self::parse(&bytes).map_err(refused)
    }

    fn parse(bytes: &[u8]) -> Result<Self, IndexFileError> {
        let Some((content, checksum)) = bytes.split_last_chunk::<CHECKSUM>() else {
            return Err(IndexFileError::NoIndex);
        };
        let rest = content.strip_prefix(MAGIC).ok_or(IndexFileError::NoIndex)?;
        if Sha256::digest(content)[..] != checksum[..] {
            return Err(IndexFileError::Damaged);
        }
        let fields = || {
            let (size, rest) = rest.split_first_chunk::<8>()?;
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len);
            let (identity, rest) = rest.split_at_checked(len as usize)?;
            let identity = String::from_utf8(identity.to_vec()).ok()?;
            Some((u64::from_le_bytes(*size), identity, rest))
        };
        let (size, identity, mut rest) = fields().ok_or(IndexFileError::Damaged)?;
        let mut pull = |out: &mut [u8]| match rest.split_at_checked(out.len()) {
            Some((bytes, behind)) => {
                out.copy_from_slice(bytes);
                rest = behind;
                true
            }
            None => false,
        };
        let index = Index::load(&mut pull).filter(|index| index.blob_size() == size);
        // Its checksum is right, so another version wrote it.
        let index = index.ok_or(IndexFileError::OtherVersion)?;
        let made_of = MadeOf { size, identity };
        Ok(Self { index, made_of })
    }
}

impl MadeOf {
    /// Checks that it is the archive at `location`, of this size, whose `source` has been opened. Verified bytes need an
    /// index that was made of the same CID.
    pub(super) fn check(
        &self,
        location: &Location,
        verify: Verify,
        size: u64,
        source: &dyn Source,
    ) -> Result<(), IndexFileError> {
        let index_size = self.size;
        if index_size != size {
            return Err(IndexFileError::OtherSize { index_size, size });
        }
        let actual = identity(location, source);
        let is_same_kind = |kind: &str| self.identity.starts_with(kind) && actual.starts_with(kind);
        let can_compare = is_same_kind("cid ") || is_same_kind("version ");
        if (can_compare || verify == Verify::Trustless) && self.identity != actual {
            let index = self.identity.clone();
            return Err(IndexFileError::OtherArchive { index, actual });
        }
        Ok(())
    }
}

/// All bytes of a local file. Of one that does not begin with [`MAGIC`], the first: a device may have no end.
async fn read_local(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    let mut bytes = Vec::new();
    let mut begin = (&mut file).take(MAGIC.len() as u64);
    begin.read_to_end(&mut bytes).await?;
    if bytes == MAGIC {
        file.take(MAX_FILE).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// All bytes of a file.
async fn read(location: &Location, options: &Options) -> Result<Vec<u8>, OpenError> {
    if let Location::File(path) = location {
        return read_local(path).await.map_err(|e| {
            let (kind, cause) = (e.kind(), e.to_string());
            OpenError::index(location, IndexFileError::Io { kind, cause })
        });
    }
    // The cache is for archives.
    let options = Options {
        cache: None,
        verify: None,
        ..options.clone()
    };
    let (mut at, servers) = servers_of(location, &options);
    if let Location::Path(path) = &at {
        at = Location::Cid(resolve(path, &servers, &options).await?);
    }
    let stack = Stack {
        location: &at,
        servers: &servers,
        verify: Verify::default_of(&at),
        options: &options,
    };
    let source = stack.build()?.source;
    let size = source.open(0).await?.size;
    if size > MAX_FILE {
        return Err(OpenError::index(location, IndexFileError::NoIndex));
    }
    let mut bytes = Vec::new();
    let mut chunks = source.read(0..size, Priority::Demand);
    while let Some(chunk) = chunks.try_next().await? {
        bytes.extend_from_slice(&chunk.bytes);
        let begin = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(begin) {
            return Err(OpenError::index(location, IndexFileError::NoIndex));
        }
    }
    Ok(bytes)
}
