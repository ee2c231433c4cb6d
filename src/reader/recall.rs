//! Who gave the bytes of a range, whether they were checked, and how they are taken back.

use std::ops::Range;
use std::sync::Arc;

use super::block::{Block, blocks_of};
use super::line::Line;
use crate::source::Origin;

impl Line {
    /// Whether what is in memory of `range` is all of it and agreed with its checksum; if not, who
    /// gave what is there.
    pub(super) fn givers(&self, range: &Range<u64>) -> Result<(), Vec<Origin>> {
        let numbers = blocks_of(range);
        let wanted = (numbers.end - numbers.start) as usize;
        let blocks = self.held(range);
        if blocks.len() == wanted && blocks.iter().all(|block| block.is_checked(range)) {
            return Ok(());
        }
        let mut origins = Vec::new();
        for block in &blocks {
            block.givers(range, &mut origins);
        }
        Err(origins)
    }

    /// Says that `range` agreed with its checksum. That is remembered with the bytes: those which
    /// make room and are fetched anew must be checked anew.
    pub(super) fn set_checked(&self, range: &Range<u64>) {
        for block in self.held(range) {
            block.set_checked(range);
        }
    }

    /// Takes back `range`: `origins` gave wrong bytes for it, and are asked for it no more while
    /// there are others. Nobody reads from memory what was taken back.
    pub(super) fn take_back(&self, range: &Range<u64>, origins: &[Origin]) {
        for origin in origins {
            self.0.source.reject(origin, range.clone());
        }
        self.ledger().forget(range);
    }

    fn held(&self, range: &Range<u64>) -> Vec<Arc<Block>> {
        let ledger = self.ledger();
        blocks_of(range).filter_map(|n| ledger.block(n)).collect()
    }
}
