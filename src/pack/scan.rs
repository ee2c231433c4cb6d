//! What is in a folder, in an order that depends on nothing but names.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::archive::{Kind, MAX_NAME, Timestamp};

/// A file, an empty directory or a symbolic link.
#[derive(Debug)]
pub(super) struct Found {
    /// Relative to the folder, components separated by `/`.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Of a link: the length of its target.
    pub(super) size: u64,
    pub(super) mtime: Timestamp,
    pub(super) is_executable: bool,
    pub(super) stamp: Stamp,
}

/// What shows that a file is the one that was seen, and as it was; compared by
/// [`is_same`](Self::is_same). Times are in nanoseconds.
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

    /// Whether both tell of the same bytes. Some network and FUSE file systems give a file another
    /// inode number at each look: then the change time shows that it was not replaced. Where inode
    /// numbers are stable, they show it, and a `chmod` or a new hard link changes nothing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same_inode = (self.device, self.inode) == (other.device, other.inode);
        (self.size, self.mtime) == (other.size, other.mtime)
            && (self.ctime == other.ctime || is_same_inode)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// All that is in `folder`, sorted by path, byte by byte.
pub(super) fn scan(folder: &Path) -> Result<Vec<Found>, Error> {
    let meta = fs::metadata(folder).map_err(Error::io(folder))?;
    if !meta.is_dir() {
        return Err(Error::NotAFolder(folder.to_owned()));
    }
    let mut found = Vec::new();
    // Directories still to be read: a stack of our own, for nesting of any depth.
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
            // Room for the slash of a directory.
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
                mtime: Timestamp {
                    secs: meta.mtime(),
                    nanos: 0,
                },
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
                // What a directory's time tells is not content: the earliest that an archive can
                // say, everywhere.
                mtime: Timestamp {
                    secs: 315_532_800,
                    nanos: 0,
                },
                is_executable: true,
                stamp: Stamp::of(&meta),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
