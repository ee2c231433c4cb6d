//! Files through which a mount without extended attributes answers questions about itself.
//!
//! The kernel asks for no attributes after the first ENOSYS, so `aiozfs status` and other commands need another way.
//! The file `.aiozfs.NAME` in the root has the value that the attribute `user.aiozfs.NAME` of the root would have. No
//! listing shows it. It takes precedence over an entry of this name in an archive, which could otherwise tell a
//! wrong process id to `aiozfs umount`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fuser::{Errno, FileAttr, FileHandle, FopenFlags, INodeNo, ReplyData, ReplyOpen};
use parking_lot::Mutex;

use super::attributes::control;
use super::served::Served;
use super::trace::TRACE;
use super::xattr::{self, PID, RELOAD, STATUS};
use crate::fs::Ino;

/// How the names begin.
pub(super) const CONTROL: &str = ".aiozfs.";

/// The first inode number. Those of archives are below 2^63.
const FIRST: u64 = 1 << 63;

/// The most control files that may be open at once.
const MAX_OPEN: usize = 256;

/// Names that always have the same inode numbers, from [`FIRST`] on.
const FIXED: [&str; 4] = [STATUS, PID, RELOAD, TRACE];

/// This number of other names, which programs looked up last, keep their inode numbers.
const MAX_NAMES: usize = 64;

pub(super) struct ControlFiles {
    served: Arc<Served>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The names that were looked up and are not fixed, oldest first.
    names: VecDeque<(INodeNo, String)>,
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

    /// The file of this name in a directory.
    pub(super) fn lookup(&self, directory: INodeNo, name: &[u8]) -> Option<FileAttr> {
        let name = asked_by(directory, name)?;
        Some(control(self.inner.lock().ino(name)))
    }

    /// Opens a file for a user. Its value is made now.
    pub(super) fn open(self: &Arc<Self>, ino: INodeNo, user: u32, reply: ReplyOpen) {
        let Some(name) = self.inner.lock().name(ino) else {
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
            let handle = files.inner.lock().open(value.into_bytes());
            match handle {
                // The size is not known when it is looked up.
                Some(handle) => {
                    reply.opened(FileHandle(handle), FopenFlags::FOPEN_DIRECT_IO);
                }
                None => reply.error(Errno::EMFILE),
            }
        });
    }

    pub(super) fn read(&self, handle: FileHandle, offset: u64, size: u32, reply: ReplyData) {
        let inner = self.inner.lock();
        let value = inner.open.get(&handle.0).map_or(&[][..], Vec::as_slice);
        let start = usize::try_from(offset).map_or(value.len(), |at| at.min(value.len()));
        let end = value.len().min(start.saturating_add(size as usize));
        reply.data(&value[start..end]);
    }

    pub(super) fn release(&self, handle: FileHandle) {
        self.inner.lock().open.remove(&handle.0);
    }
}

/// Whether a name in a directory is that of a control file. A listing must not have an entry of this name, because the
/// kernel would use what the listing says of it.
pub(super) fn is_name(directory: INodeNo, name: &[u8]) -> bool {
    asked_by(directory, name).is_some()
}

/// The name of the attribute for which a control file stands.
fn asked_by(directory: INodeNo, name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?.strip_prefix(CONTROL)?;
    (directory.0 == Ino::ROOT.0 && xattr::is_asked_by_name(name)).then_some(name)
}

impl Inner {
    /// The inode number of a name that is looked up.
    fn ino(&mut self, name: &str) -> INodeNo {
        if let Some(at) = FIXED.iter().position(|fixed| *fixed == name) {
            return INodeNo(FIRST + at as u64);
        }
        let known = self.names.iter().find(|(_, known)| known == name);
        if let Some((ino, _)) = known {
            return *ino;
        }
        let ino = INodeNo(FIRST + FIXED.len() as u64 + self.number());
        self.names.push_back((ino, name.to_owned()));
        if self.names.len() > MAX_NAMES {
            self.names.pop_front();
        }
        ino
    }

    /// The name of an inode number; `None` if it was looked up long ago.
    fn name(&self, ino: INodeNo) -> Option<String> {
        let fixed = usize::try_from(ino.0 - FIRST).ok();
        if let Some(name) = fixed.and_then(|at| FIXED.get(at)) {
            return Some((*name).to_owned());
        }
        let known = self.names.iter().find(|(known, _)| *known == ino);
        known.map(|(_, name)| name.clone())
    }

    /// A handle for a file with this value; `None` if too many are open.
    fn open(&mut self, value: Vec<u8>) -> Option<u64> {
        if self.open.len() >= MAX_OPEN {
            return None;
        }
        let handle = self.number();
        self.open.insert(handle, value);
        Some(handle)
    }

    fn number(&mut self) -> u64 {
        self.given += 1;
        self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another user looked up 64 names, and a lookup of the mounter was forgotten before its open, which then failed.
    #[test]
    fn lookups_of_other_names_do_not_evict_those_that_commands_need() {
        let mut inner = Inner::default();
        let fixed = FIXED.map(|name| (name, inner.ino(name)));
        for n in 0..2 * MAX_NAMES {
            let name = format!("source.{n}");
            let ino = inner.ino(&name);
            assert_eq!(inner.name(ino), Some(name));
        }
        assert_eq!(inner.names.len(), MAX_NAMES);
        for (name, ino) in fixed {
            assert_eq!(inner.name(ino), Some(name.to_owned()), "{name}");
        }
    }

    /// The files that were being opened were not counted.
    #[test]
    fn no_more_files_are_open_than_may_be() {
        let mut inner = Inner::default();
        let handles: Vec<_> = (0..2 * MAX_OPEN).map(|_| inner.open(Vec::new())).collect();
        assert_eq!(handles.iter().flatten().count(), MAX_OPEN);
        assert_eq!(inner.open.len(), MAX_OPEN);
    }
}
