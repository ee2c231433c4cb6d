//! The cache directory: where it is, and how files get into it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;

use super::home::home;

/// The cache of those who have no home directory, as services of the system (Filesystem Hierarchy
/// Standard 3.0, section 5.5).
const SYSTEM: &str = "/var/cache/aiozfs";

/// The option of all commands that keep something.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CacheArgs {
    /// Where to keep what is worth keeping [default: $XDG_CACHE_HOME/aiozfs, else ~/.cache/aiozfs,
    /// else /var/cache/aiozfs]
    #[arg(long, value_name = "DIR", env = "AIOZFS_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
}

impl CacheArgs {
    /// As if it had been given.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self {
            cache_dir: Some(dir),
        }
    }

    /// The directory, which need not exist yet.
    pub(super) fn dir(&self) -> PathBuf {
        self.dir_or(None)
    }

    /// The same; `configured` is what the configuration says.
    pub(super) fn dir_or(&self, configured: Option<&Path>) -> PathBuf {
        let given = self
            .cache_dir
            .clone()
            .filter(|dir| !dir.as_os_str().is_empty());
        let given = given.or_else(|| configured.map(Path::to_owned));
        given.unwrap_or_else(|| default_dir(env::var_os("XDG_CACHE_HOME"), home()))
    }
}

/// XDG base directory specification: a relative path in the variable is invalid and ignored. A home
/// directory that does not exist is not made: users of services have `/nonexistent` for one.
fn default_dir(xdg: Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|home| home.is_dir());
    let base = xdg.or_else(|| home.map(|home| home.join(".cache")));
    base.map_or_else(|| PathBuf::from(SYSTEM), |base| base.join("aiozfs"))
}

/// Writes a file so that whoever reads it finds all of it, or what was there before. Creates the
/// directories above it. It may be lost, not damaged, when the machine goes down.
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
        // It may not even be there.
        let _ = fs::remove_file(&temporary);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is() {
        let dir = |xdg: Option<&str>, home: Option<&str>| {
            let found = default_dir(xdg.map(Into::into), home.map(Into::into));
            found.display().to_string()
        };
        assert_eq!(dir(Some("/x"), Some("/usr")), "/x/aiozfs");
        assert_eq!(dir(Some("x"), Some("/usr")), "/usr/.cache/aiozfs");
        assert_eq!(dir(Some(""), Some("/usr")), "/usr/.cache/aiozfs");
        assert_eq!(dir(None, Some("/no/such/home")), "/var/cache/aiozfs");
        assert_eq!(dir(None, None), "/var/cache/aiozfs");
    }

    #[test]
    fn a_write_leaves_one_file() {
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
