//! A state of a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// A state of a file according to its metadata. Compare it with [`is_same`](Self::is_same).
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    dev: u64,
    ino: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    /// The state that this metadata describes.
    pub fn of(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether the file has the same bytes in both states.
    ///
    /// Size and modification time must be equal, and one of these:
    ///
    /// - the change time (`st_ctime`), which programs cannot set. Inode numbers alone are not enough: on some
    ///   network and FUSE file systems they, or the device number, are different at each look.
    /// - device and inode number. The change time alone is not enough: it also changes after `chmod`, or
    ///   when a backup program makes a hard link.
    pub fn is_same(&self, other: &Self) -> bool {
        let is_same_inode = (self.dev, self.ino) == (other.dev, other.ino);
        self.is_unwritten(other) && (self.ctime == other.ctime || is_same_inode)
    }

    /// Whether size and modification time are equal, which is enough for an open file.
    pub(super) fn is_unwritten(&self, other: &Self) -> bool {
        (self.size, self.mtime) == (other.size, other.mtime)
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Modification time in nanoseconds since 1970.
    pub fn mtime_ns(&self) -> i128 {
        i128::from(self.mtime.0) * 1_000_000_000 + i128::from(self.mtime.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctime_or_inode_identifies_a_file_of_equal_size_and_mtime() {
        let seen = Stamp {
            dev: 1,
            ino: 2,
            size: 3,
            mtime: (4, 5),
            ctime: (6, 7),
        };
        let after = |change: fn(&mut Stamp)| {
            let mut stamp = seen;
            change(&mut stamp);
            seen.is_same(&stamp)
        };
        assert!(after(|_| {}));
        assert!(after(|now| now.ino = 9), "an unstable inode number");
        assert!(after(|now| (now.dev, now.ino) = (8, 9)));
        assert!(after(|now| now.ctime = (9, 9)), "a chmod");
        assert!(!after(|now| (now.ino, now.ctime) = (9, (9, 9))), "replaced");
        assert!(!after(|now| (now.dev, now.ctime) = (9, (9, 9))));
        assert!(!after(|now| now.size = 9));
        assert!(!after(|now| now.mtime = (4, 9)));
        assert!(!after(|now| now.mtime = (9, 5)));
    }
}
