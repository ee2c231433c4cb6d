//! File formats: records (a line of JSON, then its checksum) and framed files (a large content with its
//! length and checksum at the end).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use super::buffers::{Buffer, Buffers};
use super::disk::{Disk, Handle};

/// Generates content: calls its argument with parts of the content, in order.
pub type Fill = Box<Filling>;

/// See [`Fill`].
pub(super) type Filling = dyn Fn(&mut dyn FnMut(&[u8])) + Send;

/// The largest record, in bytes.
const MAX_RECORD: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"aiozfs k";
const FRAME_HEAD: u64 = 40;
const FRAME_TAIL: u64 = 16;

/// The bytes of a record's file.
pub(super) fn seal<T: Serialize + ?Sized>(record: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(record).expect("records are always JSON");
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(format!("\n{sum:016x}\n").as_bytes());
    bytes
}

/// The record in a file's bytes; `None` if it is damaged or has another type.
pub(super) fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(18)?)?;
    let is_whole = sum == format!("\n{:016x}\n", xxh3_64(body)).as_bytes();
    is_whole.then(|| serde_json::from_slice(body).ok())?
}

/// Reads a record; `None` if it does not exist or is damaged.
pub(super) fn read<T: DeserializeOwned>(disk: &dyn Disk, path: &str) -> Option<T> {
    let file = disk.open(path).ok()?;
    unseal(&read_small(&*file, MAX_RECORD).ok()??)
}

/// Reads a file of at most `most` bytes; `None` if it has more.
pub(super) fn read_small(file: &dyn Handle, most: usize) -> io::Result<Option<Vec<u8>>> {
    let len = file.stat()?.len;
    if len > most as u64 {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Writes a framed file: `key`, then the content from `fill`, then its length and checksum. Returns the
/// file's length in bytes.
pub(super) fn write_framed(file: &dyn Handle, key: &[u8; 32], fill: &Filling) -> io::Result<u64> {
    let mut sum = Xxh3Default::new();
    let mut at = 0;
    let mut failed = Ok(());
    let mut write = |bytes: &[u8], sum: &mut Xxh3Default| {
        if failed.is_ok() {
            sum.update(bytes);
            failed = file.write_at(bytes, at);
            at += bytes.len() as u64;
        }
    };
    write(MAGIC, &mut sum);
    write(key, &mut sum);
    fill(&mut |bytes| write(bytes, &mut sum));
    let end = sum.digest().to_le_bytes();
    failed?;
    file.write_at(&[(at - FRAME_HEAD).to_le_bytes(), end].concat(), at)?;
    Ok(at + FRAME_TAIL)
}

/// A framed file that is being read. Only its end tells whether the bytes read may be used.
pub(super) struct Framed {
    file: Arc<dyn Handle>,
    at: u64,
    body_end: u64,
    /// The next segments of the file.
    segments: Receiver<Segment>,
    /// The current segment.
    segment: Option<Segment>,
    /// How many bytes of it were pulled.
    pulled: usize,
    sum: Box<Xxh3Default>,
}

/// A buffer, and how many bytes of it are the file's.
type Segment = (Buffer, usize);

impl Framed {
    /// Opens a framed file; `None` if it has another format or another blob's key.
    pub(super) fn open(file: Arc<dyn Handle>, key: &[u8; 32]) -> Option<Self> {
        let body_end = file.stat().ok()?.len.checked_sub(FRAME_TAIL)?;
        let mut framed = Self {
            segments: read_ahead(file.clone(), body_end),
            file,
            at: 0,
            body_end,
            segment: None,
            pulled: 0,
            sum: Box::default(),
        };
        let mut head = [0; FRAME_HEAD as usize];
        let is_ours = framed.pull(&mut head) && head[..8] == *MAGIC && head[8..] == *key;
        is_ours.then_some(framed)
    }

    /// Whether a file is an intact framed file.
    pub(super) fn is_good(file: Arc<dyn Handle>) -> bool {
        const STEP: usize = 1 << 20;
        let mut key = [0; 32];
        let is_read = file
            .read_at(&mut key, 8)
            .is_ok_and(|read| read == key.len());
        let Some(mut framed) = Self::open(file, &key).filter(|_| is_read) else {
            return false;
        };
        let mut segment = vec![0; STEP];
        while framed.at < framed.body_end {
            let now = (framed.body_end - framed.at).min(STEP as u64) as usize;
            if !framed.pull(&mut segment[..now]) {
                return false;
            }
        }
        framed.is_whole()
    }

    /// Fills `out` with the next bytes; false if fewer are left.
    pub(super) fn pull(&mut self, out: &mut [u8]) -> bool {
        if out.len() as u64 > self.body_end - self.at {
            return false;
        }
        let mut rest = out;
        while !rest.is_empty() {
            let ready = self.segment.as_ref();
            let ready = ready.and_then(|(bytes, len)| bytes.get(self.pulled..*len));
            let ready = ready.unwrap_or_default();
            if ready.is_empty() {
                let Ok((bytes, len)) = self.segments.recv() else {
                    return false;
                };
                self.sum.update(&bytes[..len]);
                (self.segment, self.pulled) = (Some((bytes, len)), 0);
                continue;
            }
            let (now, later) = rest.split_at_mut(ready.len().min(rest.len()));
            now.copy_from_slice(&ready[..now.len()]);
            self.pulled += now.len();
            self.at += now.len() as u64;
            rest = later;
        }
        true
    }

    /// Whether all content was read and its checksum is right.
    pub(super) fn is_whole(&self) -> bool {
        let mut tail = [0; FRAME_TAIL as usize];
        let read = self.file.read_at(&mut tail, self.at);
        let len = self.at.wrapping_sub(FRAME_HEAD).to_le_bytes();
        self.at == self.body_end
            && read.is_ok_and(|read| read == tail.len())
            && tail[..] == [len, self.sum.digest().to_le_bytes()].concat()
    }
}

/// Reads a file up to `end` on a thread, a few segments ahead of the receiver. An error ends the channel.
fn read_ahead(file: Arc<dyn Handle>, end: u64) -> Receiver<Segment> {
    const AHEAD: usize = 2;
    let (sender, segments) = mpsc::sync_channel(AHEAD);
    let work = move || {
        let buffers = Arc::new(Buffers::default());
        let mut at = 0;
        while at < end
            && let Some(mut bytes) = buffers.take()
        {
            let len = (end - at).min(bytes.len() as u64) as usize;
            // Direct reads need whole pages; bytes after `len` are ignored.
            let pages = len.next_multiple_of(4096);
            let read = file.read_large(&mut bytes[..pages], at);
            let is_read = read.is_ok_and(|read| read >= len);
            if !is_read || sender.send((bytes, len)).is_err() {
                return;
            }
            at += len as u64;
        }
    };
    // Without a thread the channel is closed, as after an error.
    let _ = std::thread::Builder::new()
        .name("aiozfs-index".into())
        .spawn(work);
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Folder;

    #[test]
    fn a_damaged_record_is_refused() {
        let record = ("a".to_owned(), 5u64);
        let good = seal(&record);
        assert_eq!(unseal(&good), Some(record));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(unseal::<(String, u64)>(&bad), None, "byte {at}");
            assert_eq!(unseal::<(String, u64)>(&good[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_large_file_is_whole_or_not_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = Folder::open(dir.path()).expect("a cache");
        let content: Vec<u8> = (0..(2usize << 20) + 77)
            .map(|at| (at * 7 / 3) as u8)
            .collect();
        let file: Arc<dyn Handle> = disk.create("x").expect("a file").into();
        let bytes = content.clone();
        let fill = move |write: &mut dyn FnMut(&[u8])| bytes.chunks(300_000).for_each(write);
        let len = write_framed(&*file, &[1; 32], &fill).expect("written");
        assert_eq!(file.stat().expect("there").len, len);
        let read = |key: u8| {
            let mut framed = Framed::open(file.clone(), &[key; 32])?;
            let mut got = vec![0; content.len()];
            let all = got.chunks_mut(100_000).all(|segment| framed.pull(segment));
            (all && framed.is_whole()).then_some(got)
        };
        assert_eq!(read(1).as_ref(), Some(&content));
        assert_eq!(read(2), None);
        for at in [0, 20, 40, 2 << 20, len - 16, len - 1] {
            let mut byte = [0];
            file.read_at(&mut byte, at).expect("read");
            file.write_at(&[byte[0] ^ 4], at).expect("damaged");
            assert_eq!(read(1), None, "byte {at}");
            file.write_at(&byte, at).expect("mended");
        }
        assert!(read(1).is_some());
    }
}
