//! The content of one entry while its stored bytes arrive: compared with its size and its CRC-32, after it
//! was decoded if it is compressed.

use std::io::{self, BufRead, Read};

use bytes::{Buf, Bytes};
use crc32fast::Hasher;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::archive::{Entry, Method};
use crate::decode::{self, Input, Key, Password, Share, read_buffered};

/// How many parts of at most a window wait for a decoder.
const WAITING: usize = 2;

/// How a comparison has ended.
pub(super) enum End {
    Right,
    /// The content is wrong. With what is wrong.
    Wrong(String),
    /// Its codec got no memory. With the bytes that it needs, and the reason in words.
    NoMemory(u64, String),
}

/// Compares the content of one entry.
pub(super) enum Content {
    Stored {
        crc: Hasher,
        crc32: u32,
    },
    /// There is no checksum, as in a tar.
    Unchecked,
    Compressed {
        parts: mpsc::Sender<Bytes>,
        done: JoinHandle<Result<(), decode::Error>>,
    },
}

impl Content {
    /// `share` is the memory of the codec, if the entry is compressed.
    pub(super) fn new(
        entry: &Entry,
        is_stored: bool,
        password: Option<&Password>,
        share: Share,
    ) -> Self {
        if entry.method == Method::Sparse {
            return Self::Unchecked;
        }
        if is_stored {
            let crc = Hasher::new();
            return entry
                .crc32
                .map_or(Self::Unchecked, |crc32| Self::Stored { crc, crc32 });
        }
        let (parts, receiver) = mpsc::channel(WAITING);
        let (entry, password) = (*entry, password.cloned());
        let mut input: Box<dyn Input> = Box::new(Parts {
            receiver,
            part: Bytes::new(),
            position: 0,
        });
        let done = tokio::task::spawn_blocking(move || {
            if let Some(encryption) = entry.encryption {
                input = Key::open(encryption, entry.compressed_size, password.as_ref(), input)?;
            }
            let decoded = decode::decode(&entry, input, share, |_| ());
            decoded.map_err(|e| e.of_entry(&entry))
        });
        Self::Compressed { parts, done }
    }

    /// Takes the next stored bytes.
    pub(super) async fn take(&mut self, bytes: Bytes) {
        match self {
            Self::Stored { crc, .. } => crc.update(&bytes),
            Self::Unchecked => {}
            // A decoder that has failed takes no more.
            Self::Compressed { parts, .. } => drop(parts.send(bytes).await),
        }
    }

    /// Ends the comparison, after all stored bytes.
    pub(super) async fn end(self) -> End {
        match self {
            Self::Stored { crc, crc32 } => match crc.finalize() {
                found if found == crc32 => End::Right,
                found => End::Wrong(format!(
                    "their CRC-32 is {found:08x}, but {crc32:08x} in the archive's index"
                )),
            },
            Self::Unchecked => End::Right,
            Self::Compressed { parts, done } => {
                drop(parts);
                match done.await {
                    Ok(Ok(())) => End::Right,
                    Ok(Err(why @ decode::Error::TooMuchMemory { needs, .. })) => {
                        End::NoMemory(needs, why.to_string())
                    }
                    Ok(Err(why)) => End::Wrong(why.to_string()),
                    Err(_) => End::Wrong("the decoder panicked".to_owned()),
                }
            }
        }
    }
}

/// Stored bytes as they arrive.
struct Parts {
    receiver: mpsc::Receiver<Bytes>,
    part: Bytes,
    position: u64,
}

impl Read for Parts {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, out)
    }
}

impl BufRead for Parts {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.part.is_empty()
            && let Some(part) = self.receiver.blocking_recv()
        {
            self.part = part;
        }
        Ok(&self.part)
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.part.len());
        self.part.advance(count);
        self.position += count as u64;
    }
}

impl Input for Parts {
    fn position(&self) -> u64 {
        self.position
    }
}
