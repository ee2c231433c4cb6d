//! Files that are never seen half written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file so that a reader finds all of it, or what was there before. Creates the directories
/// above it. When the machine goes down, it may be lost, but not damaged.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}-{count}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let done = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        // It may not exist.
        let _ = fs::remove_file(&temporary);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_atomic_write_leaves_one_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a/b");
        for bytes in [&b"one"[..], b"two"] {
            write_atomically(&path, bytes).expect("written");
            assert_eq!(fs::read(&path).expect("there"), bytes);
        }
        let all = fs::read_dir(dir.path().join("a")).expect("a directory");
        assert_eq!(all.count(), 1);
        assert!(write_atomically(&path.join("c"), b"").is_err());
    }
}
