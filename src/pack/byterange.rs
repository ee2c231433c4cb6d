//! Playlists beside the archive that play it from any server of ranges.

use std::fs;
use std::path::Path;

use super::error::Error;
use super::layout::Plan;
use crate::playlist;

impl Plan {
    /// Writes all playlists into `dir` in the form that names byte ranges of the archive, under
    /// the paths they have in the folder; along with them files that the standards know no byte
    /// range for, such as keys. `archive` is the archive's address: a URL, or a path relative to
    /// `dir`. Returns how many files were written.
    pub fn write_byterange_playlists(&self, dir: &Path, archive: &str) -> Result<usize, Error> {
        let mut written = 0;
        let mut write = |path: &str, content: &[u8]| {
            let to = dir.join(path);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(Error::io(parent))?;
            }
            written += 1;
            fs::write(&to, content).map_err(Error::io(&to))
        };
        for item in &self.items {
            let Some(format) = item.format else { continue };
            let text = self.original(item)?;
            let is_absolute = archive.contains("://") || archive.starts_with('/');
            let up = match is_absolute {
                true => String::new(),
                false => "../".repeat(item.path.matches('/').count()),
            };
            let archive = format!("{up}{archive}");
            let find = |path: &str| self.find(path);
            let made = playlist::byterange(format, &item.path, &text, &archive, &find);
            write(&item.path, made.text.as_bytes())?;
            for path in made.loose {
                let source = self.folder.join(&path);
                let content = fs::read(&source).map_err(Error::io(&source))?;
                write(&path, &content)?;
            }
        }
        Ok(written)
    }
}
