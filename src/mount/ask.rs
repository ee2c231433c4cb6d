//! Asks a mount about itself, through attributes of its root, or files if it has no attributes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use serde::de::DeserializeOwned;

use super::archives_page::ArchivesPage;
use super::control_files::CONTROL;
use super::mounts::{self, FS_TYPE};
use super::report::Report;
use super::stuck::Stuck;
use super::trace::{TRACE, TracePage};
use super::xattr::{ARCHIVES, RELOAD, SOURCE};
use crate::library::{ArchiveStatus, Reloaded};

/// A mount answers from memory. If it takes longer than this, its process is stopped (SIGSTOP) or hangs.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The longest value of an attribute (`XATTR_SIZE_MAX` in Linux), in bytes.
const MAX_VALUE: usize = 64 << 10;

/// The most that is read of a file, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The longest time that a reload takes: the list may come from a server.
const RELOADS_WITHIN: Duration = Duration::from_secs(90);

/// The status of the aiozfs that is mounted on `mountpoint`.
pub fn report(mountpoint: &Path) -> Result<Report, Stuck> {
    answer(mountpoint, "status", ANSWERS_WITHIN)
}

/// The events of the aiozfs that is mounted on `mountpoint` from number `from` on. Without `from`: the number of the
/// next event. The mount keeps events from now on, for five seconds.
pub fn trace(mountpoint: &Path, from: Option<u64>) -> Result<TracePage, Stuck> {
    match from {
        None => answer(mountpoint, TRACE, ANSWERS_WITHIN),
        Some(from) => answer(mountpoint, &format!("{TRACE}.{from}"), ANSWERS_WITHIN),
    }
}

/// The archives of the library that is mounted on `mountpoint`, in the order of names.
pub fn archives(mountpoint: &Path) -> Result<Vec<ArchiveStatus>, Stuck> {
    let mut archives = Vec::new();
    loop {
        let name = format!("{ARCHIVES}{}", archives.len());
        let page: ArchivesPage = answer(mountpoint, &name, ANSWERS_WITHIN)?;
        let is_last = page.archives.is_empty();
        archives.extend(page.archives);
        if is_last || archives.len() >= page.total {
            return Ok(archives);
        }
    }
}

/// Makes the library that is mounted on `mountpoint` read its list again.
pub fn reload(mountpoint: &Path) -> Result<Reloaded, Stuck> {
    let done: Result<Reloaded, String> = answer(mountpoint, RELOAD, RELOADS_WITHIN)?;
    done.map_err(Stuck::Refused)
}

/// An attribute of the root of the aiozfs that is mounted on `mountpoint`, which is JSON.
fn answer<T: DeserializeOwned>(mountpoint: &Path, name: &str, limit: Duration) -> Result<T, Stuck> {
    let shown = mountpoint.display();
    let refused = |e: io::Error| Stuck::Refused(format!("{shown}: {e}"));
    let path = mounts::absolute(mountpoint).map_err(refused)?;
    let Some(mount) = mounts::find(&path).map_err(refused)? else {
        return Err(Stuck::NotOurs(format!("nothing is mounted on {shown}")));
    };
    if mount.fs_type != FS_TYPE {
        return Err(Stuck::NotOurs(format!(
            "{shown} is a mount of type {}, not of aiozfs",
            mount.fs_type
        )));
    }
    let value = ask(&path, name, limit).map_err(|e| match Errno::from_io_error(&e) {
        Some(Errno::NOTCONN | Errno::CONNABORTED) => Stuck::Refused(format!(
            "{shown} holds a dead mount, whose process is gone; 'aiozfs umount {shown}' clears it"
        )),
        Some(Errno::ACCESS | Errno::PERM) => {
            let user = mount
                .user_id
                .map_or_else(String::new, |id| format!(" (id {id})"));
            Stuck::Refused(format!(
                "{shown} was mounted by another user{user}, and answers only that user"
            ))
        }
        _ => refused(e),
    })?;
    serde_json::from_slice(&value).map_err(|e| {
        Stuck::Refused(format!(
            "the aiozfs on {shown} is another version, whose {name} this one cannot read ({e})"
        ))
    })
}

/// A mount of aiozfs.
#[derive(Debug)]
pub struct Found {
    /// The directory it is mounted on.
    pub mountpoint: PathBuf,
    /// The archive, or the name that `-o fsname=` gave it.
    pub source: String,
    /// Its status, or why there is none: the process has died, or it belongs to another user and
    /// answers no one else.
    pub report: io::Result<Report>,
}

/// The mounts of aiozfs in this process's mount namespace, of all users. All are asked at the same time, so mounts that
/// do not answer cost one time limit together.
pub fn mounts() -> io::Result<Vec<Found>> {
    let entries = mounts::all()?.into_iter();
    let ours = entries.filter(|entry| entry.fs_type == FS_TYPE);
    let asked: Vec<_> = ours
        .map(|entry| {
            let path = entry.mountpoint.clone();
            (entry, thread::spawn(move || report_of(&path)))
        })
        .collect();
    let answered = asked.into_iter().map(|(entry, report)| Found {
        mountpoint: entry.mountpoint,
        source: entry.source,
        report: report
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("panicked"))),
    });
    Ok(answered.collect())
}

fn report_of(root: &Path) -> io::Result<Report> {
    let value = ask(root, "status", ANSWERS_WITHIN)?;
    let other = |e| io::Error::new(io::ErrorKind::InvalidData, format!("another version ({e})"));
    serde_json::from_slice(&value).map_err(other)
}

/// Whether the aiozfs on `mountpoint` says that it serves the source with this hash
/// ([`KernelOptions::source_hash`](super::KernelOptions::source_hash)). False also if nothing is mounted
/// there, and if it does not answer.
pub fn is_source(mountpoint: &Path, hash: &str) -> bool {
    let Ok(path) = mounts::absolute(mountpoint) else {
        return false;
    };
    let mount = mounts::find(&path).ok().flatten();
    mount.is_some_and(|mount| mount.fs_type == FS_TYPE)
        && ask(&path, &format!("{SOURCE}{hash}"), ANSWERS_WITHIN).is_ok()
}

/// Reads an attribute of the root of a mount. Fails after `limit`: a stopped process never answers.
pub(super) fn ask(root: &Path, name: &str, limit: Duration) -> io::Result<Vec<u8>> {
    let (root, name) = (root.to_owned(), name.to_owned());
    mounts::within(limit, move || value(&root, &name)).unwrap_or_else(|| {
        let limit = limit.as_secs_f64();
        let silent = format!("its process has not answered within {limit} s; is it stopped?");
        Err(io::Error::new(io::ErrorKind::TimedOut, silent))
    })
}

fn value(root: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut value = vec![0; MAX_VALUE];
    match rustix::fs::getxattr(root, format!("user.aiozfs.{name}"), &mut value[..]) {
        Ok(len) => value.truncate(len),
        Err(Errno::OPNOTSUPP) => {
            value.clear();
            let file = File::open(root.join(format!("{CONTROL}{name}")))?;
            file.take(MAX_FILE).read_to_end(&mut value)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(value)
}
