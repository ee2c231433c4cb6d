//! Names that are no longer shown, so that a listing can go on behind one of them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::inode::Part;

/// The most names that are kept. A list has about as many at most, and a reload can remove them all.
const MOST: usize = 100_000;

/// The last names that are gone, the newest last, and their parts. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Gone(Arc<Mutex<VecDeque<Name>>>);

type Name = (Part, Box<str>);

impl Gone {
    pub(super) fn add(&self, part: Part, name: &str) {
        let mut names = self.0.lock();
        if names.len() == MOST {
            names.pop_front();
        }
        names.push_back((part, name.into()));
    }

    /// The name that had this part last.
    pub(super) fn name(&self, part: Part) -> Option<Box<str>> {
        let names = self.0.lock();
        let newest = names.iter().rev().find(|(gone, _)| *gone == part)?;
        Some(newest.1.clone())
    }
}
