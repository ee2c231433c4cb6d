//! Writes an archive as one stream, with three threads.
//!
//! One thread reads and computes CRCs, one writes, and one hands the written bytes to the caller's
//! hasher. A header contains the CRC of the data behind it, so a file must be read before its header
//! can be written:
//!
//! - a file of up to [`HELD`] bytes is read once, as a whole;
//! - a longer file is read twice, first for its CRC. The second time it mostly comes from the page
//!   cache. Writing the header afterwards would save the first reading, but only if the output is a
//!   file, and hashing would have to wait. The two readings also detect a file that changes.
//!
//! Memory: [`BUFFERS`] buffers, a file that is read as a whole, and about 100 bytes an entry.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::error::Error;
use super::layout::{Item, Plan};
use super::scan::Stamp;
use crate::archive::{Kind, end_records};

/// The length of a buffer, in bytes.
const BUFFER: usize = 1 << 20;

/// The number of buffers in transit between the threads.
const BUFFERS: usize = 16;

/// The length in bytes up to which a file is read only once.
const HELD: usize = 8 << 20;

/// The caller's part in the writing.
pub struct Control<'a> {
    /// Receives all bytes of the archive in order, on a thread of its own.
    pub tap: &'a mut (dyn FnMut(&[u8]) + Send),
    /// Receives the number of bytes of each write.
    pub progress: &'a mut dyn FnMut(u64),
    /// Cancels the writing when it becomes true.
    pub cancelled: &'a AtomicBool,
}

impl Plan {
    /// Writes the archive.
    pub fn write(&self, out: &mut dyn Write, control: Control) -> Result<(), Error> {
        let Control {
            tap,
            progress,
            cancelled,
        } = control;
        let (free_in, free) = sync_channel(BUFFERS);
        for _ in 0..BUFFERS {
            // The channel has room for all of them.
            let _ = free_in.send(Vec::with_capacity(BUFFER));
        }
        let (full, to_write) = sync_channel::<Vec<u8>>(BUFFERS);
        let (written, to_tap) = sync_channel::<Vec<u8>>(BUFFERS);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                self.read(&mut Stream {
                    free,
                    full,
                    cancelled,
                    position: 0,
                    current: Vec::with_capacity(BUFFER),
                })
            });
            let tapping = scope.spawn(move || {
                for buffer in to_tap {
                    tap(&buffer);
                    // Fails after the reader has finished, when no buffer is needed.
                    let _ = free_in.send(buffer);
                }
            });
            let mut wrote = Ok(());
            for buffer in to_write {
                wrote = out.write_all(&buffer).map_err(Error::Output);
                if wrote.is_err() {
                    break;
                }
                progress(buffer.len() as u64);
                // The receiver lives until `written` is dropped.
                let _ = written.send(buffer);
            }
            drop(written);
            // A panic of a thread continues here.
            let read = reader
                .join()
                .unwrap_or_else(|e| std::panic::resume_unwind(e));
            tapping
                .join()
                .unwrap_or_else(|e| std::panic::resume_unwind(e));
            match (wrote, read) {
                // The write error first: it makes the reader fail, too.
                (Err(e), _) | (Ok(()), Err(e)) => Err(e),
                (Ok(()), Ok(())) => out.flush().map_err(Error::Output),
            }
        })
    }

    /// Reads everything into the stream, in the order of the archive.
    fn read(&self, stream: &mut Stream) -> Result<(), Error> {
        let mut checksums = Vec::with_capacity(self.items.len());
        let mut buffer = vec![0; HELD];
        for item in &self.items {
            checksums.push(self.read_item(item, &mut buffer, stream)?);
        }
        for (item, crc32) in self.items.iter().zip(checksums) {
            stream.put(&item.entry().central_record(item.header_offset, crc32))?;
        }
        let offset = self.directory_offset();
        let size = stream.position - offset;
        stream.put(&end_records(self.items.len() as u64, offset, size))?;
        debug_assert_eq!(stream.position, self.size());
        stream.pass_on()
    }

    fn read_item(&self, item: &Item, buffer: &mut [u8], stream: &mut Stream) -> Result<u32, Error> {
        // The plan computed all headers and links for this offset.
        assert_eq!(stream.position, item.header_offset, "{}", item.path);
        let header = |crc32| {
            item.entry()
                .local_header(item.header_offset, self.options.align, crc32)
        };
        let content = match (item.kind, item.format) {
            (Kind::File, None) => return self.read_file(item, &header, buffer, stream),
            (Kind::File, Some(format)) => self.stored(item, format)?.text.into_bytes(),
            (Kind::Symlink, _) => {
                let path = self.source(item);
                let target = std::fs::read_link(&path).map_err(Error::io(&path))?;
                target.into_os_string().into_encoded_bytes()
            }
            (Kind::Dir | Kind::Special, _) => Vec::new(),
        };
        if content.len() as u64 != item.extent.len {
            return Err(Error::Changed(self.source(item)));
        }
        let crc32 = crc32fast::hash(&content);
        stream.put(&header(crc32))?;
        stream.put(&content)?;
        Ok(crc32)
    }

    fn read_file(
        &self,
        item: &Item,
        header: &dyn Fn(u32) -> Vec<u8>,
        buffer: &mut [u8],
        stream: &mut Stream,
    ) -> Result<u32, Error> {
        let mut source = Source::open(self.source(item), item.stamp)?;
        if item.extent.len <= HELD as u64 {
            let piece = source.read(buffer)?;
            source.check()?;
            let crc32 = crc32fast::hash(piece);
            stream.put(&header(crc32))?;
            stream.put(piece)?;
            return Ok(crc32);
        }
        let crc32 = source.pieces(buffer, |_| stream.check_cancelled())?;
        source.rewind()?;
        stream.put(&header(crc32))?;
        let again = source.pieces(buffer, |piece| stream.put(piece))?;
        if again == crc32 {
            Ok(crc32)
        } else {
            Err(Error::Changed(source.path))
        }
    }
}

/// A file of the folder that must not have changed since the plan was made.
struct Source {
    file: File,
    path: PathBuf,
    stamp: Stamp,
    /// The bytes still to be read, by the planned length.
    left: u64,
}

impl Source {
    fn open(path: PathBuf, stamp: Stamp) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::io(&path))?;
        let mut source = Self {
            left: 0,
            file,
            path,
            stamp,
        };
        source.check()?;
        source.left = stamp.size();
        Ok(source)
    }

    fn rewind(&mut self) -> Result<(), Error> {
        self.file.rewind().map_err(Error::io(&self.path))?;
        self.left = self.stamp.size();
        Ok(())
    }

    /// Checks that the file is unchanged, and that all of it was read.
    fn check(&self) -> Result<(), Error> {
        let meta = self.file.metadata().map_err(Error::io(&self.path))?;
        if self.stamp.is_same(&Stamp::of(&meta)) && self.left == 0 {
            Ok(())
        } else {
            Err(Error::Changed(self.path.clone()))
        }
    }

    /// Fills the buffer with the next bytes. Stops at the planned length.
    fn read<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let piece = &mut buffer[..len];
        self.file.read_exact(piece).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => Error::Changed(self.path.clone()),
            _ => Error::Io(self.path.clone(), e),
        })?;
        self.left -= len as u64;
        Ok(piece)
    }

    /// Reads the file in pieces. Returns its CRC-32.
    fn pieces(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let mut crc = crc32fast::Hasher::new();
        while self.left > 0 {
            let piece = self.read(&mut buffer[..BUFFER])?;
            crc.update(piece);
            take(piece)?;
        }
        self.check()?;
        Ok(crc.finalize())
    }
}

/// The archive's bytes on their way to the writer.
struct Stream<'a> {
    free: Receiver<Vec<u8>>,
    full: SyncSender<Vec<u8>>,
    cancelled: &'a AtomicBool,
    /// The number of bytes so far.
    position: u64,
    /// The buffer that is filled now.
    current: Vec<u8>,
}

impl Stream<'_> {
    fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancelled.load(Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// Adds bytes to the stream.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        self.check_cancelled()?;
        while !bytes.is_empty() {
            if self.current.len() == BUFFER {
                self.pass_on()?;
            }
            let room = BUFFER - self.current.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.current.extend_from_slice(now);
            self.position += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    /// Passes the current buffer to the writer. Fails if the writer has failed, whose error is then returned.
    fn pass_on(&mut self) -> Result<(), Error> {
        let mut next = self.free.recv().map_err(|_| Error::Cancelled)?;
        next.clear();
        let full = std::mem::replace(&mut self.current, next);
        self.full.send(full).map_err(|_| Error::Cancelled)
    }
}
