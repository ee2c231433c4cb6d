//! The archives that are open, so that only a bounded number of them is.
//!
//! An archive that nobody uses costs its index and a little more. A program that lists ten thousand archives must
//! not leave ten thousand of them open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::past::Past;
use super::slot::Slot;

/// With more archives open than this, the ones that were used longest ago are closed, down to seven eighths of it,
/// unless they are in use.
const MOST: usize = 256;

/// The archives that are open.
#[derive(Default)]
pub(super) struct OpenOnes(Mutex<Vec<Arc<Slot>>>);

impl OpenOnes {
    /// Adds an archive that was opened, and closes others if there are too many.
    pub(super) fn add(&self, slot: &Arc<Slot>, past: &Past) {
        let mut open = self.0.lock();
        if !open.iter().any(|known| Arc::ptr_eq(known, slot)) {
            open.push(slot.clone());
        }
        if open.len() <= MOST {
            return;
        }
        let mut oldest = open.clone();
        drop(open);
        // Cached, because programs use them meanwhile.
        oldest.sort_by_cached_key(|slot| slot.used());
        let (now, surplus) = (Instant::now(), oldest.len() - MOST / 8 * 7);
        let closed = oldest.iter().filter(|slot| slot.close_unused(now, past));
        closed.take(surplus).for_each(drop);
        self.forget_closed();
    }

    /// Closes those that were not used for this long.
    pub(super) fn close_idle(&self, idle: Duration, past: &Past) {
        let Some(before) = Instant::now().checked_sub(idle) else {
            return;
        };
        for slot in self.all() {
            slot.close_unused(before, past);
        }
        self.forget_closed();
    }

    /// One that is opened again meanwhile stays, or is added again.
    fn forget_closed(&self) {
        self.0.lock().retain(|slot| slot.used().is_some());
    }

    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.0.lock().clone()
    }
}
