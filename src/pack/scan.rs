//! Lists a folder, in an order that depends on nothing but names.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::archive::{Kind, MAX_NAME, Timestamp};
use crate::ranges::arrange;

/// A file, an empty directory or a symbolic link.
#[derive(Debug)]
pub(super) struct Found {
    /// The path relative to the folder, with `/` between components.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The length in bytes; for a symbolic link, that of its target.
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    pub(super) is_executable: bool,
    pub(super) stamp: Stamp,
}

/// Identifies a state of a file: see [`is_same`](Self::is_same). Times are seconds and nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// Whether both stand for the same content. Size and modification time must be equal, and also the
    /// inode number or the change time: some network and FUSE file systems change inode numbers at
    /// each look, and `chmod` or a new hard link changes the change time.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same_inode = (self.device, self.inode) == (other.device, other.inode);
        (self.size, self.mtime) == (other.size, other.mtime)
            && (self.ctime == other.ctime || is_same_inode)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// The files, symbolic links and empty directories below `folder`, sorted by the bytes of their
/// paths.
pub(super) fn scan(folder: &Path) -> Result<Vec<Found>, Error> {
    let meta = fs::metadata(folder).map_err(Error::io(folder))?;
    if !meta.is_dir() {
        return Err(Error::NotAFolder(folder.to_owned()));
    }
    let mut found = Vec::new();
    // Directories still to be read. An explicit stack permits nesting of any depth.
    let mut open: Vec<(PathBuf, String)> = vec![(folder.to_owned(), String::new())];
    while let Some((dir, prefix)) = open.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&dir).map_err(Error::io(&dir))? {
            let entry = entry.map_err(Error::io(&dir))?;
            is_empty = false;
            let full = entry.path();
            let name = String::from_utf8(entry.file_name().into_vec())
                .map_err(|_| Error::Name(full.clone()))?;
            let path = format!("{prefix}{name}");
            // Less than the maximum, for the slash of a directory.
            if path.len() >= MAX_NAME {
                return Err(Error::Name(full));
            }
            let meta = entry.metadata().map_err(Error::io(&full))?;
            let kind = match meta.file_type() {
                kind if kind.is_dir() => {
                    open.push((full, format!("{path}/")));
                    continue;
                }
                kind if kind.is_file() => Kind::File,
                kind if kind.is_symlink() => Kind::Symlink,
                _ => return Err(Error::Special(full)),
            };
            found.push(Found {
                path,
                kind,
                size: meta.len(),
                mtime: Timestamp::of_secs(meta.mtime()),
                is_executable: meta.mode() & 0o111 != 0,
                stamp: Stamp::of(&meta),
            });
        }
        if is_empty && !prefix.is_empty() {
            let meta = fs::metadata(&dir).map_err(Error::io(&dir))?;
            found.push(Found {
                path: prefix.trim_end_matches('/').to_owned(),
                kind: Kind::Dir,
                size: 0,
                // A directory's time is not content. Use the earliest one that a ZIP can hold.
                mtime: Timestamp::of_secs(315_532_800),
                is_executable: true,
                stamp: Stamp::of(&meta),
            });
        }
    }
    arrange(&mut found, |a, b| a.path.cmp(&b.path));
    Ok(found)
}
