//! The FUSE adapter: translates the kernel's requests to calls of [`Volume`], and results to replies.
//!
//! The threads that read /dev/fuse never wait for bytes. A request for bytes that are not in memory
//! becomes a task, which replies when it has them. A request that panics is answered with EIO, which
//! fuser sends for a reply that is dropped; its thread goes on.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use fuser::{
    AccessFlags, Errno, FileHandle, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::SetOnce;

use super::attributes::{absent, file_attr, kind};
use super::errno;
use super::failpoint::{Place, panic_if_asked};
use super::ongoing_read::OngoingRead;
use super::served::Served;
use super::xattr;
use crate::fs::Ino;
use crate::volume::{FileError, Volume};
use crate::{reader, source};

/// Content is immutable, so the kernel may cache all attributes and names for as long as the mount exists.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

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
    runtime: Handle,
    /// fuser, not the kernel, refuses some users (`allow_root`), so the kernel must send a request for
    /// every directory that is opened.
    refuses_users: bool,
    /// The kernel opens directories without a request after a first answer of ENOSYS.
    opens_dirs: bool,
    /// Set when the kernel's read-ahead is configured. Opens wait for it: the kernel fixes the read-ahead
    /// of a file when the file is opened.
    tuned: Arc<SetOnce<()>>,
}

impl Adapter {
    pub(super) fn new(served: Arc<Served>, runtime: Handle, refuses_users: bool) -> Self {
        Self {
            served,
            runtime,
            refuses_users,
            opens_dirs: false,
            tuned: Arc::default(),
        }
    }

    /// Set it to let files be opened.
    pub(super) fn tuned(&self) -> Arc<SetOnce<()>> {
        self.tuned.clone()
    }

    /// Runs a request and catches its panic. The reply inside it is dropped, which answers EIO. The panic
    /// hook has logged the cause.
    fn guard(&self, what: &str, request: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(request)).is_err() {
            log_panic(what);
        }
    }

    /// Continues a request in a task, which may wait, and catches its panic.
    fn spawn(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                log_panic(what);
            }
        });
    }
}

fn log_panic(what: &str) {
    log::error!("{what} panicked; the request is answered with EIO. Please report this");
}

/// The errno of an error. Logs errors that a user can do something about.
fn refuse(served: &Served, ino: Ino, error: &FileError) -> Errno {
    served.tally.failed(error);
    match error {
        FileError::NotFound => Errno::ENOENT,
        FileError::IsDirectory => Errno::EISDIR,
        FileError::NotALink => Errno::EINVAL,
        FileError::Link(why) => {
            log_once(served, ino, why);
            Errno::EACCES
        }
        FileError::Playlist { declared, actual } => {
            let why = format!(
                "the archive says that it is {declared} bytes long without range links, and it is {actual}; '-o playlists=stored' shows it as it is stored"
            );
            log_once(served, ino, &why);
            Errno::EIO
        }
        FileError::Read(error @ reader::Error::Source(source::Error::Changed { .. })) => {
            // It concerns all files, and lasts.
            static LOGGED: Once = Once::new();
            LOGGED.call_once(|| {
                log::error!("{error}; reads of what is not in memory fail with ESTALE until it is mounted again");
            });
            errno::of_read(error)
        }
        FileError::Read(error) => {
            // A wrong checksum was logged in full when it was found.
            if !matches!(error, reader::Error::Checksum { .. }) {
                log_once(served, ino, error);
            }
            errno::of_read(error)
        }
        FileError::Decode(error) => {
            log_once(served, ino, error);
            errno::of_decode(error)
        }
    }
}

fn log_once(served: &Served, ino: Ino, why: &dyn fmt::Display) {
    // At level debug every failed request is logged.
    let level = if served.logged.is_new(ino, Instant::now()) {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    let path = served.volume.tree().path(ino);
    log::log!(level, "{}: {why}", String::from_utf8_lossy(&path));
}

fn readdir_plus(volume: &Volume) -> InitFlags {
    let (files, directories) = (volume.tree().len(), volume.tree().directories());
    match files {
        0..=ALWAYS_PLUS => InitFlags::FUSE_DO_READDIRPLUS,
        _ if files / directories > AUTO_PLUS => {
            InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO
        }
        _ => InitFlags::empty(),
    }
}

fn reply_entry(served: &Served, found: Result<Ino, FileError>, reply: ReplyEntry) {
    match found.and_then(|ino| served.volume.attr(ino)) {
        Ok(attr) => reply.entry(&FOREVER, &file_attr(&attr), Generation(0)),
        Err(FileError::NotFound) => reply_absent(reply),
        Err(error) => reply.error(refuse(served, Ino::ROOT, &error)),
    }
}

/// An entry with inode 0 is a missing name that the kernel may cache (FUSE_LOOKUP).
fn reply_absent(reply: ReplyEntry) {
    reply.entry(&FOREVER, &absent(), Generation(0));
}

fn reply_xattr(value: &[u8], size: u32, reply: ReplyXattr) {
    match (size, u32::try_from(value.len())) {
        (_, Err(_)) => reply.error(Errno::E2BIG),
        (0, Ok(len)) => reply.size(len),
        (size, Ok(len)) if len > size => reply.error(Errno::ERANGE),
        _ => reply.data(value),
    }
}

impl fuser::Filesystem for Adapter {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Inode numbers stay the same, so an NFS server may use them in file handles (FUSE_EXPORT_SUPPORT).
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | InitFlags::FUSE_EXPORT_SUPPORT
            | readdir_plus(&self.served.volume);
        // An old kernel without some of these is slower, not wrong.
        if let Err(lacking) = config.add_capabilities(wanted) {
            let _ = config.add_capabilities(wanted & !lacking);
        }
        self.opens_dirs = !self.refuses_users
            && (config.add_capabilities(InitFlags::FUSE_NO_OPENDIR_SUPPORT)).is_ok();
        let _ = config.set_max_background(MAX_BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.guard("lookup", || {
            let (parent, name) = (Ino(parent.0), name.as_bytes());
            // The kernel asks for these if a file handle is all that it has (FUSE_EXPORT_SUPPORT).
            let known = match name {
                b"." => Some(parent),
                b".." => self.served.volume.tree().parent(parent),
                _ => None,
            };
            if known.is_some_and(|ino| !self.served.volume.tree().is_pending(ino)) {
                let known = known.ok_or(FileError::NotFound);
                return reply_entry(&self.served, known, reply);
            }
            if let Some(ino) = self.served.volume.tree().lookup(parent, name) {
                if !self.served.volume.tree().is_pending(ino) {
                    return reply_entry(&self.served, Ok(ino), reply);
                }
                let served = self.served.clone();
                return self.spawn("lookup", async move {
                    match served.volume.settle(ino).await {
                        Ok(()) => reply_entry(&served, Ok(ino), reply),
                        Err(error) => reply.error(refuse(&served, ino, &error)),
                    }
                });
            }
            if crate::fs::range_link(name).is_none() {
                return reply_absent(reply);
            }
            let (served, name) = (self.served.clone(), name.to_vec());
            self.spawn("lookup", async move {
                let mut found = served.volume.lookup_range_link(parent, &name).await;
                if let Ok(ino) = found {
                    found = served.volume.settle(ino).await.map(|()| ino);
                }
                reply_entry(&served, found, reply);
            });
        });
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.guard("getattr", || {
            let ino = Ino(ino.0);
            let answer = move |served: &Served, reply: ReplyAttr| match served.volume.attr(ino) {
                Ok(attr) => reply.attr(&FOREVER, &file_attr(&attr)),
                Err(error) => reply.error(refuse(served, ino, &error)),
            };
            if !self.served.volume.tree().is_pending(ino) {
                return answer(&self.served, reply);
            }
            let served = self.served.clone();
            self.spawn("getattr", async move {
                match served.volume.settle(ino).await {
                    Ok(()) => answer(&served, reply),
                    Err(error) => reply.error(refuse(&served, ino, &error)),
                }
            });
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.guard("readlink", || {
            let (served, ino) = (self.served.clone(), Ino(ino.0));
            self.spawn("readlink", async move {
                match served.volume.read_link(ino).await {
                    Ok(target) => reply.data(&target),
                    Err(error) => reply.error(refuse(&served, ino, &error)),
                }
            });
        });
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.guard("open", || {
            let opened = match self.served.volume.open(Ino(ino.0)) {
                Ok(moment) => FileHandle(moment),
                Err(error) => return reply.error(refuse(&self.served, Ino(ino.0), &error)),
            };
            // NOFLUSH: nothing is ever flushed, and close(2) need not wait for a reply.
            let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
            let ino = Ino(ino.0);
            let is_locked = self.served.volume.is_locked(ino);
            if self.tuned.initialized() && !is_locked {
                self.served.tally.opened();
                return reply.opened(opened, flags);
            }
            let (tuned, served) = (self.tuned.clone(), self.served.clone());
            self.spawn("open", async move {
                tuned.wait().await;
                if is_locked && let Err(error) = served.volume.unlock(ino).await {
                    return reply.error(refuse(&served, ino, &error));
                }
                served.tally.opened();
                reply.opened(opened, flags);
            });
        });
    }

    fn release(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
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
        self.guard("read", || {
            let ino = Ino(ino.0);
            let request = OngoingRead::new(ino, offset, size);
            panic_if_asked(Place::Thread, &self.served.volume, ino);
            if !self.served.volume.tree().is_pending(ino) {
                let span = match self.served.volume.span(ino, offset, size) {
                    Ok(span) => span,
                    Err(error) => return reply.error(refuse(&self.served, ino, &error)),
                };
                let mut bytes = Vec::with_capacity((span.end - span.start) as usize);
                if self.served.volume.try_read(ino, fh.0, &span, &mut bytes) {
                    request.found(&self.served, bytes.len());
                    return reply.data(&bytes);
                }
            }
            let served = self.served.clone();
            self.spawn("read", async move {
                panic_if_asked(Place::Task, &served.volume, ino);
                let result = served.volume.read(ino, fh.0, offset, size).await;
                request.waited(&served, &result);
                match result {
                    Ok(bytes) => reply.data(&bytes),
                    Err(error) => reply.error(refuse(&served, ino, &error)),
                }
            });
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.guard("opendir", || {
            if self.opens_dirs {
                // After this answer the kernel sends no more of these requests, and does by itself what
                // is below. With many small directories this saves a third of all requests.
                return reply.error(Errno::ENOSYS);
            }
            let keep = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
            match self.served.volume.tree().read_dir(Ino(ino.0), 0) {
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
        mut reply: ReplyDirectory,
    ) {
        self.guard("readdir", || {
            let Some(entries) = self.served.volume.tree().read_dir(Ino(ino.0), offset) else {
                return reply.error(Errno::ENOTDIR);
            };
            for entry in entries {
                let name = OsStr::from_bytes(entry.name);
                let ino = INodeNo(self.served.volume.tree().inode(entry.ino).0);
                if reply.add(ino, entry.cookie, kind(entry.kind), name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn readdirplus(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        self.guard("readdirplus", || {
            let Some(entries) = self.served.volume.tree().read_dir(Ino(ino.0), offset) else {
                return reply.error(Errno::ENOTDIR);
            };
            for entry in entries {
                let Some(attr) = self.served.volume.tree().attr(entry.ino) else {
                    continue;
                };
                let attr = file_attr(&attr);
                let name = OsStr::from_bytes(entry.name);
                let ino = attr.ino;
                // The reply must have attributes. With a time to live of zero, the kernel asks again
                // before it shows them.
                let ttl = if self.served.volume.tree().is_pending(entry.ino) {
                    Duration::ZERO
                } else {
                    FOREVER
                };
                if reply.add(ino, entry.cookie, name, &ttl, &attr, Generation(0)) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.guard("statfs", || {
            let (totals, unit) = (self.served.volume.tree().totals(), 512);
            let blocks = totals.bytes.div_ceil(u64::from(unit));
            reply.statfs(blocks, 0, 0, totals.files, 0, unit, 255, unit);
        });
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        self.guard("access", || {
            let attr = match self.served.volume.attr(Ino(ino.0)) {
                Ok(attr) => attr,
                Err(error) => return reply.error(refuse(&self.served, Ino(ino.0), &error)),
            };
            // Only the user who mounted gets here; for others the kernel decides (default_permissions).
            if mask.contains(AccessFlags::W_OK) {
                reply.error(Errno::EROFS);
            } else if mask.contains(AccessFlags::X_OK) && attr.perm & 0o111 == 0 {
                reply.error(Errno::EACCES);
            } else {
                reply.ok();
            }
        });
    }

    fn getxattr(&self, req: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.guard("getxattr", || {
            let (served, ino) = (self.served.clone(), Ino(ino.0));
            // The kernel and tools ask for others, such as security.capability, at every exec or `ls`.
            if !name.as_bytes().starts_with(b"user.aiozfs.") {
                return reply.error(Errno::ENODATA);
            }
            let mounter = rustix::process::getuid().as_raw();
            if xattr::is_for_mounter(name.as_bytes()) && ![0, mounter].contains(&req.uid()) {
                return reply.error(Errno::ENODATA);
            }
            let name = name.as_bytes().to_vec();
            self.spawn("getxattr", async move {
                match xattr::get(&served, ino, &name).await {
                    Ok(Some(value)) => reply_xattr(&value, size, reply),
                    Ok(None) => reply.error(Errno::ENODATA),
                    Err(error) => reply.error(refuse(&served, ino, &error)),
                }
            });
        });
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.guard("listxattr", || {
            match xattr::names(&self.served.volume, Ino(ino.0)) {
                Ok(names) => reply_xattr(&names, size, reply),
                Err(error) => reply.error(refuse(&self.served, Ino(ino.0), &error)),
            }
        });
    }
}
