//! Finds a name in a directory of an archive.

use std::sync::Arc;

use fuser::ReplyEntry;

use super::library_names;
use super::replies::{refuse, reply_absent, reply_entry};
use super::served::Served;
use crate::fs::{Ino, range_link};
use crate::library::File;

/// Answers with the file `name` in `parent`. Names that are range links have to be looked up in the archive.
pub(super) fn in_archive(served: &Arc<Served>, parent: File, name: &[u8], reply: ReplyEntry) {
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
