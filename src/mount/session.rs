//! One mount, from mount(2) to the end of its process.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use fuser::{Config, INodeNo, MountOption, Notifier, SessionACL};
use thiserror::Error;
use tokio::runtime::Handle;

use super::adapter::Adapter;
use super::crash;
use super::report::Report;
use super::served::Served;
use super::unmount::Own;
use crate::library::{Change, Library};

/// How long to wait for the session to end after the mount is gone. A mount that was detached while
/// files were open stays in the kernel until the process ends.
const END_WITHIN: Duration = Duration::from_millis(1000);

/// A detached mount without requests is looked at this many times, with these pauses, before it ends: a request may be on
/// its way from the kernel to a task.
const QUIET_LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

/// How to mount.
#[derive(Debug, Clone, Default)]
pub struct KernelOptions {
    /// The source that /proc/mounts shows. Without secrets.
    pub fs_name: String,
    /// Let other users in; the kernel then checks permissions.
    pub allow_other: bool,
    /// Let root in, besides the user who mounts. `allow_other` includes it.
    pub allow_root: bool,
    /// Let the kernel check permissions.
    pub default_permissions: bool,
    /// Do not let programs run from the mount.
    pub noexec: bool,
    /// SELinux labels, each as mount(8) has it: `context="..."`. A kernel without SELinux refuses
    /// them.
    pub labels: Vec<String>,
    /// The hash of the source ([`Location::identity`](crate::volume::Location::identity)), for which
    /// [`is_source`](super::is_source) asks.
    pub source_hash: Option<String>,
    /// Leave the kernel's read-ahead at its 128 KiB, for programs that read little of many files.
    pub short_reads: bool,
    /// Make the kernel ask for no extended attributes. `ls -l` asks for two of each file.
    pub no_xattrs: bool,
}

/// Why there is no mount.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum MountError {
    #[error(
        "/dev/fuse does not exist; load it with 'modprobe fuse', or give it to the container with '--device /dev/fuse --cap-add SYS_ADMIN'"
    )]
    NoDevice,
    #[error(
        "allow_other is not permitted: add the line 'user_allow_other' to /etc/fuse.conf, or mount as root"
    )]
    AllowOther,
    #[error(
        "not permitted to mount on {path}: {1}; it must be yours and /dev/fuse usable",
        path = .0.display()
    )]
    NotPermitted(PathBuf, String),
    #[error("fusermount3 is missing, which users other than root need; install the package fuse3")]
    NoFusermount,
    /// Anything else that mount(2) or fusermount3 said.
    #[error("cannot mount on {path}: {1}", path = .0.display())]
    Failed(PathBuf, String),
}

/// A mounted library. It is served until [`wait`](Self::wait) returns.
pub struct Mounted {
    served: Arc<Served>,
    own: Own,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

enum Event {
    /// The session has ended: nothing answers the kernel any more.
    Ended(io::Result<()>),
    /// A [`Stopper`] asks to unmount.
    Stop,
}

/// Asks a mount to end, from any thread and any number of times.
#[derive(Clone)]
pub struct Stopper(mpsc::Sender<Event>);

impl Stopper {
    /// Makes [`Mounted::wait`] unmount and return.
    pub fn stop(&self) {
        let _ = self.0.send(Event::Stop);
    }
}

/// Mounts `library` on `mountpoint`, an absolute path that was checked. When this returns, the tree
/// is usable.
pub fn mount(
    library: Library,
    mountpoint: &Path,
    options: &KernelOptions,
    runtime: Handle,
) -> Result<Mounted, MountError> {
    if !Path::new("/dev/fuse").exists() {
        return Err(MountError::NoDevice);
    }
    let config = config(options);
    let refuses_users = config.acl == SessionACL::RootAndOwner;
    let served = Arc::new(Served::new(library, options.source_hash.clone(), runtime));
    let adapter = Adapter::new(served.clone(), refuses_users, !options.no_xattrs);
    let (tuned, on_end) = (adapter.tuned(), adapter.on_end());
    let session =
        fuser::Session::new(adapter, mountpoint, &config).map_err(|e| explain(mountpoint, &e))?;
    let own = Own::new(mountpoint, session.as_fd()).map_err(|e| explain(mountpoint, &e))?;
    crash::detach_on_fault(mountpoint);
    forget_changes(&served.library, session.notifier());
    let (sender, events) = mpsc::channel();
    let (ended, failed) = (sender.clone(), sender.clone());
    let server = std::thread::Builder::new().name("fuse".into());
    let started = server.spawn(move || {
        // Set here alone, and once. If the session is dropped before it runs, `destroy` finds nothing and returns.
        let _ = on_end.set(Box::new(move || drop(ended.send(Event::Ended(Ok(()))))));
        drop(failed.send(Event::Ended(session.run())));
    });
    started.map_err(|e| MountError::Failed(mountpoint.to_owned(), e.to_string()))?;
    if !options.short_reads {
        raise_read_ahead(mountpoint, own.device());
    }
    // Set here alone, and once.
    let _ = tuned.set(());
    Ok(Mounted {
        served,
        own,
        events,
        sender,
    })
}

impl Mounted {
    /// A handle that ends this mount.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// Tells the statistics of this mount, whenever it is called.
    pub fn reporter(&self) -> impl Fn() -> Report + Clone + Send + Sync + 'static {
        let served = self.served.clone();
        move || Report::of(&served)
    }

    /// What is mounted.
    pub fn library(&self) -> &Library {
        &self.served.library
    }

    /// Serves until the mount is gone. When a [`Stopper`] asks for it, fails the reads that wait, then
    /// unmounts or, if the mount is busy, detaches. The caller must end the process after this, since a
    /// detached mount may stay in the kernel until then.
    ///
    /// # Errors
    /// If the session failed, or the mount cannot be unmounted.
    pub fn wait(self) -> io::Result<()> {
        let first = self.events.recv();
        self.served.library.close();
        let unmounted = self.own.unmount();
        crash::forget();
        if let Ok(Event::Ended(result)) = first {
            if let Err(e) = &unmounted {
                log::error!("{e}");
            }
            let lost = || io::Error::other("the connection to the kernel was lost");
            return if let Ok(false) = unmounted {
                result
            } else {
                result.and(Err(lost()))
            };
        }
        let end = Instant::now() + END_WITHIN;
        let mut quiet_looks = 0;
        while quiet_looks < QUIET_LOOKS && Instant::now() < end {
            match self.events.recv_timeout(PAUSE) {
                Ok(Event::Stop) => {}
                Ok(Event::Ended(result)) => return result.and(unmounted.map(drop)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) if self.served.has_waiting() => quiet_looks = 0,
                Err(RecvTimeoutError::Timeout) => quiet_looks += 1,
            }
        }
        unmounted.map(drop)
    }
}

/// Makes the kernel forget pages of files whose bytes turned out to be wrong, and names that have changed.
fn forget_changes(library: &Library, notifier: Notifier) {
    library.watch(move |change| match change {
        Change::Bytes(ino) => {
            // The whole file. The kernel waits for reads of the file in progress.
            if let Err(e) = notifier.inval_inode(INodeNo(ino.0), 0, 0) {
                log::warn!("the kernel may keep wrong pages of inode {}: {e}", ino.0);
            }
        }
        // It is no error if the kernel does not know the name.
        Change::Name { directory, name } => {
            let _ = notifier.inval_entry(INodeNo(directory.0), OsStr::new(&name));
        }
    });
}

/// How far the kernel reads ahead, in KiB. A long request indicates a sequential reader, and needs one
/// copy less than many short ones.
const READ_AHEAD_KB: &[u8] = b"1024";

/// Raises the kernel's read-ahead beyond the 128 KiB that FUSE may ask for. This needs root and a
/// writable sysfs; a mount works without it.
fn raise_read_ahead(mountpoint: &Path, device: &str) {
    // The kernel sets the value itself at the reply to FUSE_INIT. Any call on the mount returns later.
    let _ = rustix::fs::statvfs(mountpoint);
    let _ = std::fs::write(
        format!("/sys/class/bdi/{device}/read_ahead_kb"),
        READ_AHEAD_KB,
    );
}

fn config(options: &KernelOptions) -> Config {
    let mut list = vec![
        MountOption::FSName(options.fs_name.replace([',', '\\'], "_")),
        // As root, fuser mounts by itself and ignores a Subtype.
        if rustix::process::geteuid().is_root() {
            MountOption::CUSTOM("subtype=aiozfs".into())
        } else {
            MountOption::Subtype("aiozfs".into())
        },
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        MountOption::NoAtime,
    ];
    if options.noexec {
        list.push(MountOption::NoExec);
    }
    if options.default_permissions || options.allow_other {
        list.push(MountOption::DefaultPermissions);
    }
    list.extend(options.labels.iter().cloned().map(MountOption::CUSTOM));
    let mut config = Config::default();
    config.mount_options = list;
    config.acl = match (options.allow_other, options.allow_root) {
        (true, _) => SessionACL::All,
        (false, true) => SessionACL::RootAndOwner,
        (false, false) => SessionACL::Owner,
    };
    // Two threads with a descriptor each serve twice as much from memory as one. More threads help only
    // with more cores.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    config.n_threads = Some(cores.clamp(2, 4));
    config.clone_fd = true;
    config
}

fn explain(mountpoint: &Path, error: &io::Error) -> MountError {
    let text = error.to_string();
    let path = mountpoint.to_owned();
    if text.contains("user_allow_other") {
        return MountError::AllowOther;
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied => MountError::NotPermitted(path, text),
        io::ErrorKind::NotFound => MountError::NoFusermount,
        // fusermount3 says "no write access" of a directory that belongs to another user.
        _ if ["ermission", "not permitted", "no write access"]
            .iter()
            .any(|part| text.contains(part)) =>
        {
            MountError::NotPermitted(path, text.trim().to_owned())
        }
        _ => MountError::Failed(path, text.trim().to_owned()),
    }
}
