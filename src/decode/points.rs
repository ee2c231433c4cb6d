//! The checkpoints of all entries: where decoders can restart.
//!
//! An entry's checkpoints have a least distance. When all checkpoints together take more memory than
//! they may, the entry that takes most doubles its distance and drops those that are too close.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::checkpoint::{MOST, Point};
use crate::archive::EntryId;

/// The least distance of two checkpoints in an entry, in plain bytes.
const SPACING: u64 = 1 << 20;

/// Memory that a checkpoint takes, in bytes.
fn weight(point: &Point) -> u64 {
    // The last number is that of its place in the maps.
    (point.checkpoint.state.len() + size_of::<Point>()) as u64 + 96
}

/// Checkpoints by entry.
pub(super) struct Points(Mutex<Inner>);

struct Inner {
    entries: HashMap<EntryId, OfEntry>,
    weight: u64,
    bound: u64,
    spacing: u64,
}

#[derive(Default)]
struct OfEntry {
    /// By offset of the next plain byte.
    points: BTreeMap<u64, Arc<Point>>,
    spacing: u64,
    weight: u64,
    /// How many were added since they were last taken to be stored.
    unstored: usize,
    /// How many were last taken to be stored.
    stored: usize,
}

impl Points {
    /// Holds at most `bound` bytes. `spacing` is the least distance, in plain bytes; `None` means the usual
    /// one.
    pub(super) fn new(bound: u64, spacing: Option<u64>) -> Self {
        Self(Mutex::new(Inner {
            entries: HashMap::new(),
            weight: 0,
            bound,
            spacing: spacing.unwrap_or(SPACING),
        }))
    }

    /// The last checkpoint at or before an offset.
    pub(super) fn before(&self, id: EntryId, output: u64) -> Option<Arc<Point>> {
        let inner = self.inner();
        let points = &inner.entries.get(&id)?.points;
        points.range(..=output).next_back().map(|(_, p)| p.clone())
    }

    /// Whether a checkpoint at this offset would be far enough from the others.
    pub(super) fn is_due(&self, id: EntryId, output: u64) -> bool {
        let inner = self.inner();
        let entry = inner.entries.get(&id);
        let spacing = entry.map_or(inner.spacing, |entry| entry.spacing);
        let points = entry.map(|entry| &entry.points);
        let before = points.and_then(|points| points.range(..=output).next_back());
        let after = points.and_then(|points| points.range(output..).next());
        output.saturating_sub(before.map_or(0, |(at, _)| *at)) >= spacing
            && after.is_none_or(|(at, _)| at - output >= spacing)
    }

    /// Adds a checkpoint.
    pub(super) fn add(&self, id: EntryId, point: Point) {
        let inner = &mut *self.inner();
        inner.add(id, Arc::new(point), true);
        inner.shrink();
    }

    /// Adds checkpoints that were stored.
    pub(super) fn add_stored(&self, id: EntryId, points: Vec<Point>) {
        let inner = &mut *self.inner();
        let count = points.len();
        for point in points {
            inner.add(id, Arc::new(point), false);
        }
        if let Some(entry) = inner.entries.get_mut(&id) {
            entry.stored = count;
        }
        inner.shrink();
    }

    /// All checkpoints of an entry, if enough are new that storing them pays, or any if `all`.
    pub(super) fn to_store(&self, id: EntryId, all: bool) -> Option<Vec<Arc<Point>>> {
        let inner = &mut *self.inner();
        let entry = inner.entries.get_mut(&id)?;
        let least = if all { 1 } else { (entry.stored / 2).max(16) };
        if entry.unstored < least {
            return None;
        }
        (entry.unstored, entry.stored) = (0, entry.points.len());
        Some(entry.points.values().cloned().collect())
    }

    /// The entries that have checkpoints which were not taken to be stored.
    pub(super) fn unstored(&self) -> Vec<EntryId> {
        let inner = self.inner();
        let entries = inner.entries.iter().filter(|(_, e)| e.unstored > 0);
        entries.map(|(id, _)| *id).collect()
    }

    /// Drops the checkpoints of an entry.
    pub(super) fn forget(&self, id: EntryId) {
        let inner = &mut *self.inner();
        if let Some(entry) = inner.entries.remove(&id) {
            inner.weight -= entry.weight;
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is locked, short of a lack of memory.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, id: EntryId, point: Arc<Point>, is_new: bool) {
        let spacing = self.spacing;
        let entry = self.entries.entry(id).or_insert_with(|| OfEntry {
            spacing,
            ..OfEntry::default()
        });
        let weight = weight(&point);
        if let Some(before) = entry.points.insert(point.checkpoint.output, point) {
            let before = self::weight(&before);
            entry.weight -= before;
            self.weight -= before;
        }
        entry.weight += weight;
        self.weight += weight;
        entry.unstored += usize::from(is_new);
        if entry.points.len() > MOST {
            self.weight -= entry.thin();
        }
    }

    fn shrink(&mut self) {
        while self.weight > self.bound {
            let most = self.entries.iter().max_by_key(|(_, entry)| entry.weight);
            let Some(id) = most.map(|(id, _)| *id) else {
                return;
            };
            let entry = self.entries.get_mut(&id).expect("it is in the map");
            self.weight -= entry.thin();
            if entry.points.is_empty() {
                self.entries.remove(&id);
            }
        }
    }
}

impl OfEntry {
    /// Doubles the distance, and drops what is too close. Returns how many bytes that freed.
    fn thin(&mut self) -> u64 {
        let before = self.weight;
        self.spacing = self.spacing.saturating_mul(2);
        let (mut last, spacing) = (0, self.spacing);
        self.points.retain(|at, _| {
            let stays = at - last >= spacing;
            last = if stays { *at } else { last };
            stays
        });
        self.weight = self.points.values().map(|point| weight(point)).sum();
        before - self.weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::checkpoint::{Checkpoint, Decryption};

    fn point(output: u64, state: usize) -> Point {
        let checkpoint = Checkpoint {
            output,
            input: output / 2,
            state: vec![0; state],
            decryption: Decryption::None,
        };
        Point {
            checkpoint,
            crc32: 0,
        }
    }

    #[test]
    fn checkpoints_keep_their_distance_and_thin_out_within_the_bound() {
        let points = Points::new(100_000, Some(1000));
        let id = EntryId::at(0);
        let mut count = 0;
        for at in (0..2_000_000).step_by(100) {
            if points.is_due(id, at) {
                points.add(id, point(at, 840));
                count += 1;
            }
        }
        assert!(points.inner().weight <= 100_000);
        let held = points.to_store(id, true).unwrap();
        assert!(held.len() > 40 && count > held.len());
        let gaps = held
            .windows(2)
            .map(|w| w[1].checkpoint.output - w[0].checkpoint.output);
        let (least, most) = gaps.fold((u64::MAX, 0), |(a, b), gap| (a.min(gap), b.max(gap)));
        assert!(most <= 3 * least, "between {least} and {most}");
        let before = |at| points.before(id, at).map(|point| point.checkpoint.output);
        let at = held[5].checkpoint.output;
        assert_eq!(before(at), Some(at));
        assert_eq!(before(at - 1), Some(held[4].checkpoint.output));
        assert_eq!(before(10), None);
        points.forget(id);
        assert_eq!(points.inner().weight, 0);
    }

    #[test]
    fn the_entry_with_most_makes_room() {
        let points = Points::new(50_000, Some(1));
        let (large, small) = (EntryId::at(0), EntryId::at(1));
        points.add(small, point(7, 1000));
        (1..200).for_each(|n| points.add(large, point(n * 10, 840)));
        assert!(points.before(small, 7).is_some());
    }

    #[test]
    fn checkpoints_are_stored_when_many_are_new() {
        let points = Points::new(1 << 20, Some(1));
        let id = EntryId::at(0);
        points.add_stored(id, (1..=100).map(|n| point(n, 10)).collect());
        assert!(points.to_store(id, true).is_none(), "none is new");
        (101..140).for_each(|n| points.add(id, point(n, 10)));
        assert!(points.to_store(id, false).is_none());
        assert_eq!(points.unstored(), [id]);
        (140..160).for_each(|n| points.add(id, point(n, 10)));
        assert_eq!(points.to_store(id, false).map(|all| all.len()), Some(159));
        assert_eq!(points.unstored(), []);
    }
}
