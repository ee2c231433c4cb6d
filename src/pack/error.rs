//! Errors of packing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::playlist::Problem;

/// Why a folder was not packed.
#[derive(Debug)]
pub enum Error {
    /// A file or directory cannot be read or written.
    Io(PathBuf, io::Error),
    /// This path is not a folder.
    NotAFolder(PathBuf),
    /// This path is a device, a pipe or a socket.
    Special(PathBuf),
    /// The name is not UTF-8 or too long for an archive.
    Name(PathBuf),
    /// The file changed after the packing began.
    Changed(PathBuf),
    /// A playlist has problems that are not allowed: its path, and at least one problem.
    Links(String, Vec<Problem>),
    /// The output lies in the packed folder.
    OutputInside(PathBuf),
    /// The output path exists and is not a regular file.
    OutputTaken(PathBuf),
    /// The archive cannot be written.
    Output(io::Error),
    /// The packing was cancelled.
    Cancelled,
}

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |e| Error::Io(path, e)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(path, e) => write!(f, "{}: {e}", path.display()),
            Error::NotAFolder(path) => write!(f, "{} is not a folder", path.display()),
            Error::Special(path) => write!(
                f,
                "{} is neither a file, a folder nor a symbolic link; move it away",
                path.display()
            ),
            Error::Name(path) => write!(f, "the name {} is not UTF-8; rename it", path.display()),
            Error::Changed(path) => write!(
                f,
                "{} changed while it was packed; pack again when nothing writes to it",
                path.display()
            ),
            Error::Links(playlist, problems) => {
                if let Some(first) = problems.first() {
                    write!(f, "{playlist}, line {}: {}", first.line, first.what)?;
                }
                if problems.len() > 1 {
                    write!(f, " (and {} more)", problems.len() - 1)?;
                }
                write!(f, "; '--allow-missing' packs it nevertheless")
            }
            Error::OutputInside(path) => write!(
                f,
                "{} is in the folder that is packed; write it elsewhere",
                path.display()
            ),
            Error::OutputTaken(path) => {
                write!(f, "{} exists and is not a regular file", path.display())
            }
            Error::Output(e) => write!(f, "the archive cannot be written: {e}"),
            Error::Cancelled => f.write_str("interrupted; nothing was written"),
        }
    }
}

impl std::error::Error for Error {}
