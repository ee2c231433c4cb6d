//! The user's directories: home, and the directory of caches.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

/// The cache of users without a home directory, for example of system services (Filesystem Hierarchy Standard
/// 3.0, section 5.5).
const SYSTEM: &str = "/var/cache/aiozfs";

/// The home directory of the user who runs this process: HOME, else the user's line in the system's list
/// of users (passwd(5)). mount(8) removes HOME from the environment of the programs that it runs, and at
/// boot there is none.
pub(super) fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

/// The option of all commands that use a cache.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct CacheDirArgs {
    /// The directory of the cache [default: the CacheDirectory of a systemd service, else
    /// $XDG_CACHE_HOME/aiozfs, else ~/.cache/aiozfs, else /var/cache/aiozfs]
    #[arg(long, value_name = "DIR", env = "AIOZFS_CACHE_DIR", value_hint = ValueHint::DirPath)]
    cache_dir: Option<PathBuf>,
}

impl CacheDirArgs {
    /// The directory that the user named, by the option or the variable.
    pub(super) fn given(&self) -> Option<&Path> {
        let given = self.cache_dir.as_deref();
        given.filter(|dir| !dir.as_os_str().is_empty())
    }

    /// The directory, which may not exist yet.
    pub(super) fn dir(&self) -> PathBuf {
        self.dir_or(None)
    }

    /// The same, with the directory of the configuration as the default.
    pub(super) fn dir_or(&self, configured: Option<&Path>) -> PathBuf {
        cache_dir(self.given().or(configured))
    }
}

/// The directory of the cache, which may not exist yet, if it is to be `named`.
pub(super) fn cache_dir(named: Option<&Path>) -> PathBuf {
    let named = named.map(Path::to_owned);
    let named = named.or_else(|| of_service("CACHE_DIRECTORY"));
    named.unwrap_or_else(|| default_dir(env::var_os("XDG_CACHE_HOME"), home()))
}

/// A directory that systemd made for a service, the first if there are several (systemd.exec(5),
/// CacheDirectory=).
fn of_service(variable: &str) -> Option<PathBuf> {
    let list = env::var_os(variable)?;
    let first = list.as_bytes().split(|byte| *byte == b':').next()?;
    let path = PathBuf::from(OsStr::from_bytes(first));
    path.is_absolute().then_some(path)
}

/// The absolute path of a log file.
pub(super) fn log_file(path: &Path) -> io::Result<PathBuf> {
    below("LOGS_DIRECTORY", path)
}

/// The absolute path of a socket.
pub(super) fn socket(path: &Path) -> io::Result<PathBuf> {
    below("RUNTIME_DIRECTORY", path)
}

/// A relative path is below the directory that systemd made for a service, else below the working directory.
fn below(variable: &str, path: &Path) -> io::Result<PathBuf> {
    match of_service(variable) {
        Some(directory) => Ok(directory.join(path)),
        None => std::path::absolute(path),
    }
}

/// A relative path in XDG_CACHE_HOME is invalid and ignored (XDG base directory specification). A home
/// directory that does not exist is not created: that of service users is `/nonexistent`.
fn default_dir(xdg: Option<OsString>, home: Option<PathBuf>) -> PathBuf {
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = home.filter(|home| home.is_dir());
    let base = xdg.or_else(|| home.map(|home| home.join(".cache")));
    base.map_or_else(|| PathBuf::from(SYSTEM), |base| base.join("aiozfs"))
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
}
