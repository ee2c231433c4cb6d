//! Unmounting, even while files are open.
//!
//! umount(2) fails with EBUSY while a file is open, and programs that read from a gateway that hangs
//! have files open. So the process that serves the mount first fails the reads that wait, then unmounts
//! or, if the mount is still busy, detaches it (MNT_DETACH). A detached mount disappears from the tree at
//! once, and from the kernel when its last file is closed or its process ends. The process then ends.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::ask::ask;
use super::holders::{Holder, holders};
use super::mounts::{self, FS_TYPE, Place};
use super::stuck::Stuck;

/// Why a mount below another one is left alone.
const COVERED: &str =
    "another filesystem is mounted over it; unmount that one, then run 'aiozfs umount' again";

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
    let server = Server::of(&path, mount.user_id);
    let mut busy = Vec::new();
    match detach(&path, false) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
            busy = holders(&path);
            // Only its own process can fail the reads that keep it busy.
            if let Some(server) = &server {
                server.terminate();
                wait_until(|| place(&path, &mount.device) == Place::Gone);
            }
            match place(&path, &mount.device) {
                Place::Gone => {}
                Place::Top => detach(&path, true).map_err(refused)?,
                Place::Below => return Err(refused(io::Error::other(COVERED))),
            }
        }
        Err(e) => {
            let own = rustix::process::getuid();
            return Err(match mount.user_id {
                Some(user) if user != own.as_raw() && !own.is_root() => Stuck::Refused(format!(
                    "cannot unmount {shown}: another user (id {user}) mounted it, and only that user and root may unmount it"
                )),
                _ => refused(e),
            });
        }
    }
    if let Some(server) = server {
        wait_until(|| server.has_ended());
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

    /// Unmounts it, or detaches it if it is busy. Another mount that lies on it or has taken its place is left alone.
    /// Returns whether it was there.
    ///
    /// # Errors
    /// If it is still there.
    pub(super) fn unmount(&self) -> io::Result<bool> {
        let failed = |why: &dyn fmt::Display| {
            let shown = self.path.display();
            Err(io::Error::other(format!("cannot unmount {shown}: {why}")))
        };
        match self.place() {
            Place::Gone => return Ok(false),
            Place::Below => return failed(&COVERED),
            Place::Top => {}
        }
        match detach(&self.path, false).or_else(|_| detach(&self.path, true)) {
            Err(e) if self.place() != Place::Gone => failed(&e),
            _ => Ok(true),
        }
    }

    /// Where the mount lies. The kernel gives the device number of a mount that is gone to the next one, so the
    /// connection is examined first. It is severed when the mount is gone or its connection was aborted
    /// (`fuse_dev_poll` in the kernel). In the second case, the mount is there, and dead.
    fn place(&self) -> Place {
        let mut connection = [PollFd::new(&self.connection, PollFlags::empty())];
        let severed = poll(&mut connection, Some(&Timespec::default())).is_ok()
            && connection[0].revents().contains(PollFlags::ERR);
        if severed && !mounts::is_dead(&self.path) {
            Place::Gone
        } else {
            place(&self.path, &self.device)
        }
    }
}

fn place(path: &Path, device: &str) -> Place {
    // If the kernel's table cannot be read, the mount may be there.
    mounts::place(path, device).unwrap_or(Place::Top)
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

/// Where fusermount3 is looked for: on PATH, and where it is installed. The mount was made with it, perhaps by a process
/// with another PATH. fuser reads the same variable.
fn programs() -> Vec<OsString> {
    if let Some(own) = std::env::var_os("FUSERMOUNT_PATH") {
        return vec![own];
    }
    let directories = ["", "/usr/bin/", "/bin/", "/sbin/", "/usr/local/bin/"];
    directories
        .map(|directory| format!("{directory}fusermount3").into())
        .to_vec()
}

fn fusermount(path: &Path, lazy: bool) -> io::Result<()> {
    let output = programs().into_iter().find_map(|program| {
        let mut command = Command::new(program);
        let flags = if lazy { "-uz" } else { "-u" };
        command.arg(flags).arg("--").arg(path).stdin(Stdio::null());
        match command.output() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            done => Some(done),
        }
    });
    let shown = path.display();
    let missing = || {
        format!(
            "fusermount3 is not found, which users other than root need; install the package fuse3, or run 'sudo umount -l {shown}'"
        )
    };
    let output = output.ok_or_else(|| io::Error::other(missing()))?;
    let output = output.map_err(|e| io::Error::new(e.kind(), format!("fusermount3: {e}")))?;
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

/// The process that serves a mount.
struct Server(OwnedFd);

impl Server {
    /// The process that an attribute of the mount's root names. It must be an aiozfs of the user who mounted: otherwise
    /// any user who can mount could make root end any process.
    fn of(path: &Path, user_id: Option<u32>) -> Option<Self> {
        let value = ask(path, "pid", Duration::from_millis(500)).ok()?;
        let pid = Pid::from_raw(std::str::from_utf8(&value).ok()?.parse().ok()?)?;
        // Opened before the checks: the kernel may give the id to another process at any time, but not this descriptor.
        let server = Self::open(pid)?;
        let process = format!("/proc/{}", pid.as_raw_nonzero());
        let name = fs::read_to_string(format!("{process}/comm")).ok()?;
        let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&process).ok()?);
        (name.trim() == "aiozfs" && Some(owner) == user_id).then_some(server)
    }

    /// A descriptor of the process; `None` if it has ended, or before Linux 5.3.
    fn open(pid: Pid) -> Option<Self> {
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
    }

    fn terminate(&self) {
        // It may have ended.
        let _ = pidfd_send_signal(&self.0, Signal::TERM);
    }

    /// Whether it has ended. A zombie has: its parent may never wait for it, for example the first process of a
    /// container.
    fn has_ended(&self) -> bool {
        let mut process = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut process, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the check of a process id and the signal, the id could pass to another process.
    #[test]
    fn a_process_that_has_ended_gets_no_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let server = Server::open(Pid::from_child(&child)).expect("its process");
        assert!(!server.has_ended());
        server.terminate();
        wait_until(|| server.has_ended());
        assert!(server.has_ended(), "a zombie has ended");
        child.wait().expect("its status");
        assert!(server.has_ended());
        let told = pidfd_send_signal(&server.0, Signal::TERM);
        assert_eq!(told, Err(rustix::io::Errno::SRCH));
    }
}
