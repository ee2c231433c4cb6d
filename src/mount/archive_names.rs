//! Requests about the directories of an archive.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use fuser::{Errno, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus, ReplyEntry};

use super::attributes::{file_attr, kind};
use super::library_names;
use super::replies::{FOREVER, refuse, reply_absent, reply_entry};
use super::served::Served;
use crate::fs::{Ino, range_link};
use crate::library::File;

/// Answers with the file `name` in `parent`. Names that are range links have to be looked up in the archive.
pub(super) fn lookup(served: &Arc<Served>, parent: File, name: &[u8], reply: ReplyEntry) {
    let tree = parent.volume().tree();
    // The kernel asks for these if a file handle is all that it has (FUSE_EXPORT_SUPPORT).
    let found = match name {
        b"." => Some(parent.ino()),
        b".." => match parent.above().filter(|_| parent.ino() == Ino::ROOT) {
            Some(above) => return library_names::reply_directory(served, above, reply),
            None => tree.parent(parent.ino()),
        },
        name => tree.lookup(parent.ino(), name),
    };
    if let Some(ino) = found {
        if !tree.is_pending(ino) {
            return reply_entry(served, &parent, Ok(ino), reply);
        }
        let task = served.clone();
        return served.spawn("lookup", async move {
            match parent.volume().settle(ino).await {
                Ok(()) => reply_entry(&task, &parent, Ok(ino), reply),
                Err(error) => reply.error(refuse(&task, &parent.at(ino), &error)),
            }
        });
    }
    if range_link(name).is_none() {
        return reply_absent(reply);
    }
    let (task, name) = (served.clone(), name.to_vec());
    served.spawn("lookup", async move {
        let mut found = parent.volume().lookup_range_link(parent.ino(), &name).await;
        if let Ok(ino) = found {
            found = parent.volume().settle(ino).await.map(|()| ino);
        }
        reply_entry(&task, &parent, found, reply);
    });
}

pub(super) fn readdir(directory: &File, offset: u64, mut reply: ReplyDirectory) {
    let tree = directory.volume().tree();
    let Some(entries) = tree.read_dir(directory.ino(), offset) else {
        return reply.error(Errno::ENOTDIR);
    };
    for entry in entries {
        let above = above(directory, entry.name);
        let ino = above.unwrap_or_else(|| directory.outer(tree.inode(entry.ino)));
        let name = OsStr::from_bytes(entry.name);
        if reply.add(INodeNo(ino.0), entry.cookie, kind(entry.kind), name) {
            break;
        }
    }
    reply.ok();
}

pub(super) fn readdirplus(directory: &File, offset: u64, mut reply: ReplyDirectoryPlus) {
    let tree = directory.volume().tree();
    let Some(entries) = tree.read_dir(directory.ino(), offset) else {
        return reply.error(Errno::ENOTDIR);
    };
    for entry in entries {
        let Some(mut attr) = tree.attr(entry.ino) else {
            continue;
        };
        let above = above(directory, entry.name);
        attr.ino = above.unwrap_or_else(|| directory.outer(attr.ino));
        let attr = file_attr(&attr);
        let name = OsStr::from_bytes(entry.name);
        // The reply must have attributes. With a time to live of zero, the kernel asks again before it shows
        // them.
        let ttl = if tree.is_pending(entry.ino) {
            Duration::ZERO
        } else {
            FOREVER
        };
        if reply.add(attr.ino, entry.cookie, name, &ttl, &attr, Generation(0)) {
            break;
        }
    }
    reply.ok();
}

/// The directory that `..` in the root of an archive leads to.
fn above(directory: &File, name: &[u8]) -> Option<Ino> {
    let is_above = name == b".." && directory.ino() == Ino::ROOT;
    directory.above().filter(|_| is_above)
}
