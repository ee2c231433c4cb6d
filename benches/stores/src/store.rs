//! What every store is asked to do, and the content that it is given.

use std::path::Path;
use std::sync::Arc;

use crate::{aiozfs_store, cacache_store, files, foyer_store};

/// A store of blocks, from one process; all its methods may be called from several threads.
pub trait Store: Send + Sync {
    /// Stores a block, or hands it to a thread that does.
    fn put(&self, number: u64, block: Arc<[u8]>);

    /// Waits until all that was put is where another process finds it, or is lost.
    fn settle(&self) {}

    /// Gives a block to `see`, in parts and in order, verified as the store verifies it; false if it
    /// has none.
    fn get(&self, number: u64, see: &mut dyn FnMut(&[u8])) -> bool;
}

/// The stores, by the names that the table has.
pub const ALL: [Kind; 6] = [
    Kind::Aiozfs,
    Kind::Files { fsync: false },
    Kind::Files { fsync: true },
    Kind::Foyer { direct: false },
    Kind::Foyer { direct: true },
    Kind::Cacache,
];

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The product's, whole: with its accounting, behind the source that a mount reads.
    Aiozfs,
    /// Its way of writing alone, so that the size of blocks and fsync can be chosen.
    Files { fsync: bool },
    /// `foyer` on a directory of large files, with O_DIRECT or without.
    Foyer { direct: bool },
    /// `cacache`, by key, with its fastest hash.
    Cacache,
}

impl Kind {
    /// Its name in the table and on the command line of a child.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Aiozfs => "aiozfs",
            Kind::Files { fsync: false } => "files",
            Kind::Files { fsync: true } => "files+fsync",
            Kind::Foyer { direct: false } => "foyer",
            Kind::Foyer { direct: true } => "foyer+direct",
            Kind::Cacache => "cacache",
        }
    }

    /// Whether it can keep blocks of this size.
    pub fn takes(self, size: usize) -> bool {
        self != Kind::Aiozfs || size == 1 << 20
    }

    /// The store in this directory.
    pub fn open(self, dir: &Path, size: usize) -> anyhow::Result<Box<dyn Store>> {
        Ok(match self {
            Kind::Aiozfs => Box::new(aiozfs_store::Aiozfs::open(dir)?),
            Kind::Files { fsync } => Box::new(files::Files::open(dir, fsync)?),
            Kind::Foyer { direct } => Box::new(foyer_store::Foyer::open(dir, direct)?),
            Kind::Cacache => Box::new(cacache_store::Cacache::open(dir, size)),
        })
    }
}

/// Blocks that no compression or deduplication makes smaller, cheap to make and to compare.
pub struct Content {
    noise: Vec<u8>,
}

/// Each block differs from the others by a number at every multiple of this many bytes.
const STAMP: usize = 4096;

impl Content {
    /// Blocks of `size` bytes.
    pub fn new(size: usize) -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let words = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        Self {
            noise: words.take(size / 8).flatten().collect(),
        }
    }

    /// The block of this number.
    pub fn block(&self, number: u64) -> Arc<[u8]> {
        let mut block: Arc<[u8]> = self.noise.as_slice().into();
        if let Some(bytes) = Arc::get_mut(&mut block) {
            for page in bytes.chunks_mut(STAMP) {
                page[..8].copy_from_slice(&number.to_le_bytes());
            }
        }
        block
    }

    /// Whether these are the bytes of that block from `at` on.
    pub fn is_right(&self, number: u64, at: usize, bytes: &[u8]) -> bool {
        let Some(noise) = self.noise.get(at..at + bytes.len()) else {
            return false;
        };
        let mut at = at;
        let mut left = (bytes, noise);
        while !left.0.is_empty() {
            let in_page = at % STAMP;
            let len = match in_page {
                0..8 => 8 - in_page,
                _ => STAMP - in_page,
            };
            let len = len.min(left.0.len());
            let (got, rest) = left.0.split_at(len);
            let (noise, noise_rest) = left.1.split_at(len);
            let same = match in_page {
                0..8 => got == &number.to_le_bytes()[in_page..in_page + len],
                _ => got == noise,
            };
            if !same {
                return false;
            }
            (left, at) = ((rest, noise_rest), at + len);
        }
        true
    }
}
