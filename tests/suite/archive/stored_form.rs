//! Loads an index or a tree from the bytes in which it is kept; for the tests and for the fuzz targets.
//! `archive` and `fs` are where their crate has those rooms.

use super::archive::Pull;
use super::fs::{Owners, Symlinks, TreeOptions};

pub const OPTIONS: TreeOptions = TreeOptions {
    uid: 1,
    gid: 2,
    fmask: 0,
    dmask: 0,
    owners: Owners::Archive,
    symlinks: Symlinks::Inside,
};

/// Loads from bytes; all of them must be taken.
pub fn load<T>(bytes: &[u8], load: impl FnOnce(&mut Pull) -> Option<T>) -> Option<T> {
    let mut left = bytes;
    let loaded = load(&mut |out| {
        let Some((now, rest)) = left.split_at_checked(out.len()) else {
            return false;
        };
        out.copy_from_slice(now);
        left = rest;
        true
    });
    loaded.filter(|_| left.is_empty())
}
