//! The FUSE adapter: requests of the kernel to calls of [`Volume`], answers back.
//!
//! As thin as it can be. It serves from the threads that read /dev/fuse, and these never wait for
//! bytes: what is not in memory becomes a task that answers when it can. A request that panics is
//! answered with EIO (fuser does so for a reply that is dropped) and does not end its thread.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fuser::{
    AccessFlags, Errno, FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyDirectoryPlus,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyXattr, Request,
};
use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::SetOnce;

use super::errno;
use super::provoke::{Place, panic_if_asked};
use super::volume::{Refusal, Volume};
use super::xattr;
use crate::archive::Kind;
use crate::fs::{Attr, Ino};
use crate::{reader, source};

/// Content is immutable, so whatever the kernel has learnt stays true for as long as we live.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Up to so many inodes every readdir brings attributes along: `find -size` over a hundred
/// thousand is three times as fast. Above, they make `find` over a million names seven times
/// slower (measured), and come only with the second part of a directory, if the kernel sees that
/// they are asked for (FUSE_READDIRPLUS_AUTO).
const ALWAYS_PLUS: usize = 300_000;

/// The kernel always takes the first part of a directory for one whose attributes are asked for.
/// Where directories have on average fewer files than this, first parts are most of it, and it is
/// better to do without.
const AUTO_PLUS: usize = 4000;

/// Requests of read-ahead that the kernel may have under way; the default of 12 is for disks.
const MAX_BACKGROUND: u16 = 64;

/// The largest size that the kernel takes (off_t). A larger one is a lie, and opening such a file
/// says so; but with it the kernel would not even let the file be looked at.
const LARGEST: u64 = i64::MAX as u64;

/// What `st_blksize` says: `cp` reads in pieces of this size.
const BLOCK_SIZE: u32 = 128 * 1024;

pub(super) struct Adapter {
    volume: Arc<Volume>,
    runtime: Handle,
    /// Some users are refused here, not by the kernel (`allow_root`): it must ask about every
    /// directory that is opened.
    refuses_users: bool,
    /// The kernel opens directories without asking, once it is told that it need not.
    opens_dirs: bool,
    /// Set once the mount is as it is to be. Files are opened after that: how far the kernel reads
    /// ahead in a file is settled when it is opened.
    tuned: Arc<SetOnce<()>>,
}

impl Adapter {
    pub(super) fn new(volume: Arc<Volume>, runtime: Handle, refuses_users: bool) -> Self {
        Self {
            volume,
            runtime,
            refuses_users,
            opens_dirs: false,
            tuned: Arc::default(),
        }
    }

    /// What lets files be opened.
    pub(super) fn tuned(&self) -> Arc<SetOnce<()>> {
        self.tuned.clone()
    }

    /// Runs a request so that its panic is its own: the reply inside is dropped, and so answered
    /// with EIO. The panic hook has logged what happened.
    fn guard(&self, what: &str, request: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(request)).is_err() {
            tell_panic(what);
        }
    }

    /// Goes on with a request where waiting is allowed. A panic there is the request's own as well.
    fn spawn(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tell_panic(what);
            }
        });
    }
}

fn tell_panic(what: &str) {
    log::error!("{what} panicked; the request is answered with EIO. Please report this");
}

/// Says why a file cannot be had: once in the log for what a user can do something about, and
/// always to the kernel.
fn refuse(volume: &Volume, ino: Ino, refusal: &Refusal) -> Errno {
    match refusal {
        Refusal::NotFound => Errno::ENOENT,
        Refusal::IsDirectory => Errno::EISDIR,
        Refusal::NotALink => Errno::EINVAL,
        Refusal::Link(why) => {
            log_refusal(volume, ino, why);
            Errno::EACCES
        }
        Refusal::Playlist { told, made } => {
            let why = format!(
                "the archive says that it is {told} bytes long without range links, and it is {made}; '-o playlists=stored' shows it as it is stored"
            );
            log_refusal(volume, ino, &why);
            Errno::EIO
        }
        Refusal::Read(error @ reader::Error::Source(source::Error::Changed { .. })) => {
            // It concerns all files alike, and nothing will mend it.
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                log::error!("{error}; reads of what is not in memory fail with ESTALE until it is mounted again");
            });
            errno::of_read(error)
        }
        Refusal::Read(error) => {
            // A wrong checksum was told in full when it was found.
            if !matches!(error, reader::Error::Checksum { .. }) {
                log_refusal(volume, ino, error);
            }
            errno::of_read(error)
        }
    }
}

fn log_refusal(volume: &Volume, ino: Ino, why: &dyn fmt::Display) {
    // Every request that fails, for whoever looks for more than the first cause.
    let level = if volume.told.is_new(ino, Instant::now()) {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    let path = volume.tree.path(ino);
    log::log!(level, "{}: {why}", String::from_utf8_lossy(&path));
}

fn readdir_plus(volume: &Volume) -> InitFlags {
    let (files, directories) = (volume.tree.len(), volume.tree.directories());
    match files {
        0..=ALWAYS_PLUS => InitFlags::FUSE_DO_READDIRPLUS,
        _ if files / directories > AUTO_PLUS => {
            InitFlags::FUSE_DO_READDIRPLUS | InitFlags::FUSE_READDIRPLUS_AUTO
        }
        _ => InitFlags::empty(),
    }
}

fn kind(kind: Kind) -> FileType {
    match kind {
        // A device, FIFO or socket of an archive is an empty file here: it opens nothing.
        Kind::File | Kind::Special => FileType::RegularFile,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}

fn file_attr(attr: &Attr) -> FileAttr {
    let since = Duration::new(attr.mtime.secs.unsigned_abs(), attr.mtime.nanos);
    let mtime = if attr.mtime.secs >= 0 {
        UNIX_EPOCH.checked_add(since)
    } else {
        let before = Duration::from_secs(attr.mtime.secs.unsigned_abs());
        let whole = UNIX_EPOCH.checked_sub(before);
        whole.and_then(|t| t.checked_add(Duration::from_nanos(attr.mtime.nanos.into())))
    };
    let mtime: SystemTime = mtime.unwrap_or(UNIX_EPOCH);
    FileAttr {
        ino: INodeNo(attr.ino.0),
        size: attr.size.min(LARGEST),
        blocks: attr.blocks512,
        atime: mtime,
        mtime,
        ctime: mtime,
        crtime: mtime,
        kind: kind(attr.kind),
        perm: attr.perm,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    }
}

fn reply_entry(volume: &Volume, found: Result<Ino, Refusal>, reply: ReplyEntry) {
    match found.and_then(|ino| volume.attr(ino)) {
        Ok(attr) => reply.entry(&FOREVER, &file_attr(&attr), Generation(0)),
        Err(Refusal::NotFound) => reply_absent(reply),
        Err(refusal) => reply.error(refuse(volume, Ino::ROOT, &refusal)),
    }
}

/// An entry with inode 0 is an absent name that the kernel may remember (FUSE_LOOKUP).
fn reply_absent(reply: ReplyEntry) {
    let attr = FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_SIZE,
        flags: 0,
    };
    reply.entry(&FOREVER, &attr, Generation(0));
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
        let wanted = InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_CACHE_SYMLINKS
            | readdir_plus(&self.volume);
        // What an old kernel lacks costs speed, not correctness.
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
            if let Some(ino) = self.volume.tree.lookup(parent, name) {
                if !self.volume.tree.is_pending(ino) {
                    return reply_entry(&self.volume, Ok(ino), reply);
                }
                let volume = self.volume.clone();
                return self.spawn("lookup", async move {
                    match volume.settle(ino).await {
                        Ok(()) => reply_entry(&volume, Ok(ino), reply),
                        Err(refusal) => reply.error(refuse(&volume, ino, &refusal)),
                    }
                });
            }
            if crate::fs::range_link(name).is_none() {
                return reply_absent(reply);
            }
            let (volume, name) = (self.volume.clone(), name.to_vec());
            self.spawn("lookup", async move {
                let mut found = volume.lookup_range_link(parent, &name).await;
                if let Ok(ino) = found {
                    found = volume.settle(ino).await.map(|()| ino);
                }
                reply_entry(&volume, found, reply);
            });
        });
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.guard("getattr", || {
            let ino = Ino(ino.0);
            let answer = move |volume: &Volume, reply: ReplyAttr| match volume.attr(ino) {
                Ok(attr) => reply.attr(&FOREVER, &file_attr(&attr)),
                Err(refusal) => reply.error(refuse(volume, ino, &refusal)),
            };
            if !self.volume.tree.is_pending(ino) {
                return answer(&self.volume, reply);
            }
            let volume = self.volume.clone();
            self.spawn("getattr", async move {
                match volume.settle(ino).await {
                    Ok(()) => answer(&volume, reply),
                    Err(refusal) => reply.error(refuse(&volume, ino, &refusal)),
                }
            });
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        self.guard("readlink", || {
            let (volume, ino) = (self.volume.clone(), Ino(ino.0));
            self.spawn("readlink", async move {
                match volume.read_link(ino).await {
                    Ok(target) => reply.data(&target),
                    Err(refusal) => reply.error(refuse(&volume, ino, &refusal)),
                }
            });
        });
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.guard("open", || {
            let opened = match self.volume.open(Ino(ino.0)) {
                Ok(_) => FileHandle(self.volume.archive.moment()),
                Err(refusal) => return reply.error(refuse(&self.volume, Ino(ino.0), &refusal)),
            };
            // NOFLUSH: there is nothing to flush, and whoever closes a file must not wait for us.
            let flags = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_NOFLUSH;
            if self.tuned.initialized() {
                return reply.opened(opened, flags);
            }
            let tuned = self.tuned.clone();
            self.spawn("open", async move {
                tuned.wait().await;
                reply.opened(opened, flags);
            });
        });
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
            panic_if_asked(Place::Thread, &self.volume, ino);
            if !self.volume.tree.is_pending(ino) {
                let span = match self.volume.span(ino, offset, size) {
                    Ok(span) => span,
                    Err(refusal) => return reply.error(refuse(&self.volume, ino, &refusal)),
                };
                let mut bytes = Vec::with_capacity((span.end - span.start) as usize);
                if self.volume.try_read(ino, fh.0, &span, &mut bytes) {
                    return reply.data(&bytes);
                }
            }
            let volume = self.volume.clone();
            self.spawn("read", async move {
                panic_if_asked(Place::Task, &volume, ino);
                match volume.read(ino, fh.0, offset, size).await {
                    Ok(bytes) => reply.data(&bytes),
                    Err(refusal) => reply.error(refuse(&volume, ino, &refusal)),
                }
            });
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.guard("opendir", || {
            if self.opens_dirs {
                // Asked once; from then on the kernel does by itself what is said below. Of many
                // small directories that is a third of all there is to ask for.
                return reply.error(Errno::ENOSYS);
            }
            let keep = FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE;
            match self.volume.tree.read_dir(Ino(ino.0), 0) {
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
            let Some(entries) = self.volume.tree.read_dir(Ino(ino.0), offset) else {
                return reply.error(Errno::ENOTDIR);
            };
            for entry in entries {
                let name = OsStr::from_bytes(entry.name);
                let ino = INodeNo(entry.ino.0);
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
            let Some(entries) = self.volume.tree.read_dir(Ino(ino.0), offset) else {
                return reply.error(Errno::ENOTDIR);
            };
            for entry in entries {
                let Some(attr) = self.volume.tree.attr(entry.ino) else {
                    continue;
                };
                let attr = file_attr(&attr);
                let name = OsStr::from_bytes(entry.name);
                let ino = attr.ino;
                // Attributes cannot be left out; those with no time to live are asked for again
                // before anybody sees them.
                let ttl = match self.volume.tree.is_pending(entry.ino) {
                    true => Duration::ZERO,
                    false => FOREVER,
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
            let (totals, unit) = (self.volume.tree.totals(), 512);
            let blocks = totals.bytes.div_ceil(u64::from(unit));
            reply.statfs(blocks, 0, 0, totals.files, 0, unit, 255, unit);
        });
    }

    fn access(&self, _req: &Request, ino: INodeNo, mask: AccessFlags, reply: ReplyEmpty) {
        self.guard("access", || {
            let attr = match self.volume.attr(Ino(ino.0)) {
                Ok(attr) => attr,
                Err(refusal) => return reply.error(refuse(&self.volume, Ino(ino.0), &refusal)),
            };
            // Only who mounted gets here, or the kernel decides (default_permissions).
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
            let (volume, ino) = (self.volume.clone(), Ino(ino.0));
            // Asked for at every `ls`, `cp` and exec by the kernel or a tool, and never ours.
            if !name.as_bytes().starts_with(b"user.aiozfs.") {
                return reply.error(Errno::ENODATA);
            }
            let mounter = rustix::process::getuid().as_raw();
            if xattr::is_for_mounter(name.as_bytes()) && ![0, mounter].contains(&req.uid()) {
                return reply.error(Errno::ENODATA);
            }
            let name = name.as_bytes().to_vec();
            self.spawn("getxattr", async move {
                match volume.xattr(ino, &name).await {
                    Ok(Some(value)) => reply_xattr(&value, size, reply),
                    Ok(None) => reply.error(Errno::ENODATA),
                    Err(refusal) => reply.error(refuse(&volume, ino, &refusal)),
                }
            });
        });
    }

    fn listxattr(&self, _req: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.guard("listxattr", || match self.volume.xattr_names(Ino(ino.0)) {
            Ok(names) => reply_xattr(&names, size, reply),
            Err(refusal) => reply.error(refuse(&self.volume, Ino(ino.0), &refusal)),
        });
    }
}
