//! CRC-32 of an entry that is read in any order, piece by piece.
//!
//! Every byte is hashed once, while it is in hand for a reader. Pieces that touch are merged
//! (CRCs of neighbours combine without their bytes), so that two threads serving one file, or a
//! reader that comes back for what it left out, end with the CRC of the whole. Pure: bytes go in,
//! a CRC comes out.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crc32fast::Hasher;

use crate::source::Origin;

/// Pieces of one entry that are kept apart. The kernel's read-ahead makes two or three; only a
/// reader that jumps about makes more, and it seldom comes by every byte in the end. Beyond, the
/// shortest is forgotten.
const MAX_PIECES: usize = 128;

/// Entries that are being read at once; the one not touched for longest makes room. With
/// [`MAX_PIECES`] of 40 bytes each this is less than 3 MB.
const MAX_ROUNDS: usize = 512;

/// One reading of an entry, from nothing read to everything read.
#[derive(Debug)]
pub(super) struct Round {
    size: u64,
    /// Sorted, apart from each other: those that touch are one.
    pieces: Vec<Piece>,
    /// Who gave the bytes.
    pub(super) origins: Vec<Origin>,
}

struct Piece {
    start: u64,
    end: u64,
    crc: Hasher,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl Round {
    /// A round over an entry of `size` bytes, which is not empty.
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            pieces: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// Takes in `bytes`, which lie at `offset` of the entry; those that were taken in before are
    /// passed over. Returns the CRC of the entry when these were the last that lacked.
    pub(super) fn add(&mut self, offset: u64, bytes: &[u8]) -> Option<u32> {
        let end = offset + bytes.len() as u64;
        let (mut at, mut is_new) = (offset, false);
        while at < end {
            let next = self.pieces.partition_point(|piece| piece.end <= at);
            let gap_end = match self.pieces.get(next) {
                Some(piece) if piece.start <= at => {
                    at = piece.end;
                    continue;
                }
                Some(piece) => piece.start.min(end),
                None => end,
            };
            let gap = &bytes[(at - offset) as usize..(gap_end - offset) as usize];
            self.fill(next, at, gap);
            (at, is_new) = (gap_end, true);
        }
        if self.pieces.len() > MAX_PIECES {
            let pieces = self.pieces.iter().enumerate();
            let shortest = pieces.min_by_key(|(_, piece)| piece.end - piece.start);
            if let Some((shortest, _)) = shortest {
                self.pieces.remove(shortest);
            }
        }
        match self.pieces.as_slice() {
            [all] if is_new && all.start == 0 && all.end == self.size => {
                Some(all.crc.clone().finalize())
            }
            _ => None,
        }
    }

    /// Fills a gap, or the beginning of one, which lies before the piece at `next`.
    fn fill(&mut self, next: usize, start: u64, bytes: &[u8]) {
        let goes_on = next > 0 && self.pieces[next - 1].end == start;
        let at = if goes_on { next - 1 } else { next };
        if !goes_on {
            let crc = Hasher::new();
            let end = start;
            self.pieces.insert(at, Piece { start, end, crc });
        }
        let piece = &mut self.pieces[at];
        piece.crc.update(bytes);
        piece.end += bytes.len() as u64;
        let end = piece.end;
        if self
            .pieces
            .get(at + 1)
            .is_some_and(|next| next.start == end)
        {
            let next = self.pieces.remove(at + 1);
            let piece = &mut self.pieces[at];
            piece.crc.combine(&next.crc);
            piece.end = next.end;
        }
    }

    /// Takes note of who gave bytes of this round.
    pub(super) fn came_from(&mut self, origins: Vec<Origin>) {
        for origin in origins {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
    }
}

/// The rounds that are going on, by entry.
#[derive(Debug)]
pub(super) struct Rounds<K> {
    rounds: HashMap<K, (u64, Arc<Mutex<Round>>)>,
    touches: u64,
}

impl<K> Default for Rounds<K> {
    fn default() -> Self {
        Self {
            rounds: HashMap::new(),
            touches: 0,
        }
    }
}

impl<K: Copy + Eq + Hash> Rounds<K> {
    /// Whether a round over this entry is going on.
    pub(super) fn has(&self, entry: K) -> bool {
        self.rounds.contains_key(&entry)
    }

    /// The round over this entry, which has `size` bytes; a new one if there is none.
    pub(super) fn of(&mut self, entry: K, size: u64) -> Arc<Mutex<Round>> {
        self.touches += 1;
        if !self.has(entry) && self.rounds.len() >= MAX_ROUNDS {
            let oldest = self.rounds.iter().min_by_key(|(_, (touched, _))| *touched);
            if let Some(oldest) = oldest.map(|(entry, _)| *entry) {
                self.rounds.remove(&oldest);
            }
        }
        let begin = || (0, Arc::new(Mutex::new(Round::new(size))));
        let (touched, round) = self.rounds.entry(entry).or_insert_with(begin);
        *touched = self.touches;
        round.clone()
    }

    /// Ends the round over this entry.
    pub(super) fn end(&mut self, entry: K) {
        self.rounds.remove(&entry);
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
    fn in_order_it_is_one_piece_and_ends_with_the_last_byte() {
        let bytes = content(1000);
        let mut round = Round::new(1000);
        for at in (0..900).step_by(100) {
            assert_eq!(round.add(at as u64, &bytes[at..at + 100]), None);
            assert_eq!(round.pieces.len(), 1);
        }
        let whole = crc32fast::hash(&bytes);
        assert_eq!(round.add(900, &bytes[900..]), Some(whole));
        assert_eq!(round.add(0, &bytes), None, "nothing of it was new");
    }

    #[test]
    fn a_gap_keeps_it_open() {
        let bytes = content(300);
        let mut round = Round::new(300);
        assert_eq!(round.add(0, &bytes[..100]), None);
        assert_eq!(round.add(101, &bytes[101..]), None);
        assert_eq!(round.add(0, &bytes[..100]), None);
        assert_eq!(
            round.add(50, &bytes[50..200]),
            Some(crc32fast::hash(&bytes))
        );
    }

    #[test]
    fn a_reader_that_jumps_about_costs_bounded_memory_and_keeps_the_long_piece() {
        let bytes = content(1 << 20);
        let mut round = Round::new(1 << 20);
        let half = 1 << 19;
        assert_eq!(round.add(half as u64, &bytes[half..]), None);
        for at in (0..half).step_by(512) {
            assert_eq!(round.add(at as u64, &bytes[at..at + 7]), None);
            assert!(round.pieces.len() <= MAX_PIECES);
        }
        let whole = crc32fast::hash(&bytes);
        assert_eq!(round.add(0, &bytes[..half]), Some(whole));
    }

    #[test]
    fn the_round_not_touched_for_longest_makes_room() {
        let mut rounds = Rounds::default();
        for entry in 0..MAX_ROUNDS {
            rounds.of(entry, 10);
        }
        rounds.of(0, 10);
        rounds.of(MAX_ROUNDS, 10);
        assert!(rounds.has(0) && rounds.has(MAX_ROUNDS) && !rounds.has(1));
        assert_eq!(rounds.rounds.len(), MAX_ROUNDS);
        rounds.end(0);
        assert!(!rounds.has(0));
    }

    proptest! {
        /// In whatever order pieces come, over each other or twice: the CRC is told exactly when
        /// the last byte has come, and is that of the whole.
        #[test]
        fn any_order_ends_with_the_crc_of_the_whole(
            size in 1usize..5000,
            pieces in prop::collection::vec((0usize..5000, 1usize..900), 0..40),
            step in 1usize..700,
            backwards: bool,
        ) {
            let bytes = content(size);
            let mut pieces: Vec<_> = pieces.into_iter().map(|(at, len)| {
                let at = at % size;
                at..(at + len).min(size)
            }).collect();
            // And then what lacks, in either direction.
            let rest = (0..size).step_by(step).map(|at| at..(at + step).min(size));
            match backwards {
                true => pieces.extend(rest.rev()),
                false => pieces.extend(rest),
            }
            let (mut round, mut seen, mut told) = (Round::new(size as u64), vec![false; size], 0);
            for piece in pieces {
                let lacked = seen.iter().any(|seen| !seen);
                seen[piece.clone()].fill(true);
                let complete = lacked && seen.iter().all(|seen| *seen);
                let crc = round.add(piece.start as u64, &bytes[piece]);
                prop_assert_eq!(crc.is_some(), complete);
                if let Some(crc) = crc {
                    told += 1;
                    prop_assert_eq!(crc, crc32fast::hash(&bytes));
                }
                prop_assert!(round.pieces.windows(2).all(|two| two[0].end < two[1].start));
            }
            prop_assert_eq!(told, 1);
        }

        /// One wrong bit anywhere is found, whatever the order.
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
            let mut round = Round::new(size as u64);
            let crcs = places.into_iter().filter_map(|at| {
                round.add(at as u64, &wrong[at..(at + step).min(size)])
            });
            let crcs: Vec<u32> = crcs.collect();
            prop_assert_eq!(crcs.len(), 1);
            prop_assert_ne!(crcs[0], crc32fast::hash(&right));
        }
    }
}
