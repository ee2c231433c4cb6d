//! Writes an archive as one stream, with three threads.
//!
//! One thread reads and computes CRCs, one writes, and one hands the written bytes to the caller's
//! hasher. A header contains the CRC of the data behind it, so a file must be read before its header
//! can be written:
//!
//! - a file of up to [`HELD`] bytes is read once and held in memory until its CRC is known;
//! - a longer file is read twice, first for its CRC. The second time it mostly comes from the page
//!   cache. Writing the header afterwards would save the first reading, but only if the output is a
//!   file, and hashing would have to wait. The two readings also detect a file that changes.
//!
//! Memory: [`BUFFERS`] buffers, and about 100 bytes an entry.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::error::Error;
use super::layout::{Item, Plan};
use super::scan::Stamp;
use crate::archive::{CRC_AT, Kind, end_records};

/// The length of a buffer, in bytes.
const BUFFER: usize = 1 << 20;

/// The number of buffers: those held for a CRC, and some in transit between the threads.
const BUFFERS: usize = 24;

/// The length in bytes up to which a file is read only once.
const HELD: u64 = 8 << 20;

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
            let _ = free_in.send(Buffer::new());
        }
        let (full, to_write) = sync_channel::<Buffer>(BUFFERS);
        let (written, to_tap) = sync_channel::<Buffer>(BUFFERS);
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut stream = Stream::new(free, full, cancelled);
                self.read(&mut stream)
            });
            let tapping = scope.spawn(move || {
                for buffer in to_tap {
                    tap(buffer.bytes());
                    // Fails after the reader has finished, when no buffer is needed.
                    let _ = free_in.send(buffer);
                }
            });
            let mut wrote = Ok(());
            for buffer in to_write {
                wrote = out.write_all(buffer.bytes()).map_err(Error::Output);
                if wrote.is_err() {
                    break;
                }
                progress(buffer.len as u64);
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
        for item in &self.items {
            checksums.push(self.read_item(item, stream)?);
        }
        for (item, crc32) in self.items.iter().zip(checksums) {
            stream.put(&item.entry().central_record(item.header_offset, crc32))?;
        }
        let offset = self.directory_offset();
        let size = stream.position - offset;
        stream.put(&end_records(self.items.len() as u64, offset, size))?;
        debug_assert_eq!(stream.position, self.size());
        stream.flush()
    }

    fn read_item(&self, item: &Item, stream: &mut Stream) -> Result<u32, Error> {
        // The plan computed all headers and links for this offset.
        assert_eq!(stream.position, item.header_offset, "{}", item.path);
        let header = |crc32| {
            item.entry()
                .local_header(item.header_offset, self.options.align, crc32)
        };
        let content = match (item.kind, item.format) {
            (Kind::File, None) => return self.read_file(item, &header, stream),
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
        stream: &mut Stream,
    ) -> Result<u32, Error> {
        let mut source = Source::open(self.source(item), item.stamp)?;
        if item.extent.len <= HELD {
            stream.hold(&header(0))?;
            let crc32 = source.copy(stream)?;
            source.check()?;
            stream.release(crc32)?;
            return Ok(crc32);
        }
        let crc32 = source.checksum(stream)?;
        source.rewind()?;
        stream.put(&header(crc32))?;
        let again = source.copy(stream)?;
        source.check()?;
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
        let source = Self {
            left: 0,
            file,
            path,
            stamp,
        };
        source.check()?;
        Ok(Self {
            left: stamp.size(),
            ..source
        })
    }

    fn rewind(&mut self) -> Result<(), Error> {
        std::io::Seek::rewind(&mut self.file).map_err(Error::io(&self.path))?;
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

    /// Reads the next bytes, up to the planned length.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(into.len());
        let len = loop {
            match self.file.read(&mut into[..most]) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(Error::io(&self.path))?,
            }
        };
        self.left -= len as u64;
        if len == 0 && most > 0 {
            return Err(Error::Changed(self.path.clone()));
        }
        Ok(len)
    }

    /// Reads the rest into the stream. Returns its CRC-32.
    fn copy(&mut self, stream: &mut Stream) -> Result<u32, Error> {
        let mut crc = crc32fast::Hasher::new();
        while self.left > 0 {
            let room = stream.room()?;
            let len = self.read(room)?;
            crc.update(&room[..len]);
            stream.advance(len);
        }
        Ok(crc.finalize())
    }

    /// Reads the rest only for its CRC-32.
    fn checksum(&mut self, stream: &mut Stream) -> Result<u32, Error> {
        let mut crc = crc32fast::Hasher::new();
        while self.left > 0 {
            stream.check_cancelled()?;
            let scratch = &mut stream.scratch;
            let len = self.read(scratch)?;
            crc.update(&scratch[..len]);
        }
        Ok(crc.finalize())
    }
}

struct Buffer {
    memory: Box<[u8]>,
    len: usize,
}

impl Buffer {
    fn new() -> Self {
        Self {
            memory: vec![0; BUFFER].into_boxed_slice(),
            len: 0,
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

/// The archive's bytes on their way to the writer.
struct Stream<'a> {
    free: Receiver<Buffer>,
    full: SyncSender<Buffer>,
    cancelled: &'a AtomicBool,
    /// The number of bytes so far.
    position: u64,
    current: Option<Buffer>,
    /// Full buffers that wait for a CRC.
    held: Vec<Buffer>,
    /// The place of that CRC: the index of the buffer, and the offset in it.
    crc_at: Option<(usize, usize)>,
    scratch: Box<[u8]>,
}

impl<'a> Stream<'a> {
    fn new(free: Receiver<Buffer>, full: SyncSender<Buffer>, cancelled: &'a AtomicBool) -> Self {
        Self {
            free,
            full,
            cancelled,
            position: 0,
            current: None,
            held: Vec::new(),
            crc_at: None,
            scratch: vec![0; BUFFER].into_boxed_slice(),
        }
    }

    fn check_cancelled(&self) -> Result<(), Error> {
        if self.cancelled.load(Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }

    /// The free part of the current buffer, which is never empty.
    fn room(&mut self) -> Result<&mut [u8], Error> {
        self.check_cancelled()?;
        if self
            .current
            .as_ref()
            .is_some_and(|buffer| buffer.len == BUFFER)
        {
            self.pass_on()?;
        }
        let buffer = match self.current.take() {
            Some(buffer) => buffer,
            None => {
                // Fails if the writer has failed.
                let mut buffer = self.free.recv().map_err(|_| Error::Cancelled)?;
                buffer.len = 0;
                buffer
            }
        };
        let buffer = self.current.insert(buffer);
        Ok(&mut buffer.memory[buffer.len..])
    }

    /// Adds the first `len` bytes of [`room`](Self::room) to the stream.
    fn advance(&mut self, len: usize) {
        if let Some(buffer) = &mut self.current {
            buffer.len += len;
            self.position += len as u64;
        }
    }

    /// Adds bytes to the stream.
    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            self.advance(len);
            bytes = &bytes[len..];
        }
        Ok(())
    }

    /// Passes the current buffer to the writer, or holds it if it waits for a CRC.
    fn pass_on(&mut self) -> Result<(), Error> {
        let Some(buffer) = self.current.take() else {
            return Ok(());
        };
        match self.crc_at {
            Some(_) => self.held.push(buffer),
            // Fails if the writer has failed, whose error is then returned.
            None => self.full.send(buffer).map_err(|_| Error::Cancelled)?,
        }
        Ok(())
    }

    /// Adds a local header without its CRC, and holds everything until [`release`](Self::release).
    fn hold(&mut self, header: &[u8]) -> Result<(), Error> {
        // The CRC must not be split between two buffers.
        if self.room()?.len() < header.len() {
            self.pass_on()?;
        }
        let begin = BUFFER - self.room()?.len();
        self.crc_at = Some((self.held.len(), begin + CRC_AT));
        self.put(header)
    }

    /// Writes the CRC into the held header, and passes the held buffers to the writer.
    fn release(&mut self, crc32: u32) -> Result<(), Error> {
        if let Some((buffer, at)) = self.crc_at.take() {
            let buffer = match self.held.get_mut(buffer) {
                Some(buffer) => Some(buffer),
                None => self.current.as_mut(),
            };
            if let Some(buffer) = buffer {
                buffer.memory[at..at + 4].copy_from_slice(&crc32.to_le_bytes());
            }
        }
        for buffer in std::mem::take(&mut self.held) {
            self.full.send(buffer).map_err(|_| Error::Cancelled)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.pass_on()
    }
}
