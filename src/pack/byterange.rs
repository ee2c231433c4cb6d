//! Playlists beside the archive that play it from any server of ranges.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::layout::Plan;
use super::output;
use super::scan::Stamp;
use super::warning::Warning;

/// Where such playlists go, and where they find the archive.
#[derive(Debug)]
pub struct ByRange {
    dir: PathBuf,
    archive: String,
}

impl ByRange {
    /// Playlists into `dir`, which may not be there yet, outside of `folder`, whose own they would
    /// overwrite. `archive` is the archive's address: a URL, or a reference relative to `dir`.
    pub fn new(dir: &Path, archive: String, folder: &Path) -> Result<Self, Error> {
        if output::is_inside(dir, folder)? {
            return Err(Error::OutputInside(dir.to_owned()));
        }
        Ok(Self {
            dir: dir.to_owned(),
            archive,
        })
    }

    /// The address as seen from a playlist.
    fn seen_from(&self, playlist: &str) -> String {
        let Self { archive, .. } = self;
        if archive.contains("://") || archive.starts_with('/') {
            return archive.clone();
        }
        "../".repeat(playlist.matches('/').count()) + archive
    }
}

impl Plan {
    /// Writes all playlists in the form that names byte ranges of the archive, under the paths they
    /// have in the folder; along with them files that the standards know no byte range for, such as
    /// keys. Returns links that lead nowhere.
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
                // A playlist among them (that of an advertisement) has its own turn.
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
            warnings.extend(made.problems.into_iter().map(|problem| Warning {
                playlist: item.path.clone(),
                problem,
            }));
        }
        Ok(warnings)
    }
}
