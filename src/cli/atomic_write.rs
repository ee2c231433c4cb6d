//! Files that are never seen half written.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces a file by the bytes that `write` writes. A reader finds all of them, or what was there before. When the
/// machine goes down, the file may be lost, but not damaged.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}-{count}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = || {
        let mut out = BufWriter::new(File::create(&temporary)?);
        write(&mut out)?;
        out.flush()?;
        fs::rename(&temporary, path)
    };
    let done = written();
    if done.is_err() {
        // It may not exist.
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// [Replaces](replace) a file by `bytes`, and creates the directories above it.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    replace(path, |out| out.write_all(bytes))
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
