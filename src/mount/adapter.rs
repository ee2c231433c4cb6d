//! The FUSE adapter: translates the kernel's requests to calls of [`Library`] and of the volumes in it, and their
//! results to replies.
//!
//! The threads that read /dev/fuse never wait for bytes. A request for bytes that are not in memory
//! becomes a task, which replies when it has them. A request that panics drops its reply, for which fuser sends EIO;
//! the thread goes on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fuser::{
    AccessFlags, Errno, FileHandle, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use tokio::sync::SetOnce;

use super::archive_names;
use super::attributes;
use super::control_files::{self, ControlFiles};
use super::errno;
use super::file_request::FileRequest;
use super::library_names;
use super::ongoing_read::OngoingRead;
use super::replies::{Reply, reply_access, reply_attr, reply_xattr};
use super::served::{Served, guard};
use super::xattr;
use crate::fs::Ino;
use crate::library::{Directory, Found, Library};

/// Up to this number of inodes, every readdir returns attributes too: `find -size` over 100,000 files
/// takes a third of the time. Over a million names, `find` would take seven times as long, so
/// larger trees use FUSE_READDIRPLUS_AUTO: the kernel asks for attributes from the second part of a
/// directory on, if programs use them (decision 8).
const ALWAYS_PLUS: usize = 300_000;

/// With FUSE_READDIRPLUS_AUTO, the kernel asks for attributes with the first part of every directory.
/// If directories have on average fewer files than this, most parts are first parts, and a large tree
/// does better without readdirplus.
const AUTO_PLUS: usize = 4000;

/// The most read-ahead requests that the kernel may have in flight. The default of 12 suits disks.
const MAX_BACKGROUND: u16 = 64;

/// Called when a session has ended.
type OnEnd = Box<dyn Fn() + Send + Sync>;

pub(super) struct Adapter {
    served: Arc<Served>,
    /// fuser, not the kernel, refuses some users (`allow_root`), so the kernel must send a request for
    /// every directory that is opened.
    refuses_users: bool,
    /// The kernel opens directories without a request after a first answer of ENOSYS.
    opens_dirs: bool,
    /// Answers questions about the mount, if it has no extended attributes.
    control: Option<Arc<ControlFiles>>,
    /// Set when the kernel's read-ahead is configured. Opens wait for it: the kernel fixes the read-ahead
    /// of a file when the file is opened.
    tuned: Arc<SetOnce<()>>,
    /// Called when the session has ended. Set just before it runs.
    on_end: Arc<OnceLock<OnEnd>>,
}

impl Adapter {
    pub(super) fn new(served: Arc<Served>, refuses_users: bool, has_xattrs: bool) -> Self {
        Self {
            control: (!has_xattrs).then(|| Arc::new(ControlFiles::new(served.clone()))),
            served,
            refuses_users,
            opens_dirs: false,
            tuned: Arc::default(),
            on_end: Arc::default(),
        }
    }

    /// The caller sets it to let files be opened.
    pub(super) fn tuned(&self) -> Arc<SetOnce<()>> {
        self.tuned.clone()
    }

    /// The caller sets it before the session runs.
    pub(super) fn on_end(&self) -> Arc<OnceLock<OnEnd>> {
        self.on_end.clone()
    }

    /// The control files, if the inode number is that of one.
    fn control(&self, ino: INodeNo) -> Option<&Arc<ControlFiles>> {
        self.control.as_ref().filter(|control| control.has(ino))
    }

    /// A test for the names in a directory that control files hide.
    fn hidden(&self, directory: INodeNo) -> impl Fn(&[u8]) -> bool + Send + 'static {
        let has_control = self.control.is_some();
        move |name| has_control && control_files::is_name(directory, name)
    }

    /// Handles a request about a file of an archive. Directories of the library are none.
    fn with_file<R: Reply>(
        &self,
        what: &'static str,
        ino: INodeNo,
        reply: R,
        handle: impl FnOnce(FileRequest<R>) + Send + 'static,
    ) {
        self.with_target(what, ino, reply, |target| match target {
            Target::File(request) => handle(request),
            Target::Directory(_, _, reply) => reply.fail(Errno::EISDIR),
        });
    }

    /// Handles a request: at once if it is about an open archive or the library itself, else in a task that opens
    /// the archive.
    fn with_target<R: Reply>(
        &self,
        what: &'static str,
        ino: INodeNo,
        reply: R,
        handle: impl FnOnce(Target<R>) + Send + 'static,
    ) {
        guard(what, || {
            let served = self.served.clone();
            let closed = match served.library.find(Ino(ino.0)) {
                Found::File(file) => {
                    return handle(Target::File(FileRequest::new(what, served, file, reply)));
                }
                Found::Directory(directory) => {
                    return handle(Target::Directory(served, directory, reply));
                }
                Found::Gone => return reply.fail(Errno::ESTALE),
                Found::Closed(closed) => closed,
            };
            self.served.spawn(what, async move {
                match closed.await {
                    Ok(file) => handle(Target::File(FileRequest::new(what, served, file, reply))),
                    Err(error) => match served.library.find(Ino(ino.0)) {
                        // It turned out to be a directory of archives.
                        Found::Directory(directory) => {
                            handle(Target::Directory(served, directory, reply));
                        }
                        _ => reply.fail(errno::of_unopened(&error)),
                    },
                }
            });
        });
    }
}

/// What a request is about, and its reply.
enum Target<R> {
    /// A file or directory of an archive.
    File(FileRequest<R>),
    Directory(Arc<Served>, Directory, R),
}

fn readdir_plus(library: &Library) -> InitFlags {
    // The directories of a library belong to any number of archives, most of them small.
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
        // Without opendir requests, the kernel caches listings, too. A reload would cut short those in progress.
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
        self.with_target("lookup", parent, reply, move |target| match target {
            Target::File(request) => archive_names::lookup(request, name),
            Target::Directory(served, directory, reply) => {
                library_names::lookup(&served, &directory, &name, reply);
            }
        });
    }

    /// The session has ended. This does not return, because fuser 0.18 would then unmount the path even if the mount is
    /// gone: it takes the POLLERR of a severed connection for a sign that the mount is there. Another mount that has
    /// taken its place would be unmounted.
    fn destroy(&mut self) {
        if let Some(on_end) = self.on_end.get() {
            on_end();
            loop {
                std::thread::park();
            }
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        if let Some(attr) = self.served.library.attr(Ino(ino.0)) {
            return reply_attr(reply, attr);
        }
        if self.control(ino).is_some() {
            return reply.attr(&Duration::ZERO, &attributes::control(ino));
        }
        self.with_file("getattr", ino, reply, |request| {
            if request.file.is_settled() {
                let attr = request.file.attr();
                return request.answer(attr, reply_attr);
            }
            let file = request.file.clone();
            request.answer_later(async move { file.settled_attr().await }, reply_attr);
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.with_file("readlink", ino, reply, |request| {
            let file = request.file.clone();
            let target = async move { file.volume().read_link(file.ino()).await };
            request.answer_later(target, |reply, target| reply.data(&target));
        });
    }

    fn open(&self, req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if let Some(control) = self.control(ino) {
            return control.open(ino, req.uid(), reply);
        }
        let tuned = self.tuned.clone();
        self.with_file("open", ino, reply, move |request| {
            let (served, file) = (request.served.clone(), request.file.clone());
            let (volume, ino) = (file.volume().clone(), file.ino());
            let reply_opened = move |reply: ReplyOpen, moment| {
                file.opened();
                served.tally.opened();
                // NOFLUSH: nothing is ever flushed, and close(2) need not wait for a reply.
                let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
                reply.opened(FileHandle(moment), flags);
            };
            let opened = volume.open(ino);
            let is_locked = volume.is_locked(ino);
            if opened.is_err() || tuned.initialized() && !is_locked {
                return request.answer(opened, reply_opened);
            }
            let ready = async move {
                tuned.wait().await;
                if is_locked {
                    volume.unlock(ino).await?;
                }
                opened
            };
            request.answer_later(ready, reply_opened);
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
        self.with_file("read", ino, reply, move |request| {
            let reply_data = |reply: ReplyData, bytes: Vec<u8>| reply.data(&bytes);
            let read = OngoingRead::new(request.file.ino(), fh.0, offset, size);
            if let Some(result) = read.without_waiting(&request.served, &request.file) {
                return request.answer(result, reply_data);
            }
            let (served, file) = (request.served.clone(), request.file.clone());
            let bytes = async move { read.wait(&served, &file).await };
            request.answer_later(bytes, reply_data);
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        if self.opens_dirs {
            // After this answer the kernel sends no more of these requests, and does by itself what
            // is below. With many small directories this saves a third of all requests.
            return reply.error(Errno::ENOSYS);
        }
        if self.served.library.is_replaced(Ino(ino.0)) {
            // The kernel then looks the name up again. Its listing would fail with the same error, which programs get.
            return reply.error(Errno::ESTALE);
        }
        if self.served.library.attr(Ino(ino.0)).is_some() {
            let handle = FileHandle(self.served.listings.handle());
            return reply.opened(handle, FopenFlags::empty());
        }
        let keep = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
        self.with_file("opendir", ino, reply, move |request| {
            match request.file.volume().tree().read_dir(request.file.ino(), 0) {
                Some(_) => request.reply.opened(FileHandle(0), keep),
                None => request.reply.error(Errno::ENOTDIR),
            }
        });
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let hidden = self.hidden(ino);
        self.with_target("readdir", ino, reply, move |target| match target {
            Target::File(request) => archive_names::readdir(request, offset, hidden),
            Target::Directory(served, directory, reply) => {
                library_names::readdir(&served, directory, handle, offset, hidden, reply);
            }
        });
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        reply: ReplyDirectoryPlus,
    ) {
        let hidden = self.hidden(ino);
        self.with_target("readdirplus", ino, reply, move |target| match target {
            Target::File(request) => archive_names::readdirplus(request, offset, hidden),
            Target::Directory(served, directory, reply) => {
                library_names::readdirplus(&served, directory, handle, offset, hidden, reply);
            }
        });
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.served.listings.end(fh.0);
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        guard("statfs", || {
            let (library, unit) = (&self.served.library, 512);
            // Of a library, only the names are known.
            let (bytes, files) = match library.single().map(|volume| volume.tree().totals()) {
                Some(totals) => (totals.bytes, totals.files),
                None => (0, library.names() as u64),
            };
            let blocks = bytes.div_ceil(u64::from(unit));
            reply.statfs(blocks, 0, 0, files, 0, unit, 255, unit);
        });
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        if self.control(ino).is_some() {
            // The open decides whether this user may read it.
            return reply.ok();
        }
        if let Some(attr) = self.served.library.attr(Ino(ino.0)) {
            return reply_access(reply, &attr, mask);
        }
        self.with_file("access", ino, reply, move |request| {
            let attr = request.file.attr();
            request.answer(attr, |reply, attr| reply_access(reply, &attr, mask));
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        if self.control.is_some() {
            // After this answer the kernel sends no more of these requests.
            return reply.error(Errno::ENOSYS);
        }
        let name = name.as_bytes();
        // After this answer, `ls -l` asks for security.selinux and ACLs of no more files of this mount.
        if !name.starts_with(b"user.") {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let Some(name) = xattr::own_name(name) else {
            return reply.error(Errno::ENODATA);
        };
        if !xattr::may_read(name, req.uid()) {
            return reply.error(Errno::ENODATA);
        }
        let name = name.to_owned();
        let reply_value = move |reply: ReplyXattr, value: Option<String>| match value {
            Some(value) => reply_xattr(reply, value.as_bytes(), size),
            None => reply.error(Errno::ENODATA),
        };
        let shown = Ino(ino.0);
        if xattr::is_of_mount(&self.served, shown) {
            let served = self.served.clone();
            return self.served.spawn("getxattr", async move {
                reply_value(reply, xattr::of_mount(&served, shown, &name).await);
            });
        }
        self.with_file("getxattr", ino, reply, move |request| {
            let file = request.file.clone();
            let value = async move { xattr::of_file(&file, &name).await };
            request.answer_later(value, reply_value);
        });
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        if self.control.is_some() {
            return reply.error(Errno::ENOSYS);
        }
        if xattr::is_of_mount(&self.served, Ino(ino.0)) {
            let names = xattr::names_of_mount(&self.served, Ino(ino.0));
            return reply_xattr(reply, &names, size);
        }
        self.with_file("listxattr", ino, reply, move |request| {
            let names = xattr::names(&request.file);
            request.answer(names, |reply, names| reply_xattr(reply, &names, size));
        });
    }
}
