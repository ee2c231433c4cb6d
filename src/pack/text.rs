//! Playlists of the folder, as text.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::error::Error;
use super::scan::Stamp;

/// A file longer than this, in bytes, is no playlist, whatever it is called: a day of segments of
/// two seconds is below 4 MB.
pub(super) const LONGEST: u64 = 16 << 20;

/// A file's content, if it is what was seen.
pub(super) fn content(path: &Path, stamp: Stamp) -> Result<Vec<u8>, Error> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let same = |file: &File| -> Result<(), Error> {
        let meta = file.metadata().map_err(Error::io(path))?;
        match Stamp::of(&meta) == stamp {
            true => Ok(()),
            false => Err(Error::Changed(path.to_owned())),
        }
    };
    same(&file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(Error::io(path))?;
    same(&file)?;
    Ok(bytes)
}

/// A file's content as text; `None` if it is not UTF-8.
pub(super) fn text(path: &Path, stamp: Stamp) -> Result<Option<String>, Error> {
    Ok(String::from_utf8(content(path, stamp)?).ok())
}
