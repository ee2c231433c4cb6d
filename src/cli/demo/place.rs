//! Where the demo mounts.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::mount;

/// A directory to mount on: the user's, or a private one that is removed when this is dropped.
pub(super) struct Place {
    pub(super) path: PathBuf,
    is_own: bool,
}

impl Place {
    /// The directory that the user named, if it can be mounted on, else a new one.
    pub(super) fn new(named: Option<&Path>) -> Result<Self, Failure> {
        let failed = |e| Failure::new(format!("cannot make a temporary directory: {e}"));
        let mut place = Self {
            path: named
                .map_or_else(fresh, |path| Ok(path.to_owned()))
                .map_err(failed)?,
            is_own: named.is_none(),
        };
        // For a new one too: its path may contain symbolic links.
        place.path = mount::check_mountpoint(&place.path, false).map_err(Failure::new)?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only removes an empty directory, so nothing in it is deleted after an error.
        if self.is_own
            && let Err(e) = fs::remove_dir(&self.path)
        {
            log::warn!("cannot remove {}: {e}", self.path.display());
        }
    }
}

fn fresh() -> io::Result<PathBuf> {
    let name = format!("aiozfs-demo-{:016x}", fastrand::u64(..));
    let path = std::env::temp_dir().join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_temporary_directory_is_private_and_removed() {
        let place = Place::new(None).expect("a directory");
        let other = Place::new(None).expect("another one");
        assert_ne!(place.path, other.path);
        let mode = fs::metadata(&place.path).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        let path = place.path.clone();
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_of_the_user_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Place::new(Some(dir.path())).expect("fit"));
        assert!(dir.path().exists());
        assert!(Place::new(Some(&dir.path().join("no"))).is_err());
    }
}
