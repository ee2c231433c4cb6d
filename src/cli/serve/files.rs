//! Finds the files that the arguments FILE and DIR mean.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::Failure;
use crate::ranges::arrange_by_key;
use crate::source::Stamp;

/// A file to be served.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// Its file name; below a DIR, its path from there.
    pub(super) name: String,
    pub(super) stamp: Stamp,
}

/// Fails if an argument can never be served, before anything is started.
pub(super) fn check(args: &[PathBuf]) -> Result<(), Failure> {
    for path in args {
        let shown = path.display();
        let meta = fs::metadata(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Failure::new(format!("there is no file {shown}")),
            _ => Failure::new(format!("cannot read {shown}: {e}")),
        })?;
        let readable = if meta.is_dir() {
            fs::read_dir(path).map(drop)
        } else if meta.is_file() {
            fs::File::open(path).map(drop)
        } else {
            return Err(Failure::new(format!(
                "{shown} is neither a file nor a directory"
            )));
        };
        readable.map_err(|e| Failure::new(format!("cannot read {shown}: {e}")))?;
    }
    if scan(args).is_empty() {
        Err(Failure::new(
            "nothing to serve: there are no files in the directories given (hidden ones do not count)",
        ))
    } else {
        Ok(())
    }
}

/// The files that exist now, in the order of the arguments and by name, without those that cannot be
/// read.
pub(super) fn scan(args: &[PathBuf]) -> Vec<Found> {
    let mut walk = Walk::default();
    for path in args {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => match fs::canonicalize(path) {
                Ok(root) => walk.directory(&root, path, ""),
                Err(e) => log::info!("{}: {e}", path.display()),
            },
            Ok(meta) if meta.is_file() => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                walk.file(path.clone(), name.to_string_lossy().into_owned(), &meta);
            }
            Ok(_) => {}
            Err(e) => log::info!("{}: {e}", path.display()),
        }
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    found: Vec<Found>,
    paths: HashSet<PathBuf>,
}

impl Walk {
    fn file(&mut self, path: PathBuf, name: String, meta: &fs::Metadata) {
        if self.paths.insert(path.clone()) {
            self.found.push(Found {
                path,
                name,
                stamp: Stamp::of(meta),
            });
        }
    }

    /// The files below `dir`, whose path from the argument is `prefix`. `root` is the argument
    /// without links. Links to directories are not followed, so the walk ends.
    fn directory(&mut self, root: &Path, dir: &Path, prefix: &str) {
        let entries = fs::read_dir(dir).and_then(|entries| {
            let entries: io::Result<Vec<_>> = entries.collect();
            entries
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(e) => return log::info!("{}: {e}", dir.display()),
        };
        arrange_by_key(&mut entries, fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let name = format!("{prefix}{}", name.to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.directory(root, &path, &format!("{name}/")),
                Ok(kind) if kind.is_symlink() && !stays_within(root, &path) => {}
                Ok(_) => match fs::metadata(&path) {
                    Ok(meta) if meta.is_file() => self.file(path, name, &meta),
                    Ok(_) => {}
                    Err(e) => log::info!("{}: {e}", path.display()),
                },
                Err(e) => log::info!("{}: {e}", path.display()),
            }
        }
    }
}

/// Whether a link leads to a file within `root` that is not hidden.
fn stays_within(root: &Path, link: &Path) -> bool {
    let target = fs::canonicalize(link).ok();
    let inside = target.as_deref().and_then(|t| t.strip_prefix(root).ok());
    inside.is_some_and(|inside| {
        let mut parts = inside.iter();
        !parts.any(|part| part.as_bytes().starts_with(b"."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_a_directory_means() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("served");
        let at = |name: &str| root.join(name);
        fs::create_dir_all(at("sub/deep")).expect("directories");
        fs::create_dir_all(at(".git")).expect("directories");
        for name in ["b", "a", "sub/deep/c", ".hidden", ".git/config"] {
            fs::write(at(name), name).expect("a file");
        }
        fs::write(dir.path().join("secret"), "x").expect("a file");
        symlink("../secret", at("leaves")).expect("a link");
        symlink("sub/deep/c", at("stays")).expect("a link");
        symlink(".hidden", at("uncovers")).expect("a link");
        symlink("..", at("sub/up")).expect("a link");
        symlink("nowhere", at("broken")).expect("a link");
        let names = |args: &[PathBuf]| -> Vec<String> {
            scan(args).into_iter().map(|found| found.name).collect()
        };
        assert_eq!(
            names(std::slice::from_ref(&root)),
            ["a", "b", "stays", "sub/deep/c"]
        );
        // A file that is named is served, hidden or not, and once.
        assert_eq!(
            names(&[at(".hidden"), at(".hidden"), at("a")]),
            [".hidden", "a"]
        );
        assert!(check(&[root.clone(), at(".hidden")]).is_ok());
    }
}
