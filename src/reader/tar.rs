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
use super::regions::Link;
use super::scouts::{ASSUMED_RATE, SKIP, Scouts};
use super::watch::Watch;
use crate::archive::{Index, ParseOptions, TarWalk};

/// The lengths of the first and of the longest read of headers that lie close together, in bytes.
const FIRST_RUN: u64 = 64 * 1024;
const MAX_RUN: u64 = 1 << 20;

/// Headers lie close together at up to this distance, in bytes.
const CLOSE: u64 = 64 * 1024;

/// After more reads than this in a row without a skip, the blob reader reads ahead.
const FEW: u32 = 2;

/// Reads the index of a tar that begins with `head`.
pub(super) async fn read_tar(
    blob: &BlobReader,
    head: &[u8],
    parse: &ParseOptions,
    watch: &Watch,
) -> Result<Index, Error> {
    let size = blob.size();
    let mut walk = TarWalk::new(size, parse);
    walk.feed(0, head)?;
    // Where the last read began and ended, and how many members had been seen before it.
    let (mut start, mut reach, mut seen) = (0, head.len() as u64, 0);
    // The length of the next read of close headers, and the number of reads since the last skip.
    let (mut run, mut throughs) = (FIRST_RUN, 0);
    let mut scouts = Scouts::new(blob, parse, watch);
    while let Some(wanted) = walk.wants() {
        if let Some(bytes) = scouts.take(wanted.start) {
            walk.feed(wanted.start, &bytes)?;
            (start, reach, seen) = (wanted.start, reach.max(wanted.end), walk.seen());
            continue;
        }
        let gap = wanted.start.saturating_sub(reach);
        let ways = scouts.ways(wanted.start, walk.seen(), gap);
        // Verified bytes come in whole leaves, so the leaf of the header comes in any case.
        let unit = blob.source().verification_unit(wanted.clone());
        let link = Link::shared(blob.link(ASSUMED_RATE), ways);
        let is_through = gap <= link.through_limit() + (unit.end - unit.start);
        let mut end = wanted.end.max(wanted.start + SKIP);
        // How far apart the headers in the last read were.
        let spacing = (wanted.start - start) / (walk.seen() - seen).max(1);
        (start, seen) = (wanted.start, walk.seen());
        if is_through {
            start = start.min(reach);
            throughs += 1;
            run = if spacing <= CLOSE {
                (run * 2).min(MAX_RUN)
            } else {
                FIRST_RUN
            };
            // A read may take only a part of the memory.
            end = if spacing <= CLOSE {
                start + run
            } else {
                end.min(start + MAX_RUN)
            };
        } else {
            throughs = 0;
            run = FIRST_RUN;
        }
        end = end.min(size);
        // Without read-ahead, the way through would be slower than the link.
        let limit = if throughs > FEW {
            end.max(scouts.walk_end())
        } else {
            end
        };
        let read = blob.read(start..end, limit);
        let bytes = scouts.run_during(wanted.start, spacing, read).await?;
        walk.feed(start, &bytes)?;
        reach = end;
    }
    watch.tell(size, size);
    Ok(walk.finish())
}
