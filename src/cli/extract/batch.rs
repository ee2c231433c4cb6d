//! Writes small files in batches.
//!
//! For a file of a few hundred bytes, to wait for the disk and to pass it between threads costs more than to write it. So
//! small files come here complete and compared. One thread writes those that have come, one after another, waits for the
//! disk once, with syncfs(2), and then gives each its name.

use std::io;
use std::sync::Arc;

use rustix::fs::Mode;
use tokio::sync::{mpsc, oneshot};

use super::directory::Directory;
use super::part::{Options, Part, Place};
use crate::fs::Attr;

/// How many files may wait for the disk together. Each has its part and its directory open, and the usual limit of a
/// process is 1024 open files.
const FILES: usize = 256;

/// A complete file.
struct Complete {
    place: Place,
    attr: Attr,
    bytes: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

/// A thread that writes small files.
pub(super) struct Batches(mpsc::Sender<Complete>);

impl Batches {
    /// The writer of files below `target`. None if its filesystem is not one on which one thread is as fast as many, and
    /// one syncfs(2) as good as an fsync(2) of each file. Must be called within a runtime.
    pub(super) fn start(target: &Arc<Directory>, options: Options) -> Option<Self> {
        let device = target.device_with_syncfs()?;
        let (sender, mut receiver) = mpsc::channel(FILES);
        let writer = Writer {
            target: target.clone(),
            device,
            options,
        };
        tokio::task::spawn_blocking(move || {
            let mut batch = Vec::new();
            while receiver.blocking_recv_many(&mut batch, FILES) > 0 {
                writer.write(batch.drain(..));
            }
        });
        Some(Self(sender))
    }

    /// Writes a file.
    pub(super) async fn write(
        &self,
        place: Place,
        attr: Attr,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        let (done, written) = oneshot::channel();
        let complete = Complete {
            place,
            attr,
            bytes,
            done,
        };
        // Both fail only if the thread has panicked.
        let ended = || "the writer of small files has failed".to_owned();
        self.0.send(complete).await.map_err(|_| ended())?;
        written.await.unwrap_or_else(|_| Err(ended()))
    }
}

struct Writer {
    target: Arc<Directory>,
    /// That of the target. What is mounted below it has another.
    device: u64,
    options: Options,
}

impl Writer {
    fn write(&self, batch: impl Iterator<Item = Complete>) {
        let umask = self.options.umask;
        let parts = batch.map(|file| (part_of(&file, umask), file));
        let parts: Vec<_> = parts.collect();
        let synced = if self.options.sync {
            self.target.syncfs()
        } else {
            Ok(())
        };
        for (part, file) in parts {
            let named = part.map_err(|e| e.to_string()).and_then(|part| {
                if let Err(e) = self.synced(&part, &synced) {
                    // The kernel may show bytes that the disk never got.
                    file.place.remove_part();
                    return Err(e.to_string());
                }
                file.place.give_name(self.options.overwrite)
                // Until here the part is locked.
            });
            // Nobody waits if the command is ending.
            let _ = file.done.send(named);
        }
    }

    fn synced(&self, part: &Part, all: &io::Result<()>) -> io::Result<()> {
        match all {
            _ if self.options.sync && part.device() != self.device => part.sync(),
            Err(e) => Err(io::Error::new(e.kind(), e.to_string())),
            Ok(()) => Ok(()),
        }
    }
}

/// Writes a file under the name of its part.
fn part_of(file: &Complete, umask: Mode) -> io::Result<Part> {
    let mut part = Part::open(&file.place)?;
    part.resume(0, false)?;
    part.append(&file.bytes)?;
    part.finish(&file.attr, umask)?;
    Ok(part)
}
