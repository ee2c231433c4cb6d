//! The archive's file, which appears only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::Error;

/// A file that gets its name when it is complete. Until then it has a temporary name in the same
/// directory. Dropping it before removes it.
#[derive(Debug)]
pub struct Output {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    is_done: bool,
}

impl Output {
    /// Creates the file for `path`, which must lie outside the packed `folder`.
    pub fn create(path: &Path, folder: &Path) -> Result<Self, Error> {
        let taken = || Error::OutputTaken(path.to_owned());
        if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            return Err(taken());
        }
        let name = path.file_name().ok_or_else(taken)?;
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let real = dir.canonicalize().map_err(Error::io(dir))?;
        if is_inside(&real, folder)? {
            return Err(Error::OutputInside(path.to_owned()));
        }
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}.part", std::process::id()));
        let temporary = real.join(temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary);
        let file = file.map_err(Error::io(&temporary))?;
        Ok(Self {
            file,
            temporary,
            path: real.join(name),
            is_done: false,
        })
    }

    /// Gives the file its name, in place of an existing file. With `sync`, waits for the disk first, so
    /// that after a crash the path has the old file or the complete new one.
    pub fn finish(mut self, sync: bool) -> Result<(), Error> {
        if sync {
            self.file.sync_all().map_err(Error::Output)?;
        }
        fs::rename(&self.temporary, &self.path).map_err(Error::Output)?;
        self.is_done = true;
        if sync && let Some(dir) = self.path.parent() {
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(Error::Output)?;
        }
        Ok(())
    }
}

/// Whether a path, which may not exist yet, lies in the packed folder.
pub(super) fn is_inside(path: &Path, folder: &Path) -> Result<bool, Error> {
    let folder = folder.canonicalize().map_err(Error::io(folder))?;
    let whole = std::path::absolute(path).map_err(Error::io(path))?;
    // Resolve the part that exists: symbolic links may lead anywhere.
    let real = whole.ancestors().find_map(|dir| dir.canonicalize().ok());
    Ok(real.is_some_and(|real| real.starts_with(&folder)))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
