//! Files through which a mount without extended attributes answers questions about itself.
//!
//! The kernel asks for no attributes after the first ENOSYS, so `aiozfs status` and other commands need another way.
//! The file `.aiozfs.NAME` in the root has the value that the attribute `user.aiozfs.NAME` of the root would have. No
//! listing shows it. It takes precedence over an entry of this name in an archive, which could otherwise tell a
//! wrong process id to `aiozfs umount`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{Errno, FileAttr, FileHandle, FopenFlags, INodeNo, ReplyData, ReplyOpen};

use super::attributes::control;
use super::served::Served;
use super::xattr;
use crate::fs::Ino;

/// How the names begin.
pub(super) const CONTROL: &str = ".aiozfs.";

/// The first inode number. Those of archives are below 2^63.
const FIRST: u64 = 1 << 63;

/// At most this number of control files may be open.
const MOST_OPEN: usize = 256;

/// How many of the names that programs looked up last keep their inode numbers.
const MOST: usize = 64;

pub(super) struct ControlFiles {
    served: Arc<Served>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The names that were looked up, oldest first.
    names: VecDeque<(INodeNo, Vec<u8>)>,
    /// The values of open files. Each is made once, when the file is opened.
    open: HashMap<u64, Vec<u8>>,
    /// How many inode numbers and handles were given out.
    given: u64,
}

impl ControlFiles {
    pub(super) fn new(served: Arc<Served>) -> Self {
        Self {
            served,
            inner: Mutex::default(),
        }
    }

    /// Whether an inode number is that of a control file.
    pub(super) fn has(&self, ino: INodeNo) -> bool {
        ino.0 >= FIRST
    }

    pub(super) fn attr(&self, ino: INodeNo) -> FileAttr {
        control(ino)
    }

    /// The file of this name in a directory.
    pub(super) fn lookup(&self, directory: INodeNo, name: &[u8]) -> Option<FileAttr> {
        let name = asked_by(directory, name)?;
        let mut inner = self.inner();
        let known = inner.names.iter().find(|(_, known)| known == name);
        let ino = match known {
            Some((ino, _)) => *ino,
            None => {
                let ino = INodeNo(FIRST + inner.number());
                inner.names.push_back((ino, name.to_vec()));
                if inner.names.len() > MOST {
                    inner.names.pop_front();
                }
                ino
            }
        };
        Some(control(ino))
    }

    /// Opens a file for a user. Its value is made now.
    pub(super) fn open(self: &Arc<Self>, ino: INodeNo, user: u32, reply: ReplyOpen) {
        let name = {
            let inner = self.inner();
            if inner.open.len() >= MOST_OPEN {
                return reply.error(Errno::EMFILE);
            }
            let known = inner.names.iter().find(|(known, _)| *known == ino);
            known.map(|(_, name)| name.clone())
        };
        let Some(name) = name else {
            return reply.error(Errno::ESTALE);
        };
        if !xattr::may_read(&name, user) {
            return reply.error(Errno::EACCES);
        }
        let files = self.clone();
        self.served.spawn("open", async move {
            let Some(value) = xattr::of_mount(&files.served, Ino::ROOT, &name).await else {
                return reply.error(Errno::ENOENT);
            };
            let mut inner = files.inner();
            let handle = inner.number();
            inner.open.insert(handle, value.into_bytes());
            drop(inner);
            // The size is not known when it is looked up.
            reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO);
        });
    }

    pub(super) fn read(&self, handle: FileHandle, offset: u64, size: u32, reply: ReplyData) {
        let inner = self.inner();
        let value = inner.open.get(&handle.0).map_or(&[][..], Vec::as_slice);
        let start = usize::try_from(offset).map_or(value.len(), |at| at.min(value.len()));
        let end = value.len().min(start.saturating_add(size as usize));
        reply.data(&value[start..end]);
    }

    pub(super) fn release(&self, handle: FileHandle) {
        self.inner().open.remove(&handle.0);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is one call.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name in a directory is that of a control file. A listing must not have an entry of this name, because the
/// kernel would use what the listing says of it.
pub(super) fn is_name(directory: INodeNo, name: &[u8]) -> bool {
    asked_by(directory, name).is_some()
}

/// The name of the attribute for which a control file stands.
fn asked_by(directory: INodeNo, name: &[u8]) -> Option<&[u8]> {
    let name = name.strip_prefix(CONTROL.as_bytes())?;
    (directory.0 == Ino::ROOT.0 && xattr::is_asked_by_name(name)).then_some(name)
}

impl Inner {
    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }
}
