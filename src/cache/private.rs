//! Makes the cache's directory private to its user.
//!
//! A `chmod -R` of a pool directory, or a copy of it, may have opened it to others. The mode is
//! repaired, and files that others could write are discarded: the checksums of the cache detect
//! damage, not forgery.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

/// The permission bits of group and others, and the write bits among them.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// The deepest level of the cache's directories. Deeper ones are not the cache's.
const DEEPEST: usize = 8;

/// Revokes the access of group and others to a directory of user `us`. `path` is its name in messages.
///
/// # Errors
/// If the mode cannot be changed, as on a file system without modes.
pub(super) fn make_private(dir: BorrowedFd, path: &Path, us: u32) -> io::Result<()> {
    let mode = || rustix::fs::fstat(dir).map(|stat| stat.st_mode & 0o777);
    let was = mode()?;
    if was & OTHERS == 0 {
        return Ok(());
    }
    let changed = rustix::fs::fchmod(dir, Mode::RWXU);
    if changed.is_err() || mode()? & OTHERS != 0 {
        let path = path.display();
        let cause = changed.err().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "other users may look into {path} (mode {was:04o}), and that cannot be changed{cause}; run: chmod 700 '{path}'"
            ),
        ));
    }
    let discarded = if was & OTHERS_WRITE == 0 {
        0
    } else {
        discard_writable(dir, us, DEEPEST)?
    };
    let path = path.display();
    log::warn!(
        "cache: other users had access to {path} (mode {was:04o}); it has mode 0700 now, and {discarded} files that they could write are discarded"
    );
    Ok(())
}

/// Removes files that do not belong to user `us` or that others could write; returns how many. Skips
/// directories that others could not write to.
fn discard_writable(dir: BorrowedFd, us: u32, depth: usize) -> io::Result<u64> {
    let mut discarded = 0;
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_open = stat.st_uid != us || stat.st_mode & OTHERS_WRITE != 0;
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            if is_open {
                rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
                discarded += 1;
            }
            continue;
        }
        if !is_open {
            continue;
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let below = rustix::fs::openat(dir, name, flags, Mode::empty())?;
        if stat.st_uid == us {
            rustix::fs::fchmod(&below, Mode::RWXU)?;
        }
        if depth > 0 {
            discarded += discard_writable(below.as_fd(), us, depth - 1)?;
        }
        if stat.st_uid != us {
            // This fails if it has files that cannot be removed.
            rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(discarded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    /// A file system without modes.
    #[test]
    fn a_mode_that_cannot_be_changed_is_an_error_with_the_command() {
        let dir = File::open("/proc/self").expect("procfs");
        let told = make_private(dir.as_fd(), Path::new("/a b/v1"), 0);
        let told = told.expect_err("procfs keeps its modes").to_string();
        assert!(told.contains("look into /a b/v1 (mode 0555)"), "{told}");
        assert!(told.ends_with("; run: chmod 700 '/a b/v1'"), "{told}");
    }
}
