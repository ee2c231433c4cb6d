//! Requests about the names in a directory of an archive.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{Errno, INodeNo, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry};

use super::attributes::{file_attr, kind};
use super::file_request::FileRequest;
use super::library_names;
use super::replies::{FOREVER, generation, reply_absent, reply_entry};
use crate::fs::{Attr, DirEntry, Ino, range_link};
use crate::library::File;
use crate::volume::FileError;

pub(super) fn lookup(request: FileRequest<ReplyEntry>, name: Vec<u8>) {
    let directory = request.file.clone();
    let tree = directory.volume().tree();
    // The kernel asks for the first two if a file handle is all that it has (FUSE_EXPORT_SUPPORT).
    let found = match &*name {
        b"." => Some(directory.ino()),
        b".." => match above_archive(&directory) {
            Some(above) => {
                return library_names::reply_directory(&request.served, above, request.reply);
            }
            None => tree.parent(directory.ino()),
        },
        name => tree.lookup(directory.ino(), name),
    };
    match found.map(|ino| directory.at(ino)) {
        Some(file) if file.is_settled() => request.answer(file.attr().map(Some), reply_found),
        Some(file) => {
            // An error is that of the file.
            let request = FileRequest {
                file: file.clone(),
                ..request
            };
            let attr = async move { file.settled_attr().await.map(Some) };
            request.answer_later(attr, reply_found);
        }
        // Only the archive tells whether a range is that of a file.
        None if range_link(&name).is_some() => {
            let attr = async move {
                let linked = directory.volume().lookup_range_link(directory.ino(), &name);
                match linked.await {
                    Ok(ino) => directory.at(ino).settled_attr().await.map(Some),
                    Err(FileError::NotFound) => Ok(None),
                    Err(error) => Err(error),
                }
            };
            request.answer_later(attr, reply_found);
        }
        None => reply_absent(request.reply),
    }
}

fn reply_found(reply: ReplyEntry, found: Option<Attr>) {
    match found {
        Some(attr) => reply_entry(reply, &attr),
        None => reply_absent(reply),
    }
}

/// Lists a directory without the names that are `hidden`.
pub(super) fn readdir(
    request: FileRequest<ReplyDirectory>,
    offset: u64,
    hidden: impl Fn(&[u8]) -> bool,
) {
    let (directory, mut reply) = (request.file, request.reply);
    let tree = directory.volume().tree();
    let listed = list(&directory, offset, hidden, |entry, name| {
        let ino = shown_ino(&directory, entry.name, tree.inode(entry.ino));
        reply.add(INodeNo(ino.0), entry.cookie, kind(entry.kind), name)
    });
    match listed {
        Some(()) => reply.ok(),
        None => reply.error(Errno::ENOTDIR),
    }
}

/// Lists a directory without the names that are `hidden`.
pub(super) fn readdirplus(
    request: FileRequest<ReplyDirectoryPlus>,
    offset: u64,
    hidden: impl Fn(&[u8]) -> bool,
) {
    let (directory, mut reply) = (request.file, request.reply);
    let tree = directory.volume().tree();
    let listed = list(&directory, offset, hidden, |entry, name| {
        let Some(mut attr) = tree.attr(entry.ino) else {
            return false;
        };
        attr.ino = shown_ino(&directory, entry.name, attr.ino);
        let generation = generation(&attr);
        let attr = file_attr(&attr);
        // The reply must have attributes. With a time to live of zero, the kernel asks again before it
        // shows them.
        let ttl = if tree.is_pending(entry.ino) {
            Duration::ZERO
        } else {
            FOREVER
        };
        reply.add(attr.ino, entry.cookie, name, &ttl, &attr, generation)
    });
    match listed {
        Some(()) => reply.ok(),
        None => reply.error(Errno::ENOTDIR),
    }
}

/// Adds what is in a directory behind a position to a reply, until that is full. `add` returns whether it is. `None` if
/// it is no directory.
fn list(
    directory: &File,
    offset: u64,
    hidden: impl Fn(&[u8]) -> bool,
    mut add: impl FnMut(&DirEntry<'_>, &OsStr) -> bool,
) -> Option<()> {
    let tree = directory.volume().tree();
    let mut entries = tree.read_dir(directory.ino(), offset)?;
    entries.find(|entry| !hidden(entry.name) && add(entry, OsStr::from_bytes(entry.name)));
    Some(())
}

/// The inode number in the mount of the file `ino`, which has this name in `directory`.
fn shown_ino(directory: &File, name: &[u8], ino: Ino) -> Ino {
    let above = (name == b"..").then(|| above_archive(directory)).flatten();
    above.unwrap_or_else(|| directory.outer(ino))
}

/// The directory of the library above an archive, if `directory` is the archive's root.
fn above_archive(directory: &File) -> Option<Ino> {
    directory.above().filter(|_| directory.ino() == Ino::ROOT)
}
