//! What is not to be evicted.

use std::io;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use super::block::{BLOCK, insert};
use super::disk::Disk;
use super::record;
use super::store::Shared;
use super::writer;

/// Ranges of a blob, on the borders of blocks. What is kept beside blocks goes with any.
pub(super) type Pins = Vec<Range<u64>>;

/// More ranges than these become one: a record has an end.
const MOST: usize = 10_000;

/// Somebody else who pins is done in no time.
const PATIENCE: Duration = Duration::from_secs(5);

/// What of a blob is pinned.
pub(super) fn of(disk: &dyn Disk, dir: &str) -> Pins {
    record::read(disk, &format!("{dir}/pins")).unwrap_or_default()
}

/// Whether the block of this number is.
pub(super) fn hold(pins: &Pins, number: u64) -> bool {
    let block = number * BLOCK..(number + 1) * BLOCK;
    pins.iter()
        .any(|pin| pin.start < block.end && pin.end > block.start)
}

/// Pins these ranges of a blob, too.
pub(super) fn add(shared: &Shared, dir: &str, ranges: &[Range<u64>]) -> io::Result<()> {
    let _alone = alone(&*shared.disk)?;
    let mut pins = of(&*shared.disk, dir);
    for range in ranges.iter().filter(|range| !range.is_empty()) {
        let end = range.end.next_multiple_of(BLOCK);
        insert(&mut pins, range.start / BLOCK * BLOCK..end);
    }
    if pins.len() > MOST
        && let (Some(first), Some(last)) = (pins.first(), pins.last())
    {
        let all = first.start..last.end;
        pins.clear();
        pins.push(all);
    }
    let bytes = record::seal(&pins);
    let path = format!("{dir}/pins");
    let is_kept = writer::replace(shared, &path, bytes.len() as u64, &|file| {
        file.write_at(&bytes, 0)
    })?;
    match is_kept {
        true => Ok(()),
        false => Err(full()),
    }
}

/// Pins nothing of a blob.
pub(super) fn clear(shared: &Shared, dir: &str) -> io::Result<()> {
    let _alone = alone(&*shared.disk)?;
    shared.remove(&format!("{dir}/pins"));
    Ok(())
}

/// All room is pinned.
pub(super) fn full() -> io::Error {
    let what = "the cache is full of what is pinned";
    io::Error::new(io::ErrorKind::StorageFull, what)
}

/// Pins are read and written by one at a time.
fn alone(disk: &dyn Disk) -> io::Result<Box<dyn Send>> {
    const PAUSE: Duration = Duration::from_millis(5);
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        if let Some(lock) = disk.try_lock("pins")? {
            return Ok(lock);
        }
        thread::sleep(PAUSE);
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "another process holds its pins",
    ))
}
