//! Errors of packing.

use std::io;
use std::path::{Path, PathBuf};

use crate::playlist::Problem;

/// Why a folder was not packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or written.
    #[error("{path}: {1}", path = .0.display())]
    Io(PathBuf, io::Error),
    /// This path is not a folder.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// This path is a device, a pipe or a socket.
    #[error("{} is neither a file, a folder nor a symbolic link; move it away", .0.display())]
    Special(PathBuf),
    /// The name is not UTF-8 or too long for an archive.
    #[error("the name {} is not UTF-8; rename it", .0.display())]
    Name(PathBuf),
    /// The file changed after the packing began.
    #[error("{} changed while it was packed; pack again when nothing writes to it", .0.display())]
    Changed(PathBuf),
    /// A playlist has problems that are not allowed: its path, and at least one problem.
    #[error("{}; '--allow-missing' packs it nevertheless", first_of(.0, .1))]
    Links(String, Vec<Problem>),
    /// The output lies in the packed folder.
    #[error("{} is in the folder that is packed; write it elsewhere", .0.display())]
    OutputInside(PathBuf),
    /// The output path exists and is not a regular file.
    #[error("{} exists and is not a regular file", .0.display())]
    OutputTaken(PathBuf),
    /// The archive cannot be written.
    #[error("the archive cannot be written: {0}")]
    Output(io::Error),
    /// The packing was cancelled.
    #[error("interrupted; nothing was written")]
    Cancelled,
}

impl Error {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |e| Error::Io(path, e)
    }
}

/// The first problem of a playlist, and how many more there are.
fn first_of(playlist: &str, problems: &[Problem]) -> String {
    let first = problems.first().map_or_else(String::new, |first| {
        format!("{playlist}, line {}: {}", first.line, first.what)
    });
    match problems.len() {
        0 | 1 => first,
        several => format!("{first} (and {} more)", several - 1),
    }
}
