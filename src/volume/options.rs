//! How an archive is opened and shown.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::location::Location;
use super::servers::Servers;
use crate::archive::ParseOptions;
use crate::cache::{Ask, Cache, Folder};
use crate::decode::{Decoding, Password};
use crate::fs::{Owners, Symlinks, TreeOptions};
use crate::reader::ReaderOptions;
use crate::source::{Priority, Urgency};

/// The largest size of a cache by default, in bytes.
const CACHE_SIZE: u64 = 10 << 30;

/// By default a cache takes at most one part in this many of the space that is free or its own.
const CACHE_PART: u64 = 10;

/// How to open an archive. The default reads a CID verified from public gateways, without a cache.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers to ask, and what they are sent. Not used for a file.
    pub servers: Servers,
    /// What is verified; `None` means [`Verify::default_of`] the location.
    pub verify: Option<Verify>,
    /// How names are decoded.
    pub parse: ParseOptions,
    /// Memory, time-outs and connections.
    pub reader: ReaderOptions,
    /// An index that [`write_index`](super::write_index) wrote, to be used instead of the archive's own.
    pub index: Option<Location>,
    /// Where bytes, indexes and trees are kept on disk. Not used for a file.
    pub cache: Option<Cache>,
    /// Ask no server: only what is in the cache can be read.
    pub offline: bool,
    /// Open a URL without a request while its version in the cache is fresh (RFC 9111, section 4.2).
    pub fresh: Option<Fresh>,
    /// How urgent it is to open it.
    pub opening: Urgency,
    /// Owners, permissions and symbolic links, as they are shown.
    pub tree: TreeOptions,
    /// The password of encrypted entries.
    pub password: Option<Password>,
    /// Show playlists as they are stored, with range links, instead of playable.
    pub stored_playlists: bool,
    /// The least distance of the checkpoints in a compressed entry, in plain bytes; `None` means the
    /// usual one.
    pub checkpoint_spacing: Option<u64>,
    /// Memory and threads for decoding that several archives share: those whose readers
    /// [share memory](ReaderOptions::shared). `None`: its own.
    pub decoding: Option<Decoding>,
}

impl Default for Options {
    /// All files belong to the user of this process.
    fn default() -> Self {
        Self {
            servers: Servers::default(),
            verify: None,
            parse: ParseOptions::default(),
            reader: ReaderOptions::default(),
            index: None,
            cache: None,
            offline: false,
            fresh: None,
            opening: Urgency::Fixed(Priority::Demand),
            tree: TreeOptions {
                uid: rustix::process::getuid().as_raw(),
                gid: rustix::process::getgid().as_raw(),
                fmask: 0,
                dmask: 0,
                owners: Owners::Given,
                symlinks: Symlinks::Inside,
            },
            password: None,
            stored_playlists: false,
            checkpoint_spacing: None,
            decoding: None,
        }
    }
}

/// What decides whether the version of a URL in the cache is fresh, besides its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// The version that a listing tells. If the listing told another one when the version in the cache was seen, that
    /// is not fresh.
    pub listed: Option<String>,
}

impl Options {
    /// When the server of a URL is asked for its version.
    pub(super) fn ask(&self) -> Ask {
        match &self.fresh {
            _ if self.offline => Ask::Never,
            Some(fresh) => Ask::Stale(fresh.listed.clone()),
            None => Ask::Always,
        }
    }
}

/// What is verified of the bytes that servers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Every byte is verified against the CID before it is used. Only for a CID.
    Trustless,
    /// A file that is read from start to end is compared with its CRC-32. This finds accidents, not
    /// forgery.
    Crc,
    /// Nothing.
    None,
}

impl Verify {
    /// Trustless for a CID and for a path below one, else CRC-32.
    pub fn default_of(location: &Location) -> Self {
        if location.is_verifiable() {
            Verify::Trustless
        } else {
            Verify::Crc
        }
    }

    /// Whether this choice, or the default where there is none, verifies what can be verified.
    pub fn is_trustless(choice: Option<Self>) -> bool {
        matches!(choice, None | Some(Verify::Trustless))
    }

    /// This choice for `location`, or an error if it cannot be met.
    pub fn check(self, location: &Location) -> Result<Self, OpenError> {
        if self == Verify::Trustless && !location.is_verifiable() {
            return Err(OpenError::NotVerifiable(location.clone()));
        }
        Ok(self)
    }
}

/// Opens the cache in directory `dir`, which is created if it is missing. `size` is its limit in bytes
/// [default: 10 GiB, or a tenth of the free space if that is less].
pub fn open_cache(dir: &Path, size: Option<u64>) -> io::Result<Cache> {
    let folder = Folder::open(dir)?;
    let default_size = || {
        let room = Cache::room(&folder).unwrap_or(0);
        CACHE_SIZE.min(room / CACHE_PART)
    };
    let size = size.unwrap_or_else(default_size);
    Ok(Cache::new(Arc::new(folder), size))
}
