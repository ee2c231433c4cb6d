//! Walks a path to a file, symbolic links included.

use super::error::FindError;
use super::files::Volume;
use crate::archive::Kind;
use crate::fs::Ino;

/// The most symbolic links that are followed on the way to one file, as in the kernel (MAXSYMLINKS).
const MAX_FOLLOWED: u32 = 40;

impl Volume {
    /// The file or directory at `path`, components separated by `/`. Symbolic links on the way are
    /// followed if they stay inside the archive, a link at the end only if `follow` is set.
    pub async fn find(&self, path: &[u8], follow: bool) -> Result<Ino, FindError> {
        let tree = self.tree();
        let mut followed = 0;
        // The components that are still ahead, the next one last.
        let mut ahead = components(path);
        let mut here = Ino::ROOT;
        while let Some(name) = ahead.pop() {
            if tree.kind(here) != Some(Kind::Dir) {
                let path = tree.path(here);
                return Err(FindError::NotADirectory { path });
            }
            let dir = here;
            here = match &name[..] {
                b".." => tree.parent(here).unwrap_or(Ino::ROOT),
                name => tree.lookup(here, name).ok_or(FindError::NotFound)?,
            };
            let is_link = tree.kind(here) == Some(Kind::Symlink);
            if !is_link || ahead.is_empty() && !follow {
                continue;
            }
            followed += 1;
            if followed > MAX_FOLLOWED {
                return Err(FindError::TooManyLinks(MAX_FOLLOWED));
            }
            let target = self.link_target(here).await.map_err(FindError::Link)?;
            if tree.check_symlink(here, &target).is_err() {
                let link = tree.path(here);
                return Err(FindError::Outside { link, target });
            }
            ahead.extend(components(&target));
            here = dir;
        }
        Ok(here)
    }
}

/// The components of a path without empty ones and `.`, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').rev();
    let parts = parts.filter(|part| !matches!(*part, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}
