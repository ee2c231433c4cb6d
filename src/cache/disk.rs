//! The disk, as far as the cache knows it: a seam at which tests put faults.

use std::io;

/// A directory with files. Paths are relative to it, with `/` between their parts.
///
/// A disk may lose, at a crash, what was written last, in any order: whatever is read is proven by
/// whoever reads it.
pub trait Disk: Send + Sync + 'static {
    /// Opens a file to read it.
    fn open(&self, path: &str) -> io::Result<Box<dyn Handle>>;

    /// Makes a file; there must be none of that name.
    fn create(&self, path: &str) -> io::Result<Box<dyn Handle>>;

    /// Gives a file another name, at once and in place of what has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// Removes a directory, which must be empty.
    fn remove_dir(&self, path: &str) -> io::Result<()>;

    /// Makes a directory and those above it; it may be there.
    fn make_dirs(&self, path: &str) -> io::Result<()>;

    /// What is in a directory, in any order.
    fn list(&self, path: &str) -> io::Result<Vec<Listed>>;

    /// The names of what is in a directory, in any order.
    fn names(&self, path: &str) -> io::Result<Vec<String>>;

    /// Changes a small file with nobody else at it: `change` gets what is in it, nothing if it is
    /// not there, and says what shall be.
    fn update(&self, path: &str, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) -> io::Result<()>;

    /// Takes the lock of this name, which is free again when what is returned is dropped or its
    /// process ends. `None` if somebody has it.
    fn try_lock(&self, path: &str) -> io::Result<Option<Box<dyn Send>>>;

    /// Bytes that may still be written to it.
    fn free(&self) -> io::Result<u64>;
}

/// An open file.
pub trait Handle: Send + Sync {
    /// Reads until `buffer` is full or the file ends; says how much it read.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// The same for much at once, from a multiple of 4096 on into memory that begins at one. A disk
    /// that is also somebody's memory need not keep a copy there: whoever reads does.
    fn read_large(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }

    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// What the disk says of it.
    fn stat(&self) -> io::Result<Stat>;

    /// Says when it was written and when it was used last, in seconds since 1970.
    fn set_times(&self, written: i64, used: i64) -> io::Result<()>;
}

/// What a disk says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stat {
    /// Its length in bytes.
    pub len: u64,
    /// What it takes of the disk, in bytes.
    pub taken: u64,
    /// When it was last written to, in seconds since 1970.
    pub written: i64,
    /// When it was last used, likewise.
    pub used: i64,
}

/// A line of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// What the disk says of it.
    pub stat: Stat,
}
