//! The kernel's table of mounts (/proc/self/mountinfo, proc(5)), and whether a directory can be mounted
//! on.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;

/// The filesystem type of aiozfs mounts.
pub(super) const FS_TYPE: &str = "fuse.aiozfs";

/// One line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// `major:minor` of the filesystem, which differs between two mounts on the same directory.
    pub(super) device: String,
    pub(super) mountpoint: PathBuf,
    pub(super) fs_type: String,
    /// The source, as the mount options name it (`fsname`).
    pub(super) source: String,
    /// The user who mounted, if it is a FUSE mount.
    pub(super) user_id: Option<u32>,
}

/// All mounts, those on top of others later.
pub(super) fn all() -> io::Result<Vec<Entry>> {
    let table = fs::read("/proc/self/mountinfo")?;
    let lines = table.split(|b| *b == b'\n');
    Ok(lines.filter_map(parse_line).collect())
}

/// The topmost mount on exactly this directory.
pub(super) fn find(mountpoint: &Path) -> io::Result<Option<Entry>> {
    let entries = all()?.into_iter();
    Ok(entries.rev().find(|entry| entry.mountpoint == mountpoint))
}

/// Where a mount lies among those on the same directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    /// Below another mount. Calls that name the directory reach that one.
    Below,
    Gone,
}

/// Where the mount with this device lies on exactly this directory.
pub(super) fn place(mountpoint: &Path, device: &str) -> io::Result<Place> {
    Ok(place_among(&all()?, mountpoint, device))
}

fn place_among(entries: &[Entry], mountpoint: &Path, device: &str) -> Place {
    let here = entries
        .iter()
        .filter(|entry| entry.mountpoint == mountpoint);
    match here.rev().position(|entry| entry.device == device) {
        Some(0) => Place::Top,
        Some(_) => Place::Below,
        None => Place::Gone,
    }
}

/// The absolute path of a directory, even if a dead mount on it answers only errors.
pub(super) fn absolute(mountpoint: &Path) -> io::Result<PathBuf> {
    if let Ok(path) = mountpoint.canonicalize() {
        return Ok(path);
    }
    let path = std::path::absolute(mountpoint)?;
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
        _ => Ok(path),
    }
}

/// Why a directory cannot be mounted on.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Unfit {
    #[error("mountpoint {path} does not exist; make it with 'mkdir -p {path}'", path = .0.display())]
    Missing(PathBuf),
    #[error("mountpoint {path} is not a directory; give an empty one", path = .0.display())]
    NotADirectory(PathBuf),
    #[error(
        "mountpoint {path} is already mounted ({1}); unmount it with 'aiozfs umount {path}' or give another directory",
        path = .0.display()
    )]
    Mounted(PathBuf, String),
    #[error(
        "mountpoint {path} holds a dead mount: its process is gone; clear it with 'aiozfs umount {path}' or 'fusermount3 -u {path}'",
        path = .0.display()
    )]
    Dead(PathBuf),
    #[error(
        "mountpoint {path} is not empty; give an empty directory, or '-o nonempty' to hide what is in it",
        path = .0.display()
    )]
    NotEmpty(PathBuf),
    #[error("mountpoint {path}: {1}", path = .0.display())]
    Unreadable(PathBuf, io::Error),
}

/// Checks that `mountpoint` can be mounted on, and returns its absolute path. With `nonempty` it may have
/// files in it, which the mount hides.
pub fn check_mountpoint(mountpoint: &Path, nonempty: bool) -> Result<PathBuf, Unfit> {
    let named = mountpoint.to_owned();
    let unreadable = |e| Unfit::Unreadable(named.clone(), e);
    let meta = match fs::metadata(mountpoint) {
        Ok(meta) => meta,
        Err(e) => {
            return Err(match (e.kind(), e.raw_os_error()) {
                (io::ErrorKind::NotFound, _) => Unfit::Missing(named),
                (_, Some(libc::ENOTCONN | libc::ECONNABORTED)) => Unfit::Dead(named),
                _ => unreadable(e),
            });
        }
    };
    if !meta.is_dir() {
        return Err(Unfit::NotADirectory(named));
    }
    let path = mountpoint.canonicalize().map_err(unreadable)?;
    if let Ok(Some(entry)) = find(&path)
        && entry.fs_type.starts_with("fuse")
    {
        return Err(if is_dead(&path) {
            Unfit::Dead(named)
        } else {
            Unfit::Mounted(named, entry.fs_type)
        });
    }
    if !nonempty {
        let mut entries = fs::read_dir(&path).map_err(unreadable)?;
        if entries.next().is_some() {
            return Err(Unfit::NotEmpty(named));
        }
    }
    Ok(path)
}

/// Whether the process of a FUSE mount has died. The kernel still answers from cached attributes, so this
/// asks for statfs, which is never cached.
pub(super) fn is_dead(mountpoint: &Path) -> bool {
    let path = mountpoint.to_owned();
    let asked = within(Duration::from_millis(500), move || {
        rustix::fs::statvfs(&path)
    });
    matches!(asked, Some(Err(Errno::NOTCONN | Errno::CONNABORTED)))
}

/// What a question to a mount returns; `None` if that takes longer than `limit`. If the process of the mount is stopped,
/// the thread that asks never ends.
pub(super) fn within<T: Send + 'static>(
    limit: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(question()));
    receiver.recv_timeout(limit).ok()
}

/// Parses fields 3 and 5, and after the separator ` - ` the type, source and super options.
fn parse_line(line: &[u8]) -> Option<Entry> {
    let separator = line.windows(3).position(|w| w == b" - ")?;
    let (before, after) = (&line[..separator], &line[separator + 3..]);
    let mut fields = before.split(|b| *b == b' ');
    let device = String::from_utf8(fields.nth(2)?.to_vec()).ok()?;
    let mountpoint = unescape(fields.nth(1)?);
    let mut fields = after.split(|b| *b == b' ');
    let fs_type = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let source = unescape(fields.next().unwrap_or_default());
    let options = String::from_utf8_lossy(fields.next().unwrap_or_default());
    let user_id = options.split(',').find_map(|o| o.strip_prefix("user_id="));
    Some(Entry {
        device,
        mountpoint: PathBuf::from(mountpoint),
        fs_type,
        source: source.to_string_lossy().into_owned(),
        user_id: user_id.and_then(|id| id.parse().ok()),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn lines_of_mountinfo() {
        let line = br"36 35 0:52 / /mnt/my\040video rw,nosuid shared:1 - fuse.aiozfs movie ro,user_id=1000,group_id=0";
        let entry = parse_line(line).expect("a mount");
        assert_eq!(entry.device, "0:52");
        assert_eq!(entry.mountpoint.as_os_str().as_bytes(), b"/mnt/my video");
        assert_eq!(entry.fs_type, FS_TYPE);
        assert_eq!(entry.source, "movie");
        assert_eq!(entry.user_id, Some(1000));
        assert_eq!(parse_line(b""), None);
        assert_eq!(parse_line(b"36 35 0:52 / /mnt"), None);
    }

    #[test]
    fn places_of_mounts_on_one_directory() {
        let lines: [&[u8]; 3] = [
            b"36 35 0:52 / /mnt/a ro - fuse.aiozfs movie ro",
            b"37 36 0:53 / /mnt/a rw - tmpfs none rw",
            b"38 35 0:54 / /mnt/b rw - tmpfs none rw",
        ];
        let entries: Vec<Entry> = lines.into_iter().filter_map(parse_line).collect();
        let place = |device| place_among(&entries, Path::new("/mnt/a"), device);
        assert_eq!(place("0:52"), Place::Below);
        assert_eq!(place("0:53"), Place::Top);
        assert_eq!(place("0:54"), Place::Gone);
    }

    #[test]
    fn directories_that_cannot_be_mounted_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, b"x").expect("a file");
        let fit = |path: &Path, nonempty| check_mountpoint(path, nonempty);
        assert!(matches!(
            fit(&dir.path().join("no"), false),
            Err(Unfit::Missing(_))
        ));
        assert!(matches!(fit(&file, false), Err(Unfit::NotADirectory(_))));
        assert!(matches!(fit(dir.path(), false), Err(Unfit::NotEmpty(_))));
        assert!(fit(dir.path(), true).is_ok());
        fs::remove_file(&file).expect("removed");
        assert!(fit(dir.path(), false).is_ok());
    }
}
