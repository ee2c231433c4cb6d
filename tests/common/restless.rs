//! A file system of the test's own whose files have another inode number at each look, as those of
//! some network and FUSE file systems have. It shows the files of one folder, without folders in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    Request,
};

use super::tree;

/// A mounted [`Restless`], unmounted when dropped.
pub struct RestlessMount {
    session: Option<BackgroundSession>,
    dir: tree::TempDir,
}

impl RestlessMount {
    /// Shows the files that are in `folder` now. What is written to them later shows, too.
    pub fn of(folder: &Path) -> Self {
        let dir = tree::temp();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("restless".into()), MountOption::RO];
        let session = fuser::spawn_mount(Restless::new(folder), dir.path(), &config);
        let session = session.expect("/dev/fuse, and fusermount3 of package fuse3 unless root");
        let mount = Self {
            session: Some(session),
            dir,
        };
        let name = fs::read_dir(mount.path()).expect("a directory").next();
        let path = name.expect("a file").expect("an entry").path();
        let ino = || path.metadata().expect("a file").ino();
        assert_ne!(
            ino(),
            ino(),
            "the kernel shows the numbers that it is given"
        );
        mount
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for RestlessMount {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // A test that has failed already must not fail twice.
            let _ = session.umount_and_join();
        }
    }
}

struct Restless {
    /// The file of inode `n + 2` is the `n`th.
    files: Vec<PathBuf>,
    looks: AtomicU64,
}

impl Restless {
    fn new(folder: &Path) -> Self {
        let files = fs::read_dir(folder).expect("a directory");
        let mut files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        files.sort();
        Self {
            files,
            looks: AtomicU64::new(1000),
        }
    }

    fn file(&self, ino: INodeNo) -> Option<&PathBuf> {
        self.files.get(usize::try_from(ino.0.checked_sub(2)?).ok()?)
    }

    /// With this inode number, which is the kernel's own handle only where it looks up a name.
    fn attr(&self, ino: INodeNo, shown: u64) -> Option<FileAttr> {
        let meta = self.file(ino).map(|path| path.metadata());
        let meta = meta.transpose().ok()?;
        let time = |secs: i64, nanos: i64| UNIX_EPOCH + Duration::new(secs as u64, nanos as u32);
        let times = meta.as_ref().map(|meta| {
            let changed = time(meta.ctime(), meta.ctime_nsec());
            (time(meta.mtime(), meta.mtime_nsec()), changed)
        });
        let (mtime, ctime) = times.unwrap_or((UNIX_EPOCH, UNIX_EPOCH));
        let size = meta.map_or(0, |meta| meta.len());
        let is_root = ino == INodeNo::ROOT;
        (is_root || self.file(ino).is_some()).then_some(FileAttr {
            ino: INodeNo(shown),
            size,
            blocks: size.div_ceil(512),
            atime: mtime,
            mtime,
            ctime,
            crtime: ctime,
            kind: if is_root {
                FileType::Directory
            } else {
                FileType::RegularFile
            },
            perm: if is_root { 0o755 } else { 0o644 },
            nlink: 1,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }
}

impl Filesystem for Restless {
    fn lookup(&self, _: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let at = self.files.iter().position(|f| f.file_name() == Some(name));
        let ino = at.map(|at| INodeNo(at as u64 + 2));
        match ino.and_then(|ino| self.attr(ino, ino.0)) {
            Some(attr) => reply.entry(&Duration::ZERO, &attr, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let shown = self.looks.fetch_add(1, Ordering::Relaxed);
        match self.attr(ino, shown) {
            Some(attr) => reply.attr(&Duration::ZERO, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = self.file(ino).and_then(|path| {
            let file = fs::File::open(path).ok()?;
            let len = file.metadata().ok()?.len().saturating_sub(offset);
            let mut bytes = vec![0; len.min(size.into()) as usize];
            file.read_exact_at(&mut bytes, offset).ok()?;
            Some(bytes)
        });
        match bytes {
            Some(bytes) => reply.data(&bytes),
            None => reply.error(Errno::EIO),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        for (at, path) in self.files.iter().enumerate().skip(offset as usize) {
            let shown = INodeNo(self.looks.fetch_add(1, Ordering::Relaxed));
            let name = path.file_name().unwrap_or_default();
            if reply.add(shown, at as u64 + 1, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}
