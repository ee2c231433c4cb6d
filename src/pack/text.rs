//! Playlists of the folder, as text, and parts of media files.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::error::Error;
use super::scan::Stamp;
use crate::playlist::Span;

/// A file's content, if it is what was seen.
pub(super) fn content(path: &Path, stamp: Stamp) -> Result<Vec<u8>, Error> {
    read(path, stamp, |mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| bytes)
    })
}

/// A part of a file, which must lie within it, if it is what was seen.
pub(super) fn part(path: &Path, stamp: Stamp, part: Span) -> Result<Vec<u8>, Error> {
    read(path, stamp, |file| {
        // Those who ask have a bound for it.
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
        match stamp.is_same(&Stamp::of(&meta)) {
            true => Ok(()),
            false => Err(Error::Changed(path.to_owned())),
        }
    };
    same()?;
    let bytes = work(&file);
    // That a file is shorter than it was is told as a change.
    same()?;
    bytes.map_err(Error::io(path))
}

/// A file's content as text; `None` if it is not UTF-8.
pub(super) fn text(path: &Path, stamp: Stamp) -> Result<Option<String>, Error> {
    Ok(String::from_utf8(content(path, stamp)?).ok())
}
