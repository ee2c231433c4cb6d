//! Why a folder was not packed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::playlist::Problem;

/// Why there is no archive.
#[derive(Debug)]
pub enum Error {
    /// A file or directory cannot be read or written.
    Io(PathBuf, io::Error),
    /// It is no folder.
    NotAFolder(PathBuf),
    /// It is a device, a pipe or a socket.
    Special(PathBuf),
    /// Its name is not UTF-8, which an archive could not say.
    Name(PathBuf),
    /// It is not what it was when the packing began.
    Changed(PathBuf),
    /// Links of a playlist lead nowhere: its path, and the problems, at least one.
    Links(String, Vec<Problem>),
    /// The archive would be packed into itself.
    OutputInside(PathBuf),
    /// There is something else where the archive is to be.
    OutputTaken(PathBuf),
    /// The archive cannot be written.
    Output(io::Error),
    /// Somebody wanted it to end.
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
                write!(f, "; '--allow-missing' packs it all the same")
            }
            Error::OutputInside(path) => write!(
                f,
                "{} lies in the folder that is packed; write it elsewhere",
                path.display()
            ),
            Error::OutputTaken(path) => {
                write!(f, "{} is there and is no regular file", path.display())
            }
            Error::Output(e) => write!(f, "the archive cannot be written: {e}"),
            Error::Cancelled => f.write_str("interrupted; nothing was written"),
        }
    }
}

impl std::error::Error for Error {}
