//! Requests about the directories of a library: its root, and those of nested names.
//!
//! They are answered from memory. An archive in them is a directory whose attributes are known without opening
//! it.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use fuser::{
    Errno, FileHandle, FileType, Generation, INodeNo, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEntry,
};

use super::attributes::file_attr;
use super::replies::{FOREVER, reply_absent, reply_entry};
use super::served::Served;
use crate::fs::Ino;
use crate::library::{Child, Directory, Found};

pub(super) fn lookup(served: &Arc<Served>, directory: &Directory, name: &[u8], reply: ReplyEntry) {
    // The kernel asks for these if a file handle is all that it has (FUSE_EXPORT_SUPPORT).
    let known = match name {
        b"." => Some(directory.ino()),
        b".." => Some(directory.above()),
        name => directory.child(name),
    };
    if let Some(ino) = known {
        return reply_directory(served, ino, reply);
    }
    let Some(item) = served.library.named(directory.ino(), name) else {
        return reply_absent(reply);
    };
    let (task, ino, name) = (served.clone(), directory.ino(), name.to_vec());
    served.spawn("lookup", async move {
        task.library.add(item);
        match task.library.find(ino) {
            Found::Directory(directory) => match directory.child(&name) {
                Some(ino) => reply_directory(&task, ino, reply),
                None => reply_absent(reply),
            },
            _ => reply_absent(reply),
        }
    });
}

pub(super) fn reply_directory(served: &Served, ino: Ino, reply: ReplyEntry) {
    match served.library.attr(ino) {
        Some(attr) => reply_entry(reply, &attr),
        // A reload has just replaced it. The name is there, so the kernel must ask again.
        None => reply.error(Errno::ESTALE),
    }
}

/// Adds what is behind a position in the listing that has this handle.
pub(super) fn readdir(
    served: &Served,
    directory: Directory,
    handle: FileHandle,
    position: u64,
    hidden: impl Fn(&[u8]) -> bool,
    mut reply: ReplyDirectory,
) {
    list(served, directory, handle, position, hidden, |child| {
        let (ino, name) = (INodeNo(child.ino.0), OsStr::new(child.name));
        reply.add(ino, child.cookie, FileType::Directory, name)
    });
    reply.ok();
}

pub(super) fn readdirplus(
    served: &Served,
    directory: Directory,
    handle: FileHandle,
    position: u64,
    hidden: impl Fn(&[u8]) -> bool,
    mut reply: ReplyDirectoryPlus,
) {
    list(served, directory, handle, position, hidden, |child| {
        let Some(attr) = served.library.child_attr(child) else {
            return false;
        };
        // A listing goes on with the names that it began with. The kernel asks again before it uses one of them that
        // is gone.
        let ttl = if served.library.is_named(child) {
            FOREVER
        } else {
            Duration::ZERO
        };
        let (attr, name) = (file_attr(&attr), OsStr::new(child.name));
        reply.add(attr.ino, child.cookie, name, &ttl, &attr, Generation(0))
    });
    reply.ok();
}

/// Adds names to a reply until it is full. `add` returns whether it is.
fn list(
    served: &Served,
    directory: Directory,
    handle: FileHandle,
    position: u64,
    hidden: impl Fn(&[u8]) -> bool,
    mut add: impl FnMut(&Child<'_>) -> bool,
) {
    let directory = served.listings.directory(handle.0, position, directory);
    let mut children = directory.children(position).peekable();
    if children.peek().is_none() {
        served.listings.end(handle.0);
    }
    children.find(|child| !hidden(child.name.as_bytes()) && add(child));
}
