//! Large reads past the system's memory.
//!
//! The kernel keeps what a mount gives out, so a second copy of it, as the file's own, would be of
//! no use; and to make one takes more time than all else that is done on the way from a disk. What
//! was written a moment ago is read from the disk, too: nothing tells cheaply what is in memory (a
//! read with `RWF_NOWAIT` begins to read ahead what is not).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// What pages of memory and blocks of disks are multiples of.
const PAGE: usize = 4096;

/// Reads until `buffer` is full or the file ends; says how much it read. `at` and where `buffer`
/// lies in memory should be multiples of 4096.
pub(super) fn read(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    // Not every disk has this, or has it for pages of this size.
    match past_memory(file, buffer, at) {
        Ok(read) => Ok(read),
        Err(_) => read_all(file, buffer, at),
    }
}

/// Reads as usual.
pub(super) fn read_all(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    fill(buffer, 1, |rest, done| file.read_at(rest, at + done))
}

/// Whoever has the same open file reads in the same way meanwhile; each has a file of its own.
fn past_memory(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let flags = fcntl_getfl(file)?;
    fcntl_setfl(file, flags | OFlags::DIRECT)?;
    let read = fill(buffer, PAGE, |rest, done| file.read_at(rest, at + done));
    fcntl_setfl(file, flags)?;
    read
}

/// Reads until `buffer` is full or nothing comes; what is no multiple of `unit` is the last.
fn fill(
    buffer: &mut [u8],
    unit: usize,
    read: impl Fn(&mut [u8], u64) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], done as u64) {
            Ok(0) => break,
            Ok(more) => {
                done += more;
                if !more.is_multiple_of(unit) {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Aligned([u8; 64 * PAGE]);

    /// Where a file is in memory, where it is not, and where it ends: the same bytes.
    #[test]
    fn what_is_read_is_what_is_there() {
        let content: Vec<u8> = (0..20 * PAGE + 77).map(|at| (at / 5) as u8).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, &content).expect("written");
        let file = File::open(&path).expect("opened");
        let mut memory = Box::new(Aligned([0; 64 * PAGE]));
        type Read = fn(&File, &mut [u8], u64) -> io::Result<usize>;
        for (how, way) in [("read", read as Read), ("past memory", past_memory)] {
            for (at, len) in [(0, 4), (1, 20), (3, 18), (20, 1), (21, 1), (40, 2)] {
                let buffer = &mut memory.0[..len * PAGE];
                buffer.fill(0xee);
                let read = match way(&file, buffer, (at * PAGE) as u64) {
                    Ok(read) => read,
                    // Some disks cannot.
                    Err(e) if how == "past memory" && e.kind() == io::ErrorKind::InvalidInput => {
                        break;
                    }
                    Err(e) => panic!("{how}: {e}"),
                };
                let there = content.get(at * PAGE..).unwrap_or_default();
                let there = &there[..there.len().min(len * PAGE)];
                assert_eq!(&memory.0[..read], there, "{how}: {len} pages at {at}");
            }
        }
    }
}
