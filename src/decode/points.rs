//! The checkpoints of all entries: where decoders can restart.
//!
//! An entry's checkpoints have a least distance. When all checkpoints together take more memory than
//! they may, the entry that takes most doubles its distance and drops those that are too close. Several archives share the
//! bound.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::checkpoint::{MOST, Point};
use crate::archive::EntryId;

/// The least distance of two checkpoints in an entry, in plain bytes.
const SPACING: u64 = 1 << 20;

/// Memory that a checkpoint takes, in bytes.
fn weight(point: &Point) -> u64 {
    // The last number is that of its place in the maps.
    (point.checkpoint.state.len() + size_of::<Point>()) as u64 + 96
}

/// Checkpoints by entry: those of one archive.
pub(super) struct Points {
    archive: u64,
    /// The least distance, in plain bytes.
    spacing: u64,
    all: Arc<Mutex<Inner>>,
}

/// The number of an archive, and an entry of it.
type Place = (u64, EntryId);

struct Inner {
    entries: HashMap<Place, OfEntry>,
    weight: u64,
    bound: u64,
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
    /// Those of all archives together take at most `bound` bytes.
    pub(super) fn new(bound: u64) -> Self {
        let all = Inner {
            entries: HashMap::new(),
            weight: 0,
            bound,
        };
        Self {
            archive: 0,
            spacing: SPACING,
            all: Arc::new(Mutex::new(all)),
        }
    }

    /// The checkpoints of the archive of this number, within the same bound. `spacing` is the least distance, in plain
    /// bytes; `None` means the usual one.
    pub(super) fn of_archive(&self, archive: u64, spacing: Option<u64>) -> Self {
        Self {
            archive,
            spacing: spacing.unwrap_or(SPACING),
            all: self.all.clone(),
        }
    }

    /// The last checkpoint at or before an offset.
    pub(super) fn before(&self, id: EntryId, output: u64) -> Option<Arc<Point>> {
        let inner = self.all.lock();
        let points = &inner.entries.get(&self.place(id))?.points;
        points.range(..=output).next_back().map(|(_, p)| p.clone())
    }

    /// Whether a checkpoint at this offset would be far enough from the others.
    pub(super) fn is_due(&self, id: EntryId, output: u64) -> bool {
        let inner = self.all.lock();
        let entry = inner.entries.get(&self.place(id));
        let spacing = entry.map_or(self.spacing, |entry| entry.spacing);
        let points = entry.map(|entry| &entry.points);
        let before = points.and_then(|points| points.range(..=output).next_back());
        let after = points.and_then(|points| points.range(output..).next());
        output.saturating_sub(before.map_or(0, |(at, _)| *at)) >= spacing
            && after.is_none_or(|(at, _)| at - output >= spacing)
    }

    /// Adds a checkpoint.
    pub(super) fn add(&self, id: EntryId, point: Point) {
        let inner = &mut *self.all.lock();
        inner.add(self.place(id), self.spacing, Arc::new(point), true);
        inner.shrink();
    }

    /// Adds checkpoints that were stored.
    pub(super) fn add_stored(&self, id: EntryId, points: Vec<Point>) {
        let inner = &mut *self.all.lock();
        let count = points.len();
        for point in points {
            inner.add(self.place(id), self.spacing, Arc::new(point), false);
        }
        if let Some(entry) = inner.entries.get_mut(&self.place(id)) {
            entry.stored = count;
        }
        inner.shrink();
    }

    /// All checkpoints of an entry, if enough are new that storing them pays, or any if `all`.
    pub(super) fn to_store(&self, id: EntryId, all: bool) -> Option<Vec<Arc<Point>>> {
        let inner = &mut *self.all.lock();
        let entry = inner.entries.get_mut(&self.place(id))?;
        let least = if all { 1 } else { (entry.stored / 2).max(16) };
        if entry.unstored < least {
            return None;
        }
        (entry.unstored, entry.stored) = (0, entry.points.len());
        Some(entry.points.values().cloned().collect())
    }

    /// The entries that have checkpoints which were not taken to be stored.
    pub(super) fn unstored(&self) -> Vec<EntryId> {
        let inner = self.all.lock();
        let entries = inner.entries.iter();
        let entries =
            entries.filter(|((archive, _), e)| *archive == self.archive && e.unstored > 0);
        entries.map(|((_, id), _)| *id).collect()
    }

    /// Drops the checkpoints of an entry.
    pub(super) fn forget(&self, id: EntryId) {
        let inner = &mut *self.all.lock();
        if let Some(entry) = inner.entries.remove(&self.place(id)) {
            inner.weight -= entry.weight;
        }
    }

    /// What the checkpoints of all archives take, in bytes.
    pub(super) fn held(&self) -> u64 {
        self.all.lock().weight
    }

    fn place(&self, id: EntryId) -> Place {
        (self.archive, id)
    }
}

impl Drop for Points {
    fn drop(&mut self) {
        let inner = &mut *self.all.lock();
        let gone = inner.entries.extract_if(|place, _| place.0 == self.archive);
        inner.weight -= gone.map(|(_, entry)| entry.weight).sum::<u64>();
    }
}

impl Inner {
    fn add(&mut self, place: Place, spacing: u64, point: Arc<Point>, is_new: bool) {
        let entry = self.entries.entry(place).or_insert_with(|| OfEntry {
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
            let Some(place) = most.map(|(place, _)| *place) else {
                return;
            };
            let entry = self.entries.get_mut(&place).expect("it is in the map");
            self.weight -= entry.thin();
            if entry.points.is_empty() {
                self.entries.remove(&place);
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
        let points = Points::new(100_000).of_archive(1, Some(1000));
        let id = EntryId::at(0);
        let mut count = 0;
        for at in (0..2_000_000).step_by(100) {
            if points.is_due(id, at) {
                points.add(id, point(at, 840));
                count += 1;
            }
        }
        assert!(points.all.lock().weight <= 100_000);
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
        assert_eq!(points.all.lock().weight, 0);
    }

    #[test]
    fn the_entry_with_most_makes_room() {
        let points = Points::new(50_000).of_archive(1, Some(1));
        let (large, small) = (EntryId::at(0), EntryId::at(1));
        points.add(small, point(7, 1000));
        (1..200).for_each(|n| points.add(large, point(n * 10, 840)));
        assert!(points.before(small, 7).is_some());
    }

    #[test]
    fn archives_share_the_bound_but_no_checkpoints() {
        let all = Points::new(50_000);
        let [one, other] = [1, 2].map(|archive| all.of_archive(archive, Some(1)));
        let id = EntryId::at(0);
        one.add(id, point(7, 1000));
        (1..200).for_each(|n| other.add(id, point(n * 10, 840)));
        assert!(all.held() <= 50_000);
        assert_eq!(one.unstored(), [id]);
        let before = |points: &Points| points.before(id, 7).map(|point| point.checkpoint.output);
        assert_eq!((before(&one), before(&other)), (Some(7), None));
        drop(other);
        assert_eq!(before(&one), Some(7));
        one.forget(id);
        assert_eq!(all.held(), 0);
    }

    #[test]
    fn checkpoints_are_stored_when_many_are_new() {
        let points = Points::new(1 << 20).of_archive(1, Some(1));
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
