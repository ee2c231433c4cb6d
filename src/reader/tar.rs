//! Reads the headers of a tar.
//!
//! Only a header tells where the next one lies. So there are three ways over a member, and what is known of the link
//! decides among them ([decision 22](../../doc/decisions/0022-tar.md)):
//!
//! - *Through*: read all bytes up to the next header. Costs the member's size divided by the rate of the link.
//! - *Skip*: ask for the next header alone. Costs a round trip.
//! - *Scouts*: skip in many places of the archive at once. A member costs a round trip divided by their number.

use super::blob::BlobReader;
use super::error::Error;
use super::scouts::{self, Found, Scouting};
use super::watch::Watch;
use crate::archive::{Index, ParseOptions, TarWalk};

/// What is read of a member that is skipped: its header with extended headers before it, in bytes.
pub(super) const SKIP: u64 = 4 * 1024;

/// The lengths of the first and of the longest read of headers that lie close together, in bytes.
const FIRST_RUN: u64 = 64 * 1024;
const LONGEST_RUN: u64 = 1 << 20;

/// Headers lie close together at up to this distance, in bytes.
const CLOSE: u64 = 64 * 1024;

/// After this many reads one behind the other, the reader reads ahead.
const FEW: u32 = 2;

/// A gap of this many bytes is read through on any link, and a longer one than the second never.
const ALWAYS_THROUGH: u64 = 64 * 1024;
const NEVER_THROUGH: u64 = 8 << 20;

/// The rate of the link that is assumed while it is unknown, in bytes a second.
pub(super) const ASSUMED_RATE: f64 = 50e6;

/// The index of a tar that begins with `head`.
pub(super) async fn read_tar(
    blob: &BlobReader,
    head: &[u8],
    parse: &ParseOptions,
    watch: &Watch,
) -> Result<Index, Error> {
    let size = blob.size();
    let mut walk = TarWalk::new(size, parse);
    walk.feed(0, head)?;
    let (mut start, mut reach) = (0, head.len() as u64);
    let (mut run, mut throughs, mut seen) = (FIRST_RUN, 0, 0);
    let mut found = Found::new();
    while let Some(wanted) = walk.wants() {
        watch.tell(wanted.start, size);
        if let Some(bytes) = found.remove(&wanted.start) {
            walk.feed(wanted.start, &bytes)?;
            (start, reach, seen) = (wanted.start, reach.max(wanted.end), walk.seen());
            continue;
        }
        let gap = wanted.start.saturating_sub(reach);
        let scouting = Scouting::plan(blob, &walk, wanted.start, gap);
        let ways = scouting.as_ref().map_or(1, |scouting| scouting.count());
        // Verified bytes come in whole leaves: to skip less saves nothing.
        let unit = blob.source().verification_unit(wanted.clone());
        let least = through_limit(blob.link(ASSUMED_RATE), ways).max(unit.end - unit.start);
        let is_through = gap <= least;
        let mut end = wanted.end.max(wanted.start + SKIP);
        // How far apart the headers in the last read were.
        let spacing = (wanted.start - start) / (walk.seen() - seen).max(1);
        (start, seen) = (wanted.start, walk.seen());
        if is_through {
            start = start.min(reach);
            throughs += 1;
            run = if spacing <= CLOSE {
                (run * 2).min(LONGEST_RUN)
            } else {
                FIRST_RUN
            };
            // A read may take only a part of the memory.
            end = if spacing <= CLOSE {
                start + run
            } else {
                end.min(start + LONGEST_RUN)
            };
        } else {
            throughs = 0;
            run = FIRST_RUN;
            if let Some(scouting) = scouting {
                found = scouts::run(blob, parse, scouting, watch).await;
                if found.contains_key(&wanted.start) {
                    continue;
                }
            }
        }
        end = end.min(size);
        // Only read-ahead makes the way through as fast as the link.
        let limit = if throughs > FEW { size } else { end };
        let bytes = blob.read(start..end, limit).await?;
        walk.feed(start, &bytes)?;
        reach = end;
    }
    watch.tell(size, size);
    Ok(walk.finish())
}

/// The longest gap that is worth reading: what the link carries in the time that a member costs otherwise.
fn through_limit((latency, rate): (f64, f64), ways: usize) -> u64 {
    let bytes = latency * rate / ways as f64;
    (bytes as u64).clamp(ALWAYS_THROUGH, NEVER_THROUGH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_skipped_if_they_take_longer_than_a_round_trip() {
        let far = (0.05, 100e6);
        assert_eq!(through_limit(far, 1), 5_000_000);
        assert_eq!(through_limit(far, 16), 312_500);
        assert_eq!(through_limit((0.0001, 1e9), 1), 100_000);
        assert_eq!(through_limit((0.0, 50e6), 1), ALWAYS_THROUGH);
        assert_eq!(through_limit((1.0, 1e9), 1), NEVER_THROUGH);
    }
}
