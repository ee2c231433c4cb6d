//! What to ask the source for: bytes that somebody waits for, and what a walk will want next.

use std::ops::Range;

use super::ahead::WalkId;
use super::ledger::{Blocks, Ledger};
use super::line::Line;
use crate::source::Priority;

/// Connections that read-ahead leaves free, so that a demand read need not wait for one.
const DEMAND_CONNECTIONS: usize = 2;

/// How many parts read-ahead may have on their way over so many connections.
pub(super) fn ahead_connections(connections: usize) -> usize {
    connections.saturating_sub(DEMAND_CONNECTIONS).max(1)
}

/// A read of at least two times as many bytes may be spread over several connections.
const PIECE: u64 = 256 * 1024;

impl Line {
    /// Asks for those bytes of `granule` that nobody has asked for: over several connections where
    /// it is much and they are ready, else in one request with some that the walk will want next.
    pub(super) fn ask(
        &self,
        ledger: &mut Ledger,
        id: WalkId,
        range: &Range<u64>,
        granule: &Range<u64>,
        blocks: &Blocks,
    ) {
        let mut gaps = ledger.unasked(granule, blocks);
        let Some(mut last) = gaps.pop() else { return };
        for gap in gaps {
            self.start(ledger, gap, Priority::Demand, None, blocks.clone());
        }
        let ready = self.warm_up(ledger, id);
        let mut blocks = blocks.clone();
        let pieces = ((last.end - last.start) / PIECE).min(ready as u64);
        if pieces > 1 {
            for piece in self.pieces(&last, pieces) {
                self.start(ledger, piece, Priority::Demand, None, blocks.clone());
            }
        } else {
            // Widened to a granule, the request brings more than was asked for as it is.
            if granule == range && last.end == range.end {
                let extra = last.end..self.reach(ledger, id, range);
                if !extra.is_empty()
                    && let Some(extra_blocks) = self.spare_blocks(ledger, &extra)
                    && let Some(free) = ledger.unasked(&extra, &extra_blocks).first()
                    && free.start == extra.start
                {
                    last.end = free.end;
                    blocks.extend(extra_blocks.iter().cloned());
                    ledger.pin(id, extra_blocks);
                }
            }
            self.start(ledger, last.clone(), Priority::Demand, None, blocks);
        }
        if let Some(walk) = ledger.walks.get(id) {
            walk.asked_to(last.end);
        }
        self.warm_up(ledger, id);
    }

    /// How many reads at once are worth it.
    pub(super) fn at_once(&self) -> usize {
        let most = self.0.options.connections;
        self.0
            .source
            .at_once()
            .map_or(most, |worth| worth.min(most))
    }

    /// Cuts `range` into about so many pieces, each its own granule if the range is.
    fn pieces(&self, range: &Range<u64>, count: u64) -> Vec<Range<u64>> {
        let len = (range.end - range.start).div_ceil(count);
        let mut pieces = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let end = (start + len).min(range.end);
            let end = self
                .0
                .source
                .verification_unit(start..end)
                .end
                .min(range.end);
            pieces.push(start..end);
            start = end;
        }
        pieces
    }

    /// Lets the source make connections for what will probably be asked next; returns over how
    /// many that are ready a read may be spread.
    fn warm_up(&self, ledger: &mut Ledger, id: WalkId) -> usize {
        let connections = self.at_once();
        let soon = match ledger.walks.get(id).is_some_and(|walk| walk.goes_on()) {
            true => connections,
            false => (2 * ledger.in_flight()).max(2),
        };
        let _runtime = self.0.runtime.enter();
        let usable = self.0.source.warm_up(soon.min(connections));
        // Parts that have begun may not have taken theirs yet.
        usable.min(connections).saturating_sub(ledger.in_flight())
    }

    /// `range`, made longer or shorter so that it ends with a granule: as long as without a proof, on
    /// the average.
    fn whole_granules(&self, range: &Range<u64>) -> Range<u64> {
        let all = self.0.source.verification_unit(range.clone());
        let last = self.0.source.verification_unit(range.end - 1..range.end);
        let is_less_than_half = range.end - last.start < last.end - range.end;
        match is_less_than_half && last.start > range.start {
            true => all.start..last.start,
            false => all,
        }
    }

    fn reach(&self, ledger: &mut Ledger, id: WalkId, range: &Range<u64>) -> u64 {
        let part = ledger.pace.part();
        let walk = ledger.walks.get(id);
        walk.map_or(range.end, |walk| {
            let reach = range.start..walk.reach(range, part);
            match walk.goes_on() {
                true => {
                    walk.stretch(reach, |end| self.0.source.preferred_end(end))
                        .end
                }
                false => reach.end,
            }
        })
    }

    /// Starts as many parts ahead of a walk as its window, memory and connections have room for.
    pub(super) fn fill_window(&self, ledger: &mut Ledger, id: WalkId) {
        let all = self.at_once();
        let ahead = ahead_connections(self.0.options.connections).min(all);
        ledger.pace.goes_over(ahead);
        // Where somebody waits already, what is fetched ahead is what they wait for next.
        let connections = match ledger.walks.get(id).is_some_and(|walk| walk.starves()) {
            true => all,
            false => ahead,
        };
        let on_trial = self.0.source.unverified();
        let mut begun = false;
        let early_by = self.0.source.early_by();
        ledger.go_without_pause(early_by.is_some());
        while ledger.busy(early_by.unwrap_or(0)) < connections && ledger.has_room_for(id, on_trial)
        {
            let part = ledger.pace.part();
            let walk = ledger.walks.get(id);
            let wanted = walk.and_then(|walk| {
                let wanted = walk.next_part(part, connections)?;
                let wanted = walk.stretch(wanted, |end| self.0.source.preferred_end(end));
                Some((walk.has_leg_to(wanted.end), wanted))
            });
            let Some((is_last, wanted)) = wanted else {
                break;
            };
            let part = match is_last {
                true => self.0.source.verification_unit(wanted.clone()),
                false => self.whole_granules(&wanted),
            };
            let first = self
                .0
                .source
                .verification_unit(wanted.start..wanted.start + 1);
            ledger.pace.comes_in(first.end - first.start);
            let Some(blocks) = self.spare_blocks(ledger, &part) else {
                break;
            };
            begun = true;
            for gap in ledger.unasked(&part, &blocks) {
                self.start(ledger, gap, Priority::Prefetch, Some(id), blocks.clone());
            }
            if let Some(walk) = ledger.walks.get(id) {
                walk.asked(&(wanted.start..wanted.end.min(part.end)), part.end);
            }
            ledger.pin(id, blocks);
        }
        if begun {
            self.warm_up(ledger, id);
        }
    }
}
