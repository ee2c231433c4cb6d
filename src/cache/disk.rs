//! The disk as the cache uses it: the interface at which tests inject faults.

use std::io;

/// A directory with files. Paths are relative to it, with `/` between their parts.
///
/// In a crash, a disk may lose the latest writes, in any order: the reader verifies what it reads.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file to read it.
    fn open(&self, path: &str) -> io::Result<Box<dyn Handle>>;

    /// Creates a file. Fails if the name exists.
    fn create(&self, path: &str) -> io::Result<Box<dyn Handle>>;

    /// Renames a file atomically and replaces a file of the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a directory, which must be empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Creates a directory and its parents; it may exist.
    fn make_dirs(&self, path: &str) -> io::Result<()>;

    /// The entries of a directory, in any order.
    fn list(&self, path: &str) -> io::Result<Vec<Listed>>;

    /// The names in a directory, in any order.
    fn names(&self, path: &str) -> io::Result<Vec<String>>;

    /// Changes a small file under an exclusive lock: `change` gets its content, empty if it does not
    /// exist, and returns the new content.
    fn update(&self, path: &str, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> io::Result<()>;

    /// Takes the lock of this name; `None` if another holds it. It is released when the result is
    /// dropped or the process ends.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send>>>;

    /// The free space in bytes.
    fn free(&self) -> io::Result<u64>;
}

/// An open file.
pub trait Handle: Send + Sync {
    /// Reads until `buffer` is full or the file ends; returns the number of bytes.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// The same for large reads, with `at` and the address of `buffer` multiples of 4096. It may bypass
    /// the page cache: the reader keeps the bytes.
    fn read_large(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }

    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Its size and times.
    fn stat(&self) -> io::Result<Stat>;

    /// Sets the times of its last write and last use, in seconds since 1970.
    fn set_times(&self, written: i64, used: i64) -> io::Result<()>;
}

/// The size and times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Its length in bytes.
    pub len: u64,
    /// The space that it takes on the disk, in bytes.
    pub taken: u64,
    /// When it was last written to, in seconds since 1970.
    pub written: i64,
    /// When it was last used, likewise.
    pub used: i64,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Its size and times.
    pub stat: Stat,
}
