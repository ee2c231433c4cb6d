//! Requests about the names in a directory of an archive.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use fuser::{Errno, INodeNo, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry};

use super::attributes::{file_attr, kind};
use super::file_request::FileRequest;
use super::library_names;
use super::replies::{FOREVER, generation, reply_absent, reply_entry};
use crate::fs::{Attr, Ino, range_link};
use crate::library::File;
use crate::volume::FileError;

/// Answers with the file `name` in a directory.
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
    let FileRequest {
        file: directory,
        mut reply,
        ..
    } = request;
    let tree = directory.volume().tree();
    let Some(entries) = tree.read_dir(directory.ino(), offset) else {
        return reply.error(Errno::ENOTDIR);
    };
    for entry in entries.filter(|entry| !hidden(entry.name)) {
        let ino = shown_ino(&directory, entry.name, tree.inode(entry.ino));
        let name = OsStr::from_bytes(entry.name);
        if reply.add(INodeNo(ino.0), entry.cookie, kind(entry.kind), name) {
            break;
        }
    }
    reply.ok();
}

/// Lists a directory without the names that are `hidden`.
pub(super) fn readdirplus(
    request: FileRequest<ReplyDirectoryPlus>,
    offset: u64,
    hidden: impl Fn(&[u8]) -> bool,
) {
    let FileRequest {
        file: directory,
        mut reply,
        ..
    } = request;
    let tree = directory.volume().tree();
    let Some(entries) = tree.read_dir(directory.ino(), offset) else {
        return reply.error(Errno::ENOTDIR);
    };
    for entry in entries.filter(|entry| !hidden(entry.name)) {
        let Some(mut attr) = tree.attr(entry.ino) else {
            continue;
        };
        attr.ino = shown_ino(&directory, entry.name, attr.ino);
        let generation = generation(&attr);
        let (attr, name) = (file_attr(&attr), OsStr::from_bytes(entry.name));
        // The reply must have attributes. With a time to live of zero, the kernel asks again before it
        // shows them.
        let ttl = if tree.is_pending(entry.ino) {
            Duration::ZERO
        } else {
            FOREVER
        };
        if reply.add(attr.ino, entry.cookie, name, &ttl, &attr, generation) {
            break;
        }
    }
    reply.ok();
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
