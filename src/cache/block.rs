//! The format of a block file: the known ranges of 1 MiB of a blob, and their checksums. Pure.
//!
//! | bytes | what |
//! |---|---|
//! | 0-7 | `aiozfs b` |
//! | 8-39 | the blob's key, so that a file in a wrong place is refused |
//! | 40-47 | the block's number |
//! | 48-51 | the number of ranges |
//! | 64-575 | the ranges, start and end within the block, in order, not touching |
//! | 576-703 | for each page, the checksum (XXH3, 64 bits) of its bytes within the ranges |
//! | 4088-4095 | the checksum of the bytes before |
//! | 4096- | the block: byte `at` lies at 4096 + `at`; what is missing is a hole |
//!
//! Numbers are little-endian. A file is written whole under another name and then renamed, without
//! fsync: a file that a crash has torn fails its checksums.

use std::ops::Range;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::ranges::{RangeSet, arrange_by_key, overlap};

/// Bytes of a blob in one file. Large enough for a disk's full rate and for a terabyte in a million
/// files; small enough to rewrite when a part arrives.
pub(super) const BLOCK: u64 = 1 << 20;

/// The unit of checksums, and so the least that is read.
pub(super) const PAGE: u64 = 64 << 10;

const PAGES: usize = (BLOCK / PAGE) as usize;

/// Bytes before the block's first byte: a memory page, so that the data is page-aligned.
pub(super) const HEAD: u64 = 4096;

/// The most ranges of one block that are kept.
const MAX_RANGES: usize = 64;

const MAGIC: &[u8; 8] = b"aiozfs b";
const RANGES_AT: usize = 64;
const SUMS_AT: usize = RANGES_AT + MAX_RANGES * 8;
const SUM_AT: usize = HEAD as usize - 8;

/// Bytes of a block, after their offset in it.
pub(super) type Slice<'a> = (u64, &'a [u8]);

/// The head of a block file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The parts of the block that the file has.
    ranges: RangeSet,
    sums: [u64; PAGES],
}

/// The numbers of the blocks that `range` touches.
pub(super) fn blocks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        0..0
    } else {
        range.start / BLOCK..range.end.div_ceil(BLOCK)
    }
}

/// The part of `range` in a block, relative to the block's start.
pub(super) fn within(number: u64, range: &Range<u64>) -> Range<u64> {
    let start = number * BLOCK;
    let part = overlap(&(start..start.saturating_add(BLOCK)), range);
    part.start - start..part.end - start
}

impl Head {
    /// The head of a block file with these ranges. `slices` hold their bytes, in order and without
    /// overlaps. Of too many ranges the shortest are dropped.
    pub(super) fn new(mut ranges: RangeSet, slices: &[Slice<'_>]) -> Self {
        while ranges.len() > MAX_RANGES {
            let shortest = (0..ranges.len()).min_by_key(|at| ranges[*at].end - ranges[*at].start);
            ranges.remove_at(shortest.unwrap_or(0));
        }
        let mut head = Self {
            ranges,
            sums: [0; PAGES],
        };
        for page in 0..PAGES {
            head.sums[page] = head.sum(page, slices);
        }
        head
    }

    /// The parts of the block that the file has.
    pub(super) fn ranges(&self) -> &RangeSet {
        &self.ranges
    }

    /// Reads a head; `None` if it is damaged or another block's.
    pub(super) fn decode(bytes: &[u8], key: &[u8; 32], number: u64) -> Option<Self> {
        let (body, sum) = bytes.split_at_checked(SUM_AT)?;
        let is_ours = body.starts_with(MAGIC)
            && body[8..40] == *key
            && body[40..48] == number.to_le_bytes()
            && *sum == xxh3_64(body).to_le_bytes();
        if !is_ours {
            return None;
        }
        let count = u32::from_le_bytes(body[48..52].try_into().ok()?) as usize;
        let pairs = body[RANGES_AT..SUMS_AT].as_chunks::<8>().0;
        let ranges = pairs.get(..count)?.iter().map(|pair| {
            let number = |at: usize| {
                u32::from_le_bytes([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]])
            };
            u64::from(number(0))..u64::from(number(4))
        });
        let ranges = RangeSet::from_sorted(ranges.collect())?;
        if ranges.last().is_some_and(|last| last.end > BLOCK) {
            return None;
        }
        let sums = body[SUMS_AT..].as_chunks::<8>().0;
        let mut head = Self {
            ranges,
            sums: [0; PAGES],
        };
        for (sum, bytes) in head.sums.iter_mut().zip(sums) {
            *sum = u64::from_le_bytes(*bytes);
        }
        Some(head)
    }

    pub(super) fn encode(&self, key: &[u8; 32], number: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEAD as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..40].copy_from_slice(key);
        bytes[40..48].copy_from_slice(&number.to_le_bytes());
        bytes[48..52].copy_from_slice(&(self.ranges.len() as u32).to_le_bytes());
        for (range, to) in self
            .ranges
            .iter()
            .zip(bytes[RANGES_AT..].chunks_exact_mut(8))
        {
            to[..4].copy_from_slice(&(range.start as u32).to_le_bytes());
            to[4..].copy_from_slice(&(range.end as u32).to_le_bytes());
        }
        for (sum, to) in self.sums.iter().zip(bytes[SUMS_AT..].chunks_exact_mut(8)) {
            to.copy_from_slice(&sum.to_le_bytes());
        }
        let sum = xxh3_64(&bytes[..SUM_AT]);
        bytes[SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What must be read to verify `run`, a part of one range: the ranges within the pages that it
    /// touches.
    pub(super) fn span_to_verify(&self, run: &Range<u64>) -> Range<u64> {
        let pages = run.start / PAGE * PAGE..run.end.div_ceil(PAGE) * PAGE;
        let mut touched = self.ranges.iter().map(|range| overlap(range, &pages));
        let first = touched.clone().find(|range| !range.is_empty());
        let last = touched.rfind(|range| !range.is_empty());
        match (first, last) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => run.clone(),
        }
    }

    /// Whether `bytes`, read from `at` on as [`span_to_verify`](Self::span_to_verify) says, are what
    /// was written.
    pub(super) fn verifies(&self, at: u64, bytes: &[u8]) -> bool {
        let end = at + bytes.len() as u64;
        let mut pages = at / PAGE..end.div_ceil(PAGE);
        pages.all(|page| self.sums[page as usize] == self.sum(page as usize, &[(at, bytes)]))
    }

    /// The checksum of a page's bytes within the ranges. `slices` are in order and do not overlap.
    fn sum(&self, page: usize, slices: &[Slice<'_>]) -> u64 {
        let page = page as u64 * PAGE..(page as u64 + 1) * PAGE;
        let there = self.ranges.iter().map(|range| overlap(range, &page));
        let mut there = there.flat_map(|range| slices_of(slices, range));
        match (there.next(), there.next()) {
            (None, _) => 0,
            (Some((_, one)), None) => xxh3_64(one),
            (Some(one), Some(two)) => {
                let mut sum = Xxh3Default::new();
                for (_, slice) in [one, two].into_iter().chain(there) {
                    sum.update(slice);
                }
                sum.digest()
            }
        }
    }
}

/// The parts of `slices`, which are in order and do not overlap, within a range.
pub(super) fn slices_of<'a>(
    slices: &[Slice<'a>],
    range: Range<u64>,
) -> impl Iterator<Item = Slice<'a>> {
    let within = slices.iter().map(move |(at, bytes)| {
        let shared = overlap(&(*at..*at + bytes.len() as u64), &range);
        let within = shared.start.saturating_sub(*at)..shared.end.saturating_sub(*at);
        let slice = bytes.get(within.start as usize..within.end as usize);
        (shared.start, slice.unwrap_or_default())
    });
    within.filter(|(_, slice)| !slice.is_empty())
}

/// Sorts slices and cuts their overlaps, in favour of the slice that begins first: both have the same bytes,
/// and a reader verifies them.
pub(super) fn without_overlaps(mut slices: Vec<Slice<'_>>) -> Vec<Slice<'_>> {
    arrange_by_key(&mut slices, |(at, _)| *at);
    let mut end = 0u64;
    slices.retain_mut(|(at, bytes)| {
        let known = end.saturating_sub(*at).min(bytes.len() as u64);
        (*at, *bytes) = (*at + known, bytes.split_at(known as usize).1);
        end = end.max(*at + bytes.len() as u64);
        !bytes.is_empty()
    });
    slices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];

    fn bytes() -> Vec<u8> {
        (0..BLOCK as u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    #[test]
    fn places() {
        assert_eq!(blocks_of(&(5..5)), 0..0);
        assert_eq!(blocks_of(&(BLOCK - 1..BLOCK + 1)), 0..2);
        assert_eq!(within(0, &(5..BLOCK + 7)), 5..BLOCK);
        assert_eq!(within(1, &(5..BLOCK + 7)), 0..7);
        assert_eq!(within(2, &(5..BLOCK + 7)), 0..0);
    }

    #[test]
    fn every_bit_of_a_head_counts() {
        let head = Head::new([0..5, 10..BLOCK].into_iter().collect(), &[(0, &bytes())]);
        let good = head.encode(&KEY, 3);
        assert_eq!(Head::decode(&good, &KEY, 3), Some(head));
        assert_eq!(Head::decode(&good, &KEY, 4), None);
        assert_eq!(Head::decode(&good, &[8; 32], 3), None);
        assert_eq!(Head::decode(&good[..good.len() - 1], &KEY, 3), None);
        assert_eq!(Head::decode(&[], &KEY, 3), None);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bad, &KEY, 3), None, "bit {bit}");
        }
    }

    #[test]
    fn the_shortest_of_too_many_ranges_are_dropped() {
        let many = (0..100u64).map(|i| i * 1000..i * 1000 + 1 + i);
        let head = Head::new(many.collect(), &[(0, &bytes())]);
        assert_eq!(head.ranges().len(), MAX_RANGES);
        assert_eq!(head.ranges()[0], 36_000..36_037);
        assert_eq!(Head::decode(&head.encode(&KEY, 0), &KEY, 0), Some(head));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Any ranges that were written are found and verify; a wrong byte does not.
        #[test]
        fn written_ranges_verify(
            pieces in prop::collection::vec((0..BLOCK, 1u64..200_000), 1..20),
            wanted in (0..BLOCK, 1u64..300_000),
            flipped in any::<prop::sample::Index>(),
        ) {
            let block = bytes();
            let mut ranges = RangeSet::new();
            for (start, len) in &pieces {
                ranges.insert(*start..(start + len).min(BLOCK));
            }
            let wanted = wanted.0..(wanted.0 + wanted.1).min(BLOCK);
            let pieces = pieces.iter().map(|(start, len)| {
                let piece = *start as usize..(start + len).min(BLOCK) as usize;
                (*start, &block[piece])
            });
            let slices = without_overlaps(pieces.collect());
            let written: u64 = slices.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            prop_assert_eq!(written, ranges.bytes());
            let head = Head::new(ranges.clone(), &slices);
            let mut map = vec![false; BLOCK as usize];
            for range in ranges.iter() {
                map[range.start as usize..range.end as usize].fill(true);
            }
            let there = |at: u64| map.get(at as usize) == Some(&true);
            let expected = wanted.clone().find(|at| there(*at));
            let run = head.ranges().first_in(&wanted);
            prop_assert_eq!(run.clone().map(|run| run.start), expected);
            if let Some(run) = run {
                prop_assert!(run.clone().all(there));
                prop_assert!(run.end == wanted.end || !there(run.end));
                let span = head.span_to_verify(&run);
                prop_assert!(span.start <= run.start && span.end >= run.end);
                let mut read = block[span.start as usize..span.end as usize].to_vec();
                // A hole reads as zeros.
                for at in span.clone().filter(|at| !there(*at)) {
                    read[(at - span.start) as usize] = 0;
                }
                prop_assert!(head.verifies(span.start, &read));
                let at = flipped.index((run.end - run.start) as usize) + (run.start - span.start) as usize;
                read[at] ^= 0x40;
                prop_assert!(!head.verifies(span.start, &read));
            }
        }
    }
}
