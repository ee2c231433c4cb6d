//! Listings of a library's directories that are under way.
//!
//! A listing goes on with the names that it began with, so that a program sees one whole list or another. What was shown
//! before takes memory, so it is kept for a bounded number of listings, and for none that is at its end. Other listings
//! go on behind the same name in what is shown now. Those of an NFS server do, too: it opens a directory for each part.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::library::Directory;

/// The number of listings that keep their names. Others that are under way go on with the names of now.
const MOST: usize = 32;

/// The listings that are under way, the oldest first, by the handles of the directories.
#[derive(Default)]
pub(super) struct Listings(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    open: VecDeque<(u64, Directory)>,
    /// How many handles were given out.
    given: u64,
}

impl Listings {
    /// A handle for a directory that is opened. Never 0.
    pub(super) fn handle(&self) -> u64 {
        let mut inner = self.0.lock();
        inner.given += 1;
        inner.given
    }

    /// The directory as the listing needs it that goes on behind this position; `now` is what it is now.
    pub(super) fn directory(&self, handle: u64, position: u64, now: Directory) -> Directory {
        let mut inner = self.0.lock();
        if position > 0 {
            let is_it = |known: u64, of: &Directory| known == handle && of.ino() == now.ino();
            let mut open = inner.open.iter();
            let known = open.find(|(known, of)| is_it(*known, of));
            return known.map_or(now, |(_, directory)| directory.clone());
        }
        inner.open.retain(|(known, _)| *known != handle);
        if inner.open.len() == MOST {
            inner.open.pop_front();
        }
        inner.open.push_back((handle, now.clone()));
        now
    }

    /// The listing is at its end, or the directory is closed.
    pub(super) fn end(&self, handle: u64) {
        self.0.lock().open.retain(|(known, _)| *known != handle);
    }
}
