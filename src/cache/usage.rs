//! The disk space that the cache takes: a number that all processes share.
//!
//! A writer adds to it before it writes, so that several writers respect the bound. A recount corrects
//! what a killed process added or did not subtract.

use std::io;

use xxhash_rust::xxh3::xxh3_64;

use super::clock::now;
use super::disk::Disk;

const PATH: &str = "usage";

/// The disk space in use, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Bytes in use.
    pub(super) bytes: u64,
    /// When all files were last counted, in seconds since 1970; 0: never.
    pub(super) counted: i64,
}

impl Usage {
    /// Whether a recount is due before the next write.
    pub(super) fn is_stale(&self) -> bool {
        const AGE: i64 = 3600;
        !(0..AGE).contains(&(now() - self.counted))
    }

    /// `None` if the file is damaged or new.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(16)?;
        let (words, _) = body.as_chunks::<8>();
        (*sum == xxh3_64(body).to_le_bytes()).then(|| Self {
            bytes: u64::from_le_bytes(words[0]),
            counted: i64::from_le_bytes(words[1]),
        })
    }

    fn encode(self) -> Vec<u8> {
        let mut bytes = [self.bytes.to_le_bytes(), self.counted.to_le_bytes()].concat();
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }
}

/// Adds `change` to the bytes in use; returns the result.
pub(super) fn add(disk: &dyn Disk, change: i64) -> io::Result<Usage> {
    edit(disk, &mut |usage| {
        usage.bytes = usage.bytes.saturating_add_signed(change);
    })
}

/// Records a count of `counted` bytes. `before` is the usage at its beginning: what others added since
/// then is added.
pub(super) fn set(disk: &dyn Disk, before: Usage, counted: u64, now: i64) -> io::Result<Usage> {
    edit(disk, &mut |usage| {
        let since = usage.bytes.wrapping_sub(before.bytes) as i64;
        *usage = Usage {
            bytes: counted.saturating_add_signed(since),
            counted: now,
        };
    })
}

fn edit(disk: &dyn Disk, change: &mut dyn FnMut(&mut Usage)) -> io::Result<Usage> {
    let mut known = None;
    disk.update(PATH, &mut |bytes| {
        let mut usage = Usage::decode(bytes).unwrap_or_default();
        change(&mut usage);
        known = Some(usage);
        usage.encode()
    })?;
    known.ok_or_else(|| io::Error::other("the disk did not call the update"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Folder;

    #[test]
    fn additions_during_a_recount_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Folder::open(dir.path()).expect("a cache");
        let known = |result: io::Result<Usage>| {
            let usage = result.expect("a usage");
            (usage.bytes, usage.counted)
        };
        assert_eq!(known(add(&disk, 100)), (100, 0));
        let before = add(&disk, 0).expect("a usage");
        assert_eq!(known(add(&disk, 7)), (107, 0));
        assert_eq!(known(set(&disk, before, 90, 5)), (97, 5));
        assert_eq!(known(add(&disk, -200)), (0, 5));
        std::fs::write(
            dir.path().join("v1/usage"),
            b"nonsense, and more than twenty-four bytes",
        )
        .expect("damaged");
        assert_eq!(known(add(&disk, 3)), (3, 0));
    }
}
