//! Unmounting, even while files are open.
//!
//! umount(2) fails with EBUSY while a file is open, and programs that read from a gateway that hangs
//! have files open. So the process that serves the mount first fails the reads that wait, then unmounts
//! or, if the mount is still busy, detaches it (MNT_DETACH). A detached mount disappears from the tree at
//! once, and from the kernel when its last file is closed or its process ends. The process then ends.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Signal};

use super::ask::ask;
use super::holders::{Holder, holders};
use super::mounts::{self, FS_TYPE};
use super::stuck::Stuck;

/// How long to wait for a mount to be gone.
const GONE_WITHIN: Duration = Duration::from_millis(1800);

/// Unmounts the aiozfs on `mountpoint`, which another process serves: `aiozfs umount`. Returns the processes that
/// had files of it open.
pub fn unmount(mountpoint: &Path) -> Result<Vec<Holder>, Stuck> {
    let shown = mountpoint.display();
    let refused = |e: io::Error| Stuck::Refused(format!("cannot unmount {shown}: {e}"));
    let path = mounts::absolute(mountpoint).map_err(refused)?;
    let Some(mount) = mounts::find(&path).map_err(refused)? else {
        return Err(Stuck::NotOurs(format!("nothing is mounted on {shown}")));
    };
    if mount.fs_type != FS_TYPE {
        return Err(Stuck::NotOurs(format!(
            "{shown} is a mount of type {}, not of aiozfs; unmount it with umount(8)",
            mount.fs_type
        )));
    }
    let server = server_of(&path, mount.user_id);
    let mut busy = Vec::new();
    match detach(&path, false) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
            busy = holders(&path);
            // Only its own process can fail the reads that keep it busy.
            if let Some(pid) = server {
                let _ = rustix::process::kill_process(pid, Signal::TERM);
                wait_until(|| is_gone(&path, &mount.device));
            }
            if !is_gone(&path, &mount.device) {
                detach(&path, true).map_err(refused)?;
            }
        }
        Err(e) => return Err(refused(e)),
    }
    if let Some(pid) = server {
        wait_until(|| has_ended(pid));
    }
    Ok(busy)
}

/// The mount that this process serves.
pub(super) struct Own {
    path: PathBuf,
    /// `major:minor` of the mount.
    device: String,
    /// The connection to the kernel: a descriptor of /dev/fuse.
    connection: OwnedFd,
}

impl Own {
    /// The mount on `path`, which was just mounted and is served through `connection`.
    pub(super) fn new(path: &Path, connection: BorrowedFd<'_>) -> io::Result<Self> {
        let mount = mounts::find(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: mount.map_or_else(String::new, |mount| mount.device),
            connection: connection.try_clone_to_owned()?,
        })
    }

    /// `major:minor` of the mount. Empty if it was unmounted at once.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Unmounts it, or detaches it if it is busy. Leaves another mount alone that has taken its place.
    pub(super) fn unmount(&self) {
        if self.is_gone() || detach(&self.path, false).is_ok() {
            return;
        }
        if let Err(e) = detach(&self.path, true)
            && !self.is_gone()
        {
            log::error!("cannot unmount {}: {e}", self.path.display());
        }
    }

    /// The kernel gives the device number of a mount that is gone to the next one, so the connection is asked first. It
    /// is severed when the mount is gone (`fuse_dev_poll` in the kernel).
    fn is_gone(&self) -> bool {
        let mut connection = [PollFd::new(&self.connection, PollFlags::empty())];
        let severed = poll(&mut connection, Some(&Timespec::default())).is_ok()
            && connection[0].revents().contains(PollFlags::ERR);
        severed || is_gone(&self.path, &self.device)
    }
}

fn is_gone(path: &Path, device: &str) -> bool {
    match mounts::find(path) {
        Ok(Some(entry)) => entry.device != device,
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Whether a process has ended. A zombie has: its parent may never wait for it, for example the first
/// process of a container.
fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let state = stat.ok().and_then(|stat| {
        // It follows the name in parentheses, which may contain anything (proc(5)).
        stat.rsplit_once(") ")?.1.chars().next()
    });
    matches!(state, None | Some('Z' | 'X'))
}

fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() && start.elapsed() < GONE_WITHIN {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Calls umount2(2), or fusermount3 for users whom the kernel does not allow that.
fn detach(path: &Path, lazy: bool) -> io::Result<()> {
    let flags = if lazy {
        UnmountFlags::DETACH | UnmountFlags::NOFOLLOW
    } else {
        UnmountFlags::NOFOLLOW
    };
    match rustix::mount::unmount(path, flags) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::PERM) => fusermount(path, lazy),
        Err(e) => Err(e.into()),
    }
}

fn fusermount(path: &Path, lazy: bool) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command
        .arg(if lazy { "-uz" } else { "-u" })
        .arg("--")
        .arg(path);
    let output = command.stdin(Stdio::null()).output().map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("fusermount3: {e}; install the package fuse3"),
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.contains("busy") {
        io::Error::new(io::ErrorKind::ResourceBusy, said)
    } else {
        io::Error::other(said)
    })
}

/// The process that serves a mount, as an attribute of its root says. It must be an aiozfs of the user who
/// mounted: otherwise any user who can mount could make root end any process.
fn server_of(path: &Path, user_id: Option<u32>) -> Option<Pid> {
    let value = ask(path, "pid", Duration::from_millis(500)).ok()?;
    let pid = Pid::from_raw(std::str::from_utf8(&value).ok()?.parse().ok()?)?;
    let process = format!("/proc/{}", pid.as_raw_nonzero());
    let name = fs::read_to_string(format!("{process}/comm")).ok()?;
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&process).ok()?);
    (name.trim() == "aiozfs" && Some(owner) == user_id).then_some(pid)
}
