//! One mount, from mount(2) to the end of its process.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use fuser::{Config, INodeNo, MountOption, Notifier, SessionACL};
use tokio::runtime::Handle;

use super::adapter::Adapter;
use super::crash;
use super::mounts;
use super::served::Served;
use super::unmount::unmount_own;
use crate::volume::Volume;

/// How long the threads may take to see that their mount is gone. A mount detached while files
/// are open lives on in the kernel; ending the process ends it.
const END_WITHIN: Duration = Duration::from_millis(1000);

/// How to mount, as far as the kernel is concerned.
#[derive(Debug, Clone, Default)]
pub struct KernelOptions {
    /// What /proc/mounts shows as the source. Without secrets.
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
}

/// Why there is no mount.
#[derive(Debug)]
pub enum MountError {
    /// /dev/fuse is not there.
    NoDevice,
    /// `allow_other` and `allow_root` are for root, or needs a line in /etc/fuse.conf.
    AllowOther,
    /// The user may not mount here.
    NotPermitted(PathBuf, String),
    /// fusermount3 is needed and missing.
    NoFusermount,
    /// Anything else that mount(2) or fusermount3 said.
    Failed(PathBuf, String),
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MountError::NoDevice => f.write_str(
                "/dev/fuse does not exist; load it with 'modprobe fuse', or give it to the container with '--device /dev/fuse --cap-add SYS_ADMIN'",
            ),
            MountError::AllowOther => f.write_str(
                "allow_other is not permitted: add the line 'user_allow_other' to /etc/fuse.conf, or mount as root",
            ),
            MountError::NotPermitted(path, why) => write!(
                f,
                "not permitted to mount on {}: {why}; it must be yours and /dev/fuse usable",
                path.display()
            ),
            MountError::NoFusermount => {
                f.write_str("fusermount3 is missing, which users other than root need; install the package fuse3")
            }
            MountError::Failed(path, why) => write!(f, "cannot mount on {}: {why}", path.display()),
        }
    }
}

/// A mounted volume. It is served until [`wait`](Self::wait) returns.
pub struct Mounted {
    volume: Arc<Volume>,
    mountpoint: PathBuf,
    device: String,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

enum Event {
    /// The kernel has ended the session: somebody unmounted.
    Ended(io::Result<()>),
    /// Somebody wants this process to end.
    Stop,
}

/// Asks a mount to end; from any thread, any number of times.
#[derive(Clone)]
pub struct Stopper(mpsc::Sender<Event>);

impl Stopper {
    /// Lets [`Mounted::wait`] unmount and return.
    pub fn stop(&self) {
        let _ = self.0.send(Event::Stop);
    }
}

/// Mounts `volume` on `mountpoint`, an absolute path that was checked. When this returns, the tree
/// is usable.
pub fn mount(
    volume: Arc<Volume>,
    mountpoint: &Path,
    options: &KernelOptions,
    runtime: Handle,
) -> Result<Mounted, MountError> {
    if !Path::new("/dev/fuse").exists() {
        return Err(MountError::NoDevice);
    }
    let config = config(options);
    let refuses_users = config.acl == SessionACL::RootAndOwner;
    let served = Served::new(volume.clone(), options.source_hash.clone());
    let adapter = Adapter::new(served, runtime, refuses_users);
    let tuned = adapter.tuned();
    let session =
        fuser::Session::new(adapter, mountpoint, &config).map_err(|e| explain(mountpoint, &e))?;
    let device = match mounts::find(mountpoint) {
        Ok(Some(entry)) => entry.device,
        _ => String::new(),
    };
    crash::detach_on_fault(mountpoint);
    drop_wrong_pages(&volume, session.notifier());
    let (sender, events) = mpsc::channel();
    let ended = sender.clone();
    let server = std::thread::Builder::new().name("fuse".into());
    let served = server.spawn(move || drop(ended.send(Event::Ended(session.run()))));
    served.map_err(|e| MountError::Failed(mountpoint.to_owned(), e.to_string()))?;
    raise_read_ahead(mountpoint, &device);
    // Only we set it, and once.
    let _ = tuned.set(());
    Ok(Mounted {
        volume,
        mountpoint: mountpoint.to_owned(),
        device,
        events,
        sender,
    })
}

impl Mounted {
    /// A handle that ends this mount.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.sender.clone())
    }

    /// What is mounted.
    pub fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    /// Serves until the mount is taken away, by whomever. When a [`Stopper`] asks for it: fails
    /// the reads that wait, unmounts, or else detaches; the caller then ends the process, since a
    /// detached mount may live on in the kernel.
    pub fn wait(self) -> io::Result<()> {
        match self.events.recv() {
            Ok(Event::Ended(result)) => {
                crash::forget();
                self.volume.close();
                return result;
            }
            Ok(Event::Stop) | Err(_) => {}
        }
        self.volume.close();
        unmount_own(&self.mountpoint, &self.device);
        crash::forget();
        loop {
            match self.events.recv_timeout(END_WITHIN) {
                Ok(Event::Stop) => {}
                Ok(Event::Ended(result)) => return result,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }
}

/// Lets the kernel drop what it keeps of a file whose bytes turned out to be wrong.
fn drop_wrong_pages(volume: &Volume, notifier: Notifier) {
    let tree = volume.tree().clone();
    volume.archive().on_wrong(Box::new(move |entry| {
        let Some(ino) = tree.ino_of(entry) else {
            return;
        };
        // All of it. The kernel waits for reads of the file that are going on.
        if let Err(e) = notifier.inval_inode(INodeNo(ino.0), 0, 0) {
            log::warn!("the kernel may keep wrong pages of inode {}: {e}", ino.0);
        }
    }));
}

/// How far the kernel should read ahead by itself, in KiB. A long request is a word that a reader
/// means to go on, and costs a copy less than many short ones.
const READ_AHEAD_KB: &[u8] = b"1024";

/// Raises the kernel's own read-ahead beyond the 128 KiB that FUSE may ask for. Only root may, and
/// where sysfs is read-only nobody: all works without it.
fn raise_read_ahead(mountpoint: &Path, device: &str) {
    // The kernel sets it when it has the answer to FUSE_INIT; whatever it answers us comes later.
    let _ = rustix::fs::statvfs(mountpoint);
    let _ = std::fs::write(
        format!("/sys/class/bdi/{device}/read_ahead_kb"),
        READ_AHEAD_KB,
    );
}

fn config(options: &KernelOptions) -> Config {
    let mut list = vec![
        MountOption::FSName(options.fs_name.replace([',', '\\'], "_")),
        // As root fuser mounts by itself and would leave a Subtype out.
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
    // Two threads with a descriptor each serve twice what one does from memory; more do not help
    // before more cores do.
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
        // The last one is fusermount3's, of a directory that belongs to somebody else.
        _ if ["ermission", "not permitted", "no write access"]
            .iter()
            .any(|part| text.contains(part)) =>
        {
            MountError::NotPermitted(path, text.trim().to_owned())
        }
        _ => MountError::Failed(path, text.trim().to_owned()),
    }
}
