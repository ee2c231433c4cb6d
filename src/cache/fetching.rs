//! Bringing something into the cache on purpose: what is missing of it, and room to put it.

use std::io;
use std::ops::Range;
use std::time::Duration;

use super::blob::Blob;
use super::block::{BLOCK, blocks_of, within};
use super::cached::Cached;
use super::pinning;
use super::shared::Shared;

/// Room for what waits for the disk is looked for so often.
const LOOK: Duration = Duration::from_millis(5);

/// So many bytes of a blob are looked at in one go, a few hundred files.
const STEP: u64 = 256 << 20;

impl Cached {
    /// What of these ranges is not on disk, in their order. Only what blocks say of themselves is
    /// looked at. All of them, if nothing is kept of this blob.
    pub async fn missing(&self, ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
        let Some((cache, blob)) = self.kept_with() else {
            return ranges;
        };
        let mut missing = Vec::new();
        for range in ranges {
            for start in range.clone().step_by(STEP as usize) {
                let step = start..range.end.min(start + STEP);
                let (asked, blob) = (step.clone(), blob.clone());
                let look = move |shared: &Shared| missing_of(shared, &blob, &step);
                let found = cache.off_the_runtime(look).await;
                match found {
                    Some(found) => missing.extend(found),
                    None => missing.push(asked),
                }
            }
        }
        missing
    }

    /// Pins these ranges: what is kept of them, and what comes, is not evicted.
    ///
    /// # Errors
    /// If nothing can be kept of this blob, or the record cannot be written.
    pub async fn pin(&self, ranges: Vec<Range<u64>>) -> io::Result<()> {
        let Some((cache, blob)) = self.kept_with() else {
            let what = "its server names no version of it (an ETag, a date), so it is not kept";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        };
        let pin = move |shared: &Shared| pinning::add(shared, &blob.dir, &ranges);
        let slow = || io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer");
        cache.off_the_runtime(pin).await.ok_or_else(slow)?
    }

    /// Waits until what was read can be kept, so that a disk that is slower than the network loses
    /// nothing; but no longer than this.
    pub async fn wait_for_disk(&self, patience: Duration) {
        let Some((cache, _)) = self.kept_with() else {
            return;
        };
        let wait = async {
            while cache.shared.budget.is_short() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // Whoever reads finds out what is missing in the end.
        let _ = tokio::time::timeout(patience, wait).await;
    }
}

fn missing_of(shared: &Shared, blob: &Blob, range: &Range<u64>) -> Vec<Range<u64>> {
    let mut missing: Vec<Range<u64>> = Vec::new();
    for number in blocks_of(range) {
        let wanted = within(number, range);
        let block = shared.open_block(blob, number, &(0..0));
        let head = block.map(|block| block.head);
        let mut at = wanted.start;
        let mut add = |gap: Range<u64>| {
            let gap = number * BLOCK + gap.start..number * BLOCK + gap.end;
            match missing.last_mut() {
                Some(last) if last.end == gap.start => last.end = gap.end,
                _ if gap.is_empty() => {}
                _ => missing.push(gap),
            }
        };
        while let Some(run) = head
            .as_ref()
            .and_then(|head| head.ranges().first_in(&(at..wanted.end)))
        {
            add(at..run.start);
            at = run.end;
        }
        add(at..wanted.end);
    }
    missing
}
