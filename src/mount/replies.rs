//! Replies to requests, and what a failed request logs.

use std::fmt;
use std::sync::Once;
use std::time::{Duration, Instant};

use fuser::{
    AccessFlags, Errno, Generation, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr,
};

use super::attributes::{absent, file_attr};
use super::errno;
use super::served::Served;
use crate::fs::Attr;
use crate::library::File;
use crate::volume::FileError;
use crate::{reader, source};

/// The content of an archive is immutable, so the kernel may cache all attributes and names for as long as the
/// mount exists. When a library is reloaded, the kernel is told which names to forget.
pub(super) const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A reply that can be an error.
pub(super) trait Reply: Send + 'static {
    fn fail(self, errno: Errno);
}

macro_rules! replies {
    ($($reply:ty),*) => {
        $(impl Reply for $reply {
            fn fail(self, errno: Errno) {
                self.error(errno);
            }
        })*
    };
}

replies!(
    ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr
);

impl Reply for ReplyDirectory {
    fn fail(self, errno: Errno) {
        self.error(listing(errno));
    }
}

impl Reply for ReplyDirectoryPlus {
    fn fail(self, errno: Errno) {
        self.error(listing(errno));
    }
}

/// The errno of a listing that fails. The C library takes ENOENT for the end of a directory (glibc, readdir(3)),
/// and an archive that is not there must not look like an empty one.
fn listing(errno: Errno) -> Errno {
    if errno.code() == libc::ENOENT {
        return Errno::EIO;
    }
    errno
}

/// The errno of an error of a file. Logs errors that a user can do something about.
pub(super) fn refuse(served: &Served, file: &File, error: &FileError) -> Errno {
    served.tally.failed(error);
    match error {
        FileError::NotFound => Errno::ENOENT,
        FileError::IsDirectory => Errno::EISDIR,
        FileError::NotALink => Errno::EINVAL,
        FileError::Link(why) => {
            log_once(served, file, why);
            Errno::EACCES
        }
        FileError::Playlist { .. } => {
            let remedy = "'-o playlists=stored' shows it as it is stored";
            log_once(served, file, &format_args!("{error}; {remedy}"));
            Errno::EIO
        }
        FileError::Read(error @ reader::Error::Source(source::Error::Changed { .. })) => {
            log_changed(served, file, error);
            errno::of_read(error)
        }
        FileError::Read(error) => {
            // A wrong checksum was logged in full when it was found.
            if !matches!(error, reader::Error::Checksum { .. }) {
                log_once(served, file, error);
            }
            errno::of_read(error)
        }
        FileError::Decode(error) => {
            log_once(served, file, error);
            errno::of_decode(error)
        }
    }
}

/// If the error says that the archive has changed, waits until its name leads to the new one. A program that is told
/// the error may open it again at once.
pub(super) async fn renew(served: &Served, file: &File, error: &FileError) {
    if let FileError::Read(reader::Error::Source(source::Error::Changed { .. })) = error
        && let Some(renewed) = served.library.changed(file.outer(file.ino()))
    {
        let _ = renewed.await;
    }
}

/// Logs that an archive has changed. This concerns all its files, and lasts until the archive is opened anew.
fn log_changed(served: &Served, file: &File, error: &reader::Error) {
    if file.above().is_some() {
        log_once(served, file, error);
        // A task that fails tells it before: see `renew`.
        drop(served.library.changed(file.outer(file.ino())));
        return;
    }
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        log::error!(
            "{error}; reads of bytes that are not in memory fail with ESTALE until it is mounted again"
        );
    });
}

fn log_once(served: &Served, file: &File, why: &dyn fmt::Display) {
    // At level debug every failed request is logged.
    let is_new = served.logged.is_new(file.outer(file.ino()), Instant::now());
    let level = if is_new {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    let path = file.path(file.ino());
    log::log!(level, "{}: {why}", String::from_utf8_lossy(&path));
}

pub(super) fn reply_attr(reply: ReplyAttr, attr: Attr) {
    reply.attr(&FOREVER, &file_attr(&attr));
}

pub(super) fn reply_entry(reply: ReplyEntry, attr: &Attr) {
    reply.entry(&FOREVER, &file_attr(attr), generation(attr));
}

/// The kernel refuses a file handle with ESTALE if the file's generation is another one, as after a mount of another
/// archive on the same directory.
pub(super) fn generation(attr: &Attr) -> Generation {
    Generation(attr.generation.into())
}

/// An entry with inode 0 is a missing name that the kernel may cache (FUSE_LOOKUP).
pub(super) fn reply_absent(reply: ReplyEntry) {
    reply.entry(&FOREVER, &absent(), Generation(0));
}

pub(super) fn reply_access(reply: ReplyEmpty, attr: &Attr, mask: AccessFlags) {
    // Only the user who mounted gets here; for others the kernel decides (default_permissions).
    if mask.contains(AccessFlags::W_OK) {
        reply.error(Errno::EROFS);
    } else if mask.contains(AccessFlags::X_OK) && attr.perm & 0o111 == 0 {
        reply.error(Errno::EACCES);
    } else {
        reply.ok();
    }
}

pub(super) fn reply_xattr(reply: ReplyXattr, value: &[u8], size: u32) {
    match (size, u32::try_from(value.len())) {
        (_, Err(_)) => reply.error(Errno::E2BIG),
        (0, Ok(len)) => reply.size(len),
        (size, Ok(len)) if len > size => reply.error(Errno::ERANGE),
        _ => reply.data(value),
    }
}
