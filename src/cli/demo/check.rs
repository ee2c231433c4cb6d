//! `aiozfs demo --check`: compares the mount with the archive.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::archive::{self, Extent, IndexParser, ParseOptions};
use crate::cli::Failure;

/// Reads every file below `mountpoint` and compares names, lengths, bytes and range links with the
/// entries of `archive`. Returns one line of what was compared.
pub(super) fn read_back(mountpoint: &Path, archive: &[u8]) -> Result<String, Failure> {
    let expected =
        entries(archive).map_err(|e| Failure::new(format!("the built-in archive: {e}")))?;
    let found = files(mountpoint)
        .map_err(|e| Failure::new(format!("cannot list {}: {e}", mountpoint.display())))?;
    let names: Vec<&PathBuf> = expected.keys().collect();
    if found.iter().ne(names.iter().copied()) {
        return Err(Failure::new(format!(
            "the mount has the files {found:?}, the archive {names:?}"
        )));
    }
    let mut total = 0;
    for (name, extent) in &expected {
        let differs = |what: String| Failure::new(format!("{}: {what}", name.display()));
        let path = mountpoint.join(name);
        let cannot = |e: io::Error| differs(format!("cannot be read: {e}"));
        let size = fs::metadata(&path).map_err(cannot)?.len();
        let bytes = fs::read(&path).map_err(cannot)?;
        let range = extent.range();
        let stored = &archive[range.start as usize..range.end as usize];
        if size != extent.len || bytes.len() != stored.len() {
            return Err(differs(format!(
                "is {size} bytes long and gives {}, but {} are in the archive",
                bytes.len(),
                extent.len
            )));
        }
        if let Some(at) = (0..stored.len()).find(|at| bytes[*at] != stored[*at]) {
            return Err(differs(format!("byte {at} is wrong")));
        }
        let link = super::guide::range_of(&path).map_err(|e| cannot(e.into()))?;
        if link != format!("{},{}", extent.offset, extent.len) {
            return Err(differs(format!("has the range link {link}")));
        }
        total += extent.len;
    }
    Ok(format!(
        "demo --check: {} files, {total} bytes, read through the kernel and equal to the archive's\n",
        expected.len()
    ))
}

/// Where each entry's bytes lie, by name.
fn entries(blob: &[u8]) -> Result<BTreeMap<PathBuf, Extent>, archive::Error> {
    let mut parser = IndexParser::new(blob.len() as u64, ParseOptions::default())?;
    while let Some(wanted) = parser.wants() {
        parser.feed(&blob[wanted.start as usize..wanted.end as usize])?;
    }
    let index = parser.finish()?;
    let mut entries = BTreeMap::new();
    for id in index.ids() {
        let check = index.header_check(id);
        let header = check.range();
        let extent = check.confirm(&blob[header.start as usize..header.end as usize])?;
        entries.insert(PathBuf::from(OsStr::from_bytes(index.path(id))), extent);
    }
    Ok(entries)
}

/// All files below `top`, relative to it, sorted.
fn files(top: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut dirs, mut found) = (vec![PathBuf::new()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(top.join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                dirs.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::ARCHIVE;

    #[test]
    fn the_archive_is_small_and_laid_out_for_playing() {
        assert!(ARCHIVE.len() < 500_000);
        let entries = entries(ARCHIVE).expect("an archive");
        let at = |name: &str| entries[Path::new(name)].offset;
        let segments = ["180p_0000.ts", "180p_0001.ts", "180p_0002.ts"];
        assert!(segments.is_sorted_by_key(|name| at(name)));
        let master = at("master_playlist.m3u8");
        assert!(entries.values().all(|extent| extent.offset <= master));
    }

    #[test]
    fn a_missing_file_is_reported() {
        let dir = tempfile::tempdir().expect("a directory");
        let failure = read_back(dir.path(), ARCHIVE).expect_err("nothing is there");
        assert!(failure.to_string().contains("master_playlist.m3u8"));
    }
}
