//! Attributes of files, as the kernel wants them.

use std::time::{Duration, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use crate::archive::Kind;
use crate::fs::Attr;

/// The largest size that the kernel accepts (off_t). An archive that declares more is wrong, and to open
/// the file is an error that says so. With the declared size, even stat(2) would fail.
const MAX_SIZE: u64 = i64::MAX as u64;

/// The value of `st_blksize`, in bytes: `cp` reads in pieces of this size.
const BLOCK_SIZE: u32 = 128 * 1024;

pub(super) fn kind(kind: Kind) -> FileType {
    match kind {
        // A device, FIFO or socket of an archive is shown as an empty file, which opens no device.
        Kind::File | Kind::Special => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}

pub(super) fn file_attr(attr: &Attr) -> FileAttr {
    let seconds = Duration::from_secs(attr.mtime.secs.unsigned_abs());
    let whole = match attr.mtime.secs {
        0.. => UNIX_EPOCH.checked_add(seconds),
        _ => UNIX_EPOCH.checked_sub(seconds),
    };
    let nanos = Duration::from_nanos(attr.mtime.nanos.into());
    let mtime = whole.and_then(|time| time.checked_add(nanos));
    let mtime = mtime.unwrap_or(UNIX_EPOCH);
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size.min(MAX_SIZE),
        blocks: attr.blocks512,
        atime: mtime,
        mtime,
        ctime: mtime,
        crtime: mtime,
        kind: kind(attr.kind),
        perm: attr.perm,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        ..absent()
    }
}

/// The attributes of a control file, whose content is made when it is opened.
pub(super) fn control(ino: INodeNo) -> FileAttr {
    FileAttr {
        ino,
        perm: 0o444,
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        ..absent()
    }
}

/// The attributes of a name that does not exist.
pub(super) fn absent() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}
