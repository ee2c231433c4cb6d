//! Fetching into the cache on purpose: what is missing, pins, and waiting for the disk.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::blob::Blob;
use super::block::{BLOCK, blocks_of, within};
use super::cached::Cached;
use super::pinning;
use super::shared::Shared;
use crate::ranges::RangeSet;

/// The pause between two looks at what waits to be written.
const POLL: Duration = Duration::from_millis(5);

/// How many bytes of a blob one task on a blocking thread looks for: 256 files.
const STEP: u64 = 256 << 20;

impl Cached {
    /// The parts of these ranges that are not on disk, in their order; all of them if the blob is not
    /// cached. Reads only the heads of blocks.
    pub async fn missing(&self, ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let Some((cache, blob)) = self.storage() else {
            return ranges;
        };
        let mut missing = Vec::new();
        for range in ranges {
            for start in range.clone().step_by(STEP as usize) {
                let step = start..range.end.min(start + STEP);
                let (asked, blob) = (step.clone(), blob.clone());
                let look = move |shared: &Shared| missing_of(shared, &blob, &step);
                let found = cache.run_blocking(look).await;
                match found {
                    Some(found) => missing.extend(found),
                    None => missing.push(asked),
                }
            }
        }
        missing
    }

    /// Pins these ranges: their bytes, cached now or later, are not evicted.
    ///
    /// # Errors
    /// If the blob cannot be cached, or the record cannot be written.
    pub async fn pin(&self, ranges: Vec<Range<u64>>) -> io::Result<()> {
        let Some((cache, blob)) = self.storage() else {
            let what = "its server identifies no version of it (by ETag or Last-Modified), so it is not cached";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        };
        let pin = move |shared: &Shared| pinning::add(shared, &blob.dir, &ranges);
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer");
        cache.run_blocking(pin).await.ok_or_else(slow)?
    }

    /// Waits, at most for `patience`, until the writer has caught up, so that a disk slower than the
    /// network loses nothing.
    pub async fn wait_for_disk(&self, patience: Duration) {
        let Some((cache, _)) = self.storage() else {
            return;
        };
        let wait = async {
            while cache.shared.is_behind() {
                tokio::time::sleep(POLL).await;
            }
        };
        // After the timeout some bytes may not be cached; `missing` tells.
        let _ = tokio::time::timeout(patience, wait).await;
    }
}

fn missing_of(shared: &Shared, blob: &Blob, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut missing = RangeSet::new();
    for number in blocks_of(range) {
        let wanted = within(number, range);
        let gaps = match shared.open_block(blob, number, &(0..0)) {
            Some(block) => block.head.ranges().gaps(&wanted),
            None => vec![wanted],
        };
        for gap in gaps {
            missing.insert(number * BLOCK + gap.start..number * BLOCK + gap.end);
        }
    }
    missing.to_vec()
}
