//! Writes playlists as separate files, which play the archive from any server that supports Range requests.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::layout::Plan;
use super::output;
use super::scan::Stamp;
use super::warning::Warning;

/// Where to write such playlists, and the URL of the archive in them.
#[derive(Debug)]
pub struct ByRange {
    dir: PathBuf,
    archive: String,
}

impl ByRange {
    /// Writes to `dir`, which may not exist yet. It must lie outside `folder`, whose playlists would be
    /// overwritten. `archive` is the archive's URL, absolute or relative to `dir`.
    pub fn new(dir: &Path, archive: String, folder: &Path) -> Result<Self, Error> {
        if output::is_inside(dir, folder)? {
            return Err(Error::OutputInside(dir.to_owned()));
        }
        Ok(Self {
            dir: dir.to_owned(),
            archive,
        })
    }

    /// The URL of the archive, relative to a playlist.
    fn seen_from(&self, playlist: &str) -> String {
        let Self { archive, .. } = self;
        if archive.contains("://") || archive.starts_with('/') {
            return archive.clone();
        }
        "../".repeat(playlist.matches('/').count()) + archive
    }
}

impl Plan {
    /// Writes all playlists with byte ranges of the archive in place of links, under their paths in
    /// the folder. Copies the files whose links can have no byte range, such as keys. Returns the
    /// problems of links.
    pub fn write_byterange_playlists(&self, to: &ByRange) -> Result<Vec<Warning>, Error> {
        let place = |path: &str| {
            let place = to.dir.join(path);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(Error::io(parent))?;
            }
            Ok(place)
        };
        let mut warnings = Vec::new();
        for item in &self.items {
            let Some(format) = item.format else { continue };
            let text = self.original(item)?;
            let archive = to.seen_from(&item.path);
            let made = self.with_files(|files| {
                self.playlist(item, format, &text)
                    .byterange(&archive, files)
            })?;
            let list = place(&item.path)?;
            fs::write(&list, made.text).map_err(Error::io(&list))?;
            for path in made.loose {
                // A playlist among them, such as that of an advertisement, is written by this loop.
                let Some(loose) = self.file(&path).filter(|loose| loose.format.is_none()) else {
                    continue;
                };
                let (source, copy) = (self.source(loose), place(&path)?);
                fs::copy(&source, &copy).map_err(Error::io(&source))?;
                let meta = fs::metadata(&source).map_err(Error::io(&source))?;
                if !loose.stamp.is_same(&Stamp::of(&meta)) {
                    return Err(Error::Changed(source));
                }
            }
            let problems = made.problems.into_iter();
            warnings.extend(problems.map(|problem| Warning::of(&item.path, problem)));
        }
        Ok(warnings)
    }
}
