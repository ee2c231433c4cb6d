//! The FUSE adapter: translates the kernel's requests to calls of [`Volume`](crate::volume::Volume), and results
//! to replies.
//!
//! The threads that read /dev/fuse never wait for bytes. A request for bytes that are not in memory
//! becomes a task, which replies when it has them. A request that panics is answered with EIO, which
//! fuser sends for a reply that is dropped; its thread goes on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use fuser::{
    AccessFlags, Errno, FileHandle, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use tokio::sync::SetOnce;

use super::archive_names;
use super::attributes::file_attr;
use super::control_files::ControlFiles;
use super::errno;
use super::failpoint::{Place, panic_if_asked};
use super::library_names;
use super::ongoing_read::OngoingRead;
use super::replies::{FOREVER, Reply, refuse, reply_xattr};
use super::served::{Served, guard};
use super::xattr;
use crate::fs::{Attr, Ino};
use crate::library::{Directory, File, Found, Library};

/// Up to this number of inodes, every readdir returns attributes too: `find -size` over 100,000 files
/// takes a third of the time. Over a million names, `find` would take seven times as long (measured), so
/// larger trees use FUSE_READDIRPLUS_AUTO: the kernel asks for attributes from the second part of a
/// directory on, if programs use them.
const ALWAYS_PLUS: usize = 300_000;

/// With FUSE_READDIRPLUS_AUTO, the kernel asks for attributes with the first part of every directory.
/// If directories have on average fewer files than this, most parts are first parts, and a large tree
/// does better without readdirplus.
const AUTO_PLUS: usize = 4000;

/// The most read-ahead requests that the kernel may have in flight. The default of 12 suits disks.
const MAX_BACKGROUND: u16 = 64;

pub(super) struct Adapter {
    served: Arc<Served>,
    /// fuser, not the kernel, refuses some users (`allow_root`), so the kernel must send a request for
    /// every directory that is opened.
    refuses_users: bool,
    /// The kernel opens directories without a request after a first answer of ENOSYS.
    opens_dirs: bool,
    /// What answers questions about the mount if it has no extended attributes.
    control: Option<Arc<ControlFiles>>,
    /// Set when the kernel's read-ahead is configured. Opens wait for it: the kernel fixes the read-ahead
    /// of a file when the file is opened.
    tuned: Arc<SetOnce<()>>,
}

impl Adapter {
    pub(super) fn new(served: Arc<Served>, refuses_users: bool, has_xattrs: bool) -> Self {
        Self {
            control: (!has_xattrs).then(|| Arc::new(ControlFiles::new(served.clone()))),
            served,
            refuses_users,
            opens_dirs: false,
            tuned: Arc::default(),
        }
    }

    /// Set it to let files be opened.
    pub(super) fn tuned(&self) -> Arc<SetOnce<()>> {
        self.tuned.clone()
    }

    /// The control files, if the inode number is that of one.
    fn control(&self, ino: INodeNo) -> Option<&Arc<ControlFiles>> {
        self.control.as_ref().filter(|control| control.has(ino))
    }

    /// Answers a request about a file of an archive. A directory of the library is no such file.
    fn with_file<R: Reply>(
        &self,
        what: &'static str,
        ino: INodeNo,
        reply: R,
        act: impl FnOnce(&Arc<Served>, File, R) + Send + 'static,
    ) {
        self.with_target(what, ino, reply, |served, target, reply| match target {
            Target::File(file) => act(served, file, reply),
            Target::Directory(_) => reply.fail(Errno::EISDIR),
        });
    }

    /// Answers a request: at once if it is about an open archive or the library itself, else in a task that opens
    /// the archive.
    fn with_target<R: Reply>(
        &self,
        what: &'static str,
        ino: INodeNo,
        reply: R,
        act: impl FnOnce(&Arc<Served>, Target, R) + Send + 'static,
    ) {
        guard(what, || {
            let closed = match self.served.library.find(Ino(ino.0)) {
                Found::File(file) => return act(&self.served, Target::File(file), reply),
                Found::Directory(directory) => {
                    return act(&self.served, Target::Directory(directory), reply);
                }
                Found::Gone => return reply.fail(Errno::ESTALE),
                Found::Closed(closed) => closed,
            };
            let served = self.served.clone();
            self.served.spawn(what, async move {
                match closed.open().await {
                    Ok(file) => act(&served, Target::File(file), reply),
                    Err(error) => match served.library.find(Ino(ino.0)) {
                        // It turned out to be a directory of archives.
                        Found::Directory(directory) => {
                            act(&served, Target::Directory(directory), reply);
                        }
                        _ => reply.fail(errno::of_unopened(&error)),
                    },
                }
            });
        });
    }
}

/// What a request is about.
enum Target {
    File(File),
    Directory(Directory),
}

fn readdir_plus(library: &Library) -> InitFlags {
    // The directories of a library may be those of any number of archives, most of which are small.
    let (files, directories) = match library.single() {
        Some(volume) => (volume.tree().len(), volume.tree().directories()),
        None => (0, 1),
    };
    match files {
        0..=ALWAYS_PLUS => InitFlags::FUSE_DO_READDIRPLUS,
        _ if files / directories > AUTO_PLUS => {
            InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO
        }
        _ => InitFlags::empty(),
    }
}

fn reply_access(attr: &Attr, mask: AccessFlags, reply: ReplyEmpty) {
    // Only the user who mounted gets here; for others the kernel decides (default_permissions).
    if mask.contains(AccessFlags::W_OK) {
        reply.error(Errno::EROFS);
    } else if mask.contains(AccessFlags::X_OK) && attr.perm & 0o111 == 0 {
        reply.error(Errno::EACCES);
    } else {
        reply.ok();
    }
}

impl fuser::Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Inode numbers stay the same, so an NFS server may use them in file handles (FUSE_EXPORT_SUPPORT).
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_EXPORT_SUPPORT
            | readdir_plus(&self.served.library);
        // An old kernel without some of these is slower, not wrong.
        if let Err(lacking) = config.add_capabilities(wanted) {
            let _ = config.add_capabilities(wanted & !lacking);
        }
        // The kernel would also cache listings. A reload would end those that are not at their end.
        let may_change = self.served.library.single().is_none();
        self.opens_dirs = !self.refuses_users
            && !may_change
            && (config.add_capabilities(InitFlags::FUSE_NO_OPENDIR_SUPPORT)).is_ok();
        let _ = config.set_max_background(MAX_BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes().to_vec();
        if let Some(control) = &self.control
            && let Some(attr) = control.lookup(parent, &name)
        {
            return reply.entry(&Duration::ZERO, &attr, Generation(0));
        }
        self.with_target(
            "lookup",
            parent,
            reply,
            move |served, target, reply| match target {
                Target::File(file) => archive_names::lookup(served, file, &name, reply),
                Target::Directory(directory) => {
                    library_names::lookup(served, &directory, &name, reply);
                }
            },
        );
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        if let Some(attr) = self.served.library.attr(Ino(ino.0)) {
            return reply.attr(&FOREVER, &file_attr(&attr));
        }
        if let Some(control) = self.control(ino) {
            return reply.attr(&Duration::ZERO, &control.attr(ino));
        }
        self.with_file("getattr", ino, reply, |served, file, reply| {
            if !file.volume().tree().is_pending(file.ino()) {
                return reply_attr(served, &file, reply);
            }
            let settled = served.clone();
            served.spawn("getattr", async move {
                match file.volume().settle(file.ino()).await {
                    Ok(()) => reply_attr(&settled, &file, reply),
                    Err(error) => reply.error(refuse(&settled, &file, &error)),
                }
            });
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.with_file("readlink", ino, reply, |served, file, reply| {
            let task = served.clone();
            served.spawn("readlink", async move {
                match file.volume().read_link(file.ino()).await {
                    Ok(target) => reply.data(&target),
                    Err(error) => reply.error(refuse(&task, &file, &error)),
                }
            });
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if let Some(control) = self.control(ino) {
            return control.open(ino, req.uid(), reply);
        }
        let tuned = self.tuned.clone();
        self.with_file("open", ino, reply, move |served, file, reply| {
            let opened = match file.volume().open(file.ino()) {
                Ok(moment) => FileHandle(moment),
                Err(error) => return reply.error(refuse(served, &file, &error)),
            };
            // NOFLUSH: nothing is ever flushed, and close(2) need not wait for a reply.
            let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
            let is_locked = file.volume().is_locked(file.ino());
            if tuned.initialized() && !is_locked {
                file.opened();
                served.tally.opened();
                return reply.opened(opened, flags);
            }
            let task = served.clone();
            served.spawn("open", async move {
                tuned.wait().await;
                if is_locked && let Err(error) = file.volume().unlock(file.ino()).await {
                    return reply.error(refuse(&task, &file, &error));
                }
                file.opened();
                task.tally.opened();
                reply.opened(opened, flags);
            });
        });
    }

    fn release(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if let Some(control) = self.control(ino) {
            control.release(fh);
            return reply.ok();
        }
        guard("release", || self.served.library.released(Ino(ino.0)));
        self.served.tally.released();
        reply.ok();
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        if let Some(control) = self.control(ino) {
            return control.read(fh, offset, size, reply);
        }
        self.with_file("read", ino, reply, move |served, file, reply| {
            let (volume, ino) = (file.volume(), file.ino());
            let request = OngoingRead::new(ino, offset, size);
            panic_if_asked(Place::Thread, volume, ino);
            if !volume.tree().is_pending(ino) {
                let span = match volume.span(ino, offset, size) {
                    Ok(span) => span,
                    Err(error) => return reply.error(refuse(served, &file, &error)),
                };
                let mut bytes = Vec::with_capacity((span.end - span.start) as usize);
                if volume.try_read(ino, fh.0, &span, &mut bytes) {
                    request.found(served, volume, bytes.len());
                    return reply.data(&bytes);
                }
            }
            let task = served.clone();
            served.spawn("read", async move {
                panic_if_asked(Place::Task, file.volume(), ino);
                let result = file.volume().read(ino, fh.0, offset, size).await;
                request.waited(&task, file.volume(), &result);
                match result {
                    Ok(bytes) => reply.data(&bytes),
                    Err(error) => reply.error(refuse(&task, &file, &error)),
                }
            });
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.opens_dirs {
            // After this answer the kernel sends no more of these requests, and does by itself what
            // is below. With many small directories this saves a third of all requests.
            return reply.error(Errno::ENOSYS);
        }
        if self.served.library.attr(Ino(ino.0)).is_some() {
            return reply.opened(FileHandle(0), FopenFlags::empty());
        }
        let keep = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        self.with_file("opendir", ino, reply, move |_, file, reply| {
            match file.volume().tree().read_dir(file.ino(), 0) {
                Some(_) => reply.opened(FileHandle(0), keep),
                None => reply.error(Errno::ENOTDIR),
            }
        });
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        self.with_target(
            "readdir",
            ino,
            reply,
            move |served, target, reply| match target {
                Target::File(file) => archive_names::readdir(&file, offset, reply),
                Target::Directory(directory) => {
                    library_names::readdir(served, directory, offset, reply);
                }
            },
        );
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        self.with_target(
            "readdirplus",
            ino,
            reply,
            move |served, target, reply| match target {
                Target::File(file) => archive_names::readdirplus(&file, offset, reply),
                Target::Directory(directory) => {
                    library_names::readdirplus(served, directory, offset, reply);
                }
            },
        );
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        guard("statfs", || {
            let (library, unit) = (&self.served.library, 512);
            // Of a library, only the names are known.
            let (bytes, files) = match library.single().map(|volume| volume.tree().totals()) {
                Some(totals) => (totals.bytes, totals.files),
                None => (0, library.len() as u64),
            };
            let blocks = bytes.div_ceil(u64::from(unit));
            reply.statfs(blocks, 0, 0, files, 0, unit, 255, unit);
        });
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        if let Some(attr) = self.served.library.attr(Ino(ino.0)) {
            return reply_access(&attr, mask, reply);
        }
        self.with_file("access", ino, reply, move |served, file, reply| match file
            .volume()
            .attr(file.ino())
        {
            Ok(attr) => reply_access(&attr, mask, reply),
            Err(error) => reply.error(refuse(served, &file, &error)),
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if self.control.is_some() {
            // After this answer the kernel sends no more of these requests.
            return reply.error(Errno::ENOSYS);
        }
        guard("getxattr", || {
            // The kernel and tools ask for others, such as security.capability, at every exec or `ls`.
            let Some(name) = xattr::own_name(name.as_bytes()) else {
                return reply.error(Errno::ENODATA);
            };
            if !xattr::may_read(name, req.uid()) {
                return reply.error(Errno::ENODATA);
            }
            let (name, outer) = (name.to_vec(), Ino(ino.0));
            if xattr::is_of_mount(&self.served, outer) {
                let served = self.served.clone();
                return self.served.spawn("getxattr", async move {
                    match xattr::of_mount(&served, outer, &name).await {
                        Some(value) => reply_xattr(value.as_bytes(), size, reply),
                        None => reply.error(Errno::ENODATA),
                    }
                });
            }
            self.with_file("getxattr", ino, reply, move |served, file, reply| {
                let task = served.clone();
                served.spawn("getxattr", async move {
                    match xattr::of_file(&file, &name).await {
                        Ok(Some(value)) => reply_xattr(value.as_bytes(), size, reply),
                        Ok(None) => reply.error(Errno::ENODATA),
                        Err(error) => reply.error(refuse(&task, &file, &error)),
                    }
                });
            });
        });
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        if self.control.is_some() {
            return reply.error(Errno::ENOSYS);
        }
        if xattr::is_of_mount(&self.served, Ino(ino.0)) {
            let names = xattr::names_of_mount(&self.served, Ino(ino.0));
            return reply_xattr(&names, size, reply);
        }
        self.with_file(
            "listxattr",
            ino,
            reply,
            move |served, file, reply| match xattr::names(&file) {
                Ok(names) => reply_xattr(&names, size, reply),
                Err(error) => reply.error(refuse(served, &file, &error)),
            },
        );
    }
}

fn reply_attr(served: &Served, file: &File, reply: ReplyAttr) {
    match file.volume().attr(file.ino()) {
        Ok(mut attr) => {
            attr.ino = file.outer(attr.ino);
            reply.attr(&FOREVER, &file_attr(&attr));
        }
        Err(error) => reply.error(refuse(served, file, &error)),
    }
}
