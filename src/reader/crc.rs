//! CRC-32 of an entry that is read in any order.
//!
//! Each byte is hashed once, when a reader gets it. Spans that touch are merged, because the CRCs of
//! neighbours combine without their bytes. So two threads that serve one file, or a reader that comes
//! back for what it left out, end with the CRC of the whole entry. This module is pure: bytes go in,
//! a CRC comes out.

use std::hash::Hash;
use std::sync::Arc;

use crc32fast::Hasher;
use parking_lot::Mutex;

use super::recent::Recent;
use crate::source::Origin;

/// How many spans of one entry are kept. The kernel's read-ahead makes two or three. A reader that
/// jumps about makes more, but seldom reads every byte in the end. Beyond this number, the shortest
/// span is forgotten.
const MAX_SPANS: usize = 128;

/// How many entries are followed at once. The one that was read longest ago makes room. With
/// [`MAX_SPANS`] of 40 bytes each, they take less than 3 MB.
const MAX_ENTRIES: usize = 512;

/// The CRC of one entry, while not all its bytes have been read.
#[derive(Debug)]
pub(super) struct PartialCrc {
    size: u64,
    /// Sorted. Spans that touch are merged.
    spans: Vec<HashedSpan>,
    /// Origins of the bytes.
    pub(super) origins: Vec<Origin>,
}

struct HashedSpan {
    start: u64,
    end: u64,
    crc: Hasher,
}

impl std::fmt::Debug for HashedSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl PartialCrc {
    /// The CRC of an entry of `size` bytes, which is not empty.
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            spans: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Hashes `bytes`, which lie at `offset` of the entry, except those that were hashed before.
    /// Returns the CRC of the entry if no other bytes are missing.
    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) -> Option<u32> {
        let end = offset + bytes.len() as u64;
        let (mut at, mut is_new) = (offset, false);
        while at < end {
            let next = self.spans.partition_point(|span| span.end <= at);
            let gap_end = match self.spans.get(next) {
                Some(span) if span.start <= at => {
                    at = span.end;
                    continue;
                }
                Some(span) => span.start.min(end),
                None => end,
            };
            let gap = &bytes[(at - offset) as usize..(gap_end - offset) as usize];
            self.fill(next, at, gap);
            (at, is_new) = (gap_end, true);
        }
        if self.spans.len() > MAX_SPANS {
            let spans = self.spans.iter().enumerate();
            let shortest = spans.min_by_key(|(_, span)| span.end - span.start);
            if let Some((shortest, _)) = shortest {
                self.spans.remove(shortest);
            }
        }
        match self.spans.as_slice() {
            [all] if is_new && all.start == 0 && all.end == self.size => {
                Some(all.crc.clone().finalize())
            }
            _ => None,
        }
    }

    /// Hashes the bytes of a gap, or of its beginning, before the span at `next`.
    fn fill(&mut self, next: usize, start: u64, bytes: &[u8]) {
        let goes_on = next > 0 && self.spans[next - 1].end == start;
        let at = if goes_on { next - 1 } else { next };
        if !goes_on {
            let crc = Hasher::new();
            let end = start;
            self.spans.insert(at, HashedSpan { start, end, crc });
        }
        let span = &mut self.spans[at];
        span.crc.update(bytes);
        span.end += bytes.len() as u64;
        let end = span.end;
        if self.spans.get(at + 1).is_some_and(|next| next.start == end) {
            let next = self.spans.remove(at + 1);
            let span = &mut self.spans[at];
            span.crc.combine(&next.crc);
            span.end = next.end;
        }
    }
}

/// Adds the origins in `more` that are not in `origins` yet.
pub(super) fn add_origins(origins: &mut Vec<Origin>, more: Vec<Origin>) {
    for origin in more {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
}

/// The entries that are being read.
#[derive(Debug)]
pub(super) struct PartialCrcs<K>(Recent<K, Arc<Mutex<PartialCrc>>>);

impl<K: Copy + Eq + Hash> PartialCrcs<K> {
    pub(super) fn new() -> Self {
        Self(Recent::default())
    }

    /// Whether this entry is being read.
    pub(super) fn has(&self, entry: K) -> bool {
        self.0.contains(entry)
    }

    /// The CRC of this entry, which has `size` bytes. Begins a new one if there is none.
    pub(super) fn of(&mut self, entry: K, size: u64) -> Arc<Mutex<PartialCrc>> {
        if let Some(partial) = self.0.get(entry) {
            return partial.clone();
        }
        if self.0.len() >= MAX_ENTRIES {
            self.0.remove_oldest();
        }
        let begun = Arc::new(Mutex::new(PartialCrc::new(size)));
        self.0.insert(entry, begun.clone());
        begun
    }

    /// Forgets this entry.
    pub(super) fn end(&mut self, entry: K) {
        self.0.remove(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i * i / 7 + i) as u8).collect()
    }

    #[test]
    fn reads_in_order_are_one_span_and_the_last_byte_gives_the_crc() {
        let bytes = content(1000);
        let mut partial = PartialCrc::new(1000);
        for at in (0..900).step_by(100) {
            assert_eq!(partial.add(at as u64, &bytes[at..at + 100]), None);
            assert_eq!(partial.spans.len(), 1);
        }
        let whole = crc32fast::hash(&bytes);
        assert_eq!(partial.add(900, &bytes[900..]), Some(whole));
        assert_eq!(partial.add(0, &bytes), None, "nothing of it was new");
    }

    #[test]
    fn random_reads_take_bounded_memory_and_keep_the_longest_span() {
        let bytes = content(1 << 20);
        let mut partial = PartialCrc::new(1 << 20);
        let half = 1 << 19;
        assert_eq!(partial.add(half as u64, &bytes[half..]), None);
        for at in (0..half).step_by(512) {
            assert_eq!(partial.add(at as u64, &bytes[at..at + 7]), None);
            assert!(partial.spans.len() <= MAX_SPANS);
        }
        let whole = crc32fast::hash(&bytes);
        assert_eq!(partial.add(0, &bytes[..half]), Some(whole));
    }

    #[test]
    fn the_least_recently_read_entry_is_evicted() {
        let mut crcs = PartialCrcs::new();
        for entry in 0..MAX_ENTRIES {
            crcs.of(entry, 10);
        }
        crcs.of(0, 10);
        crcs.of(MAX_ENTRIES, 10);
        assert!(crcs.has(0) && crcs.has(MAX_ENTRIES) && !crcs.has(1));
        assert_eq!(crcs.0.len(), MAX_ENTRIES);
        crcs.end(0);
        assert!(!crcs.has(0));
    }

    proptest! {
        /// Spans may come in any order, overlap, and come twice. The CRC is returned exactly when the
        /// last byte has come.
        #[test]
        fn any_order_of_reads_gives_the_crc_of_the_whole(
            size in 1usize..5000,
            spans in prop::collection::vec((0usize..5000, 1usize..900), 0..40),
            step in 1usize..700,
            backwards: bool,
        ) {
            let bytes = content(size);
            let mut spans: Vec<_> = spans.into_iter().map(|(at, len)| {
                let at = at % size;
                at..(at + len).min(size)
            }).collect();
            // Then everything, in either direction.
            let rest = (0..size).step_by(step).map(|at| at..(at + step).min(size));
            if backwards {
                spans.extend(rest.rev());
            } else {
                spans.extend(rest);
            }
            let (mut partial, mut seen, mut told) = (PartialCrc::new(size as u64), vec![false; size], 0);
            for span in spans {
                let lacked = seen.iter().any(|seen| !seen);
                seen[span.clone()].fill(true);
                let complete = lacked && seen.iter().all(|seen| *seen);
                let crc = partial.add(span.start as u64, &bytes[span]);
                prop_assert_eq!(crc.is_some(), complete);
                if let Some(crc) = crc {
                    told += 1;
                    prop_assert_eq!(crc, crc32fast::hash(&bytes));
                }
                prop_assert!(partial.spans.windows(2).all(|two| two[0].end < two[1].start));
            }
            prop_assert_eq!(told, 1);
        }

        /// One wrong bit is found, wherever it is and in any order of reads.
        #[test]
        fn one_wrong_bit_is_found(size in 1usize..3000, at: prop::sample::Index, bit in 0u8..8,
                                  step in 1usize..700, backwards: bool) {
            let right = content(size);
            let mut wrong = right.clone();
            wrong[at.index(size)] ^= 1 << bit;
            let mut places: Vec<usize> = (0..size).step_by(step).collect();
            if backwards {
                places.reverse();
            }
            let mut partial = PartialCrc::new(size as u64);
            let crcs = places.into_iter().filter_map(|at| {
                partial.add(at as u64, &wrong[at..(at + step).min(size)])
            });
            let crcs: Vec<u32> = crcs.collect();
            prop_assert_eq!(crcs.len(), 1);
            prop_assert_ne!(crcs[0], crc32fast::hash(&right));
        }
    }
}
