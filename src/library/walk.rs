//! Recognizes a program that walks through a directory of archives, such as `ls -R` or a media server's scan.
//!
//! It opens one archive after the other, and waits for each. So the next ones are opened ahead. Pure.

use std::ops::Range;

use super::inode::Part;

/// How many archives are opened ahead of a walk.
const AHEAD: usize = 16;

/// A step of a walk goes at most this far: programs sort names in their own way, and several of them may work
/// side by side.
const STEP: usize = 8;

/// A walk is recognized by this number of archives that are opened one after the other.
const RECOGNIZED: u32 = 2;

/// The last archives that were opened.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The directory, and the position in it of the last archive.
    last: Option<(Part, usize)>,
    steps: u32,
}

impl Walk {
    /// Records that a program looks into the archive at this position of a directory, which was not open or
    /// was opened ahead. Returns the positions of the archives to open ahead.
    pub(super) fn enters(&mut self, directory: Part, position: usize) -> Range<usize> {
        let is_step = self.last.is_some_and(|(last, at)| {
            last == directory && position != at && position.abs_diff(at) <= STEP
        });
        self.steps = if is_step { self.steps + 1 } else { 1 };
        self.last = Some((directory, position));
        let first = position + 1;
        if self.steps < RECOGNIZED {
            return first..first;
        }
        first..first + AHEAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_archive_in_order_makes_a_walk() {
        let (mut walk, here) = (Walk::default(), Part::of("films", "", 0));
        assert!(walk.enters(here, 3).is_empty());
        assert_eq!(walk.enters(here, 4), 5..5 + AHEAD);
        // Eight programs side by side.
        assert_eq!(walk.enters(here, 9), 10..10 + AHEAD);
        assert_eq!(walk.enters(here, 7), 8..8 + AHEAD);
        // Elsewhere, and then in another directory.
        assert!(walk.enters(here, 100).is_empty());
        assert!(walk.enters(Part::ROOT, 101).is_empty());
        // The same one again is no step.
        assert!(walk.enters(Part::ROOT, 101).is_empty());
    }
}
