//! Adds and removes pins, one process at a time.

use std::io;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use super::disk::Disk;
use super::pins;
use super::replace::replace;
use super::shared::Shared;

/// How long to wait for another process that changes pins.
const PATIENCE: Duration = Duration::from_secs(5);

/// Adds pins of these ranges to the blob in a directory.
pub(super) fn add(shared: &Shared, dir: &str, ranges: &[Range<u64>]) -> io::Result<()> {
    let _alone = alone(&*shared.disk)?;
    let mut pins = pins::of(&*shared.disk, dir);
    pins.add(ranges);
    let bytes = pins.seal();
    let len = bytes.len() as u64;
    let is_kept = replace(shared, &pins::path(dir), len, &|file| {
        file.write_at(&bytes, 0)
    })?;
    if is_kept {
        return Ok(());
    }
    let what = "pins fill the cache; unpin something with 'aiozfs cache unpin', or give it more space with --cache-size";
    Err(io::Error::new(io::ErrorKind::StorageFull, what))
}

/// Removes all pins of the blob in a directory.
pub(super) fn clear(shared: &Shared, dir: &str) -> io::Result<()> {
    let _alone = alone(&*shared.disk)?;
    shared.remove(&pins::path(dir));
    Ok(())
}

/// Takes the lock of all pins, and waits for it if necessary.
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
        "another process is changing pins; try again later",
    ))
}
