//! Large reads that bypass the page cache.
//!
//! The kernel caches what a mount returns. A second copy, in the page cache of the block's file, would be useless, and
//! to make it costs more than the rest of the read. Bytes that were written recently are in the page cache already, and
//! are read from there.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, open};

/// The alignment of direct reads.
const PAGE: usize = 4096;

/// Reads until `buffer` is full or the file ends; returns the number of bytes. `at` and the address of
/// `buffer` should be multiples of 4096.
pub(super) fn read(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    if is_in_memory(file.as_raw_fd(), at, buffer.len() as u64) != Some(false) {
        return read_all(file, buffer, at);
    }
    // Not every file system supports direct reads of this alignment.
    read_direct(file, buffer, at).or_else(|_| read_all(file, buffer, at))
}

/// Reads through the page cache until `buffer` is full or the file ends.
pub(super) fn read_all(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    fill(buffer, 1, |rest, done| file.read_at(rest, at + done))
}

/// Opens the file once more, since `O_DIRECT` belongs to the open file description, which others may
/// share.
fn read_direct(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let same = format!("/proc/self/fd/{}", file.as_raw_fd());
    let how = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let file = File::from(open(same, how, Mode::empty())?);
    fill(buffer, PAGE, |rest, done| file.read_at(rest, at + done))
}

/// Reads until `buffer` is full or the file ends. A read that is not a multiple of `unit` is the last.
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

/// Whether the page cache has more than one page of a range of a file, or any dirty page; `None` if the
/// kernel cannot tell (before Linux 6.5). A read with `RWF_NOWAIT` would tell, too, but starts
/// read-ahead.
fn is_in_memory(file: RawFd, offset: u64, len: u64) -> Option<bool> {
    /// `cachestat`(2) on architectures with the generic system call numbers, and on x86_64.
    const CACHESTAT: libc::c_long = 451;
    let range = [offset, len];
    // In memory, dirty, being written, evicted, evicted of late.
    let mut pages = [0u64; 5];
    if !cfg!(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "riscv64"
    )) {
        return None;
    }
    #[allow(unsafe_code, reason = "the system call has no safe interface yet")]
    // SAFETY: it reads two and writes five 64-bit numbers, which live until it returns. A kernel
    // without it, or a bad descriptor, gives an error.
    let failed = unsafe { libc::syscall(CACHESTAT, file, range.as_ptr(), pages.as_mut_ptr(), 0) };
    (failed == 0).then_some(pages[0] > 1 || pages[1] > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(4096))]
    struct Aligned([u8; 64 * PAGE]);

    /// Reads give the same bytes in the page cache, outside it, and at the end of the file.
    #[test]
    fn direct_reads_give_the_file_s_bytes() {
        let content: Vec<u8> = (0..20 * PAGE + 77).map(|at| (at / 5) as u8).collect();
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, &content).expect("written");
        let file = File::open(&path).expect("opened");
        let mut memory = Box::new(Aligned([0; 64 * PAGE]));
        type Read = fn(&File, &mut [u8], u64) -> io::Result<usize>;
        for (how, way) in [("read", read as Read), ("past memory", read_direct)] {
            for (at, len) in [(0, 4), (1, 20), (3, 18), (20, 1), (21, 1), (40, 2)] {
                let buffer = &mut memory.0[..len * PAGE];
                buffer.fill(0xee);
                let read = match way(&file, buffer, (at * PAGE) as u64) {
                    Ok(read) => read,
                    // Some file systems cannot.
                    Err(e) if how == "past memory" && e.raw_os_error() == Some(libc::EINVAL) => {
                        break;
                    }
                    Err(e) => panic!("{how}: {e}"),
                };
                let there = content.get(at * PAGE..).unwrap_or_default();
                let there = &there[..there.len().min(len * PAGE)];
                assert_eq!(&memory.0[..read], there, "{how}: {len} pages at {at}");
            }
        }
        assert_eq!(is_in_memory(-1, 0, 1), None);
    }
}
