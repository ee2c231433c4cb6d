//! Reads files of the folder, and checks that they have not changed since they were listed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::Error;
use super::scan::Stamp;
use crate::playlist::Span;

/// The content of a file as text; `None` if it is not UTF-8.
pub(super) fn text(path: &Path, stamp: Stamp) -> Result<Option<String>, Error> {
    let content = read(path, stamp, |mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    })?;
    Ok(String::from_utf8(content).ok())
}

/// A part of a file, which must lie within it.
pub(super) fn part(path: &Path, stamp: Stamp, part: Span) -> Result<Vec<u8>, Error> {
    read(path, stamp, |file| {
        // The callers limit the length.
        let mut bytes = vec![0; part.size as usize];
        file.read_exact_at(&mut bytes, part.offset).map(|()| bytes)
    })
}

fn read(
    path: &Path,
    stamp: Stamp,
    work: impl FnOnce(&File) -> io::Result<Vec<u8>>,
) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let same = || -> Result<(), Error> {
        let meta = file.metadata().map_err(Error::io(path))?;
        if stamp.is_same(&Stamp::of(&meta)) {
            Ok(())
        } else {
            Err(Error::Changed(path.to_owned()))
        }
    };
    same()?;
    let bytes = work(&file);
    // Before the error of `work`: a file that became shorter is reported as changed.
    same()?;
    bytes.map_err(Error::io(path))
}
