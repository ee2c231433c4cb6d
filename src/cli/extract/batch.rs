//! Writes small files in batches.
//!
//! For a file of a few hundred bytes, to wait for the disk and to pass it between threads costs more than to write it. So
//! small files come here complete and compared. One thread writes those that have come, one after another, waits for the
//! disk once, with syncfs(2), and then gives each its name.

use std::io;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::directory::Directory;
use super::part::{Options, Part, Place};
use crate::fs::Attr;

/// How many files may wait for the disk together. The part of each is open, and often the directory of the next one is
/// another: the usual limit of a process is 1024 open files.
const FILES: usize = 256;

/// Up to this many files are synced one by one: syncfs(2) also waits for what other programs have written.
const FEW: usize = 8;

/// A complete file.
pub(super) struct Complete {
    /// The path of its directory.
    pub(super) directory: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) part_name: Vec<u8>,
    pub(super) attr: Attr,
    pub(super) bytes: Vec<u8>,
}

type Done = oneshot::Sender<Result<(), String>>;

/// A thread that writes small files.
pub(super) struct Batches(mpsc::Sender<(Complete, Done)>);

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
    pub(super) async fn write(&self, file: Complete) -> Result<(), String> {
        let (done, written) = oneshot::channel();
        // Both fail only if the thread has panicked.
        let ended = || "the writer of small files has failed".to_owned();
        self.0.send((file, done)).await.map_err(|_| ended())?;
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
    fn write(&self, batch: impl Iterator<Item = (Complete, Done)>) {
        // Usually the directory of many files. Opened anew for each batch, in case that it was replaced.
        let mut last = None;
        let parts = batch.map(|(file, done)| (self.part_of(file, &mut last), done));
        let parts: Vec<_> = parts.collect();
        // It may also fail for files of other programs.
        let are_synced = self.options.sync && parts.len() > FEW && self.target.syncfs().is_ok();
        let named = parts.into_iter().map(|(part, done)| {
            let named = part.and_then(|(part, place)| {
                let is_synced = are_synced && part.device == self.device;
                if self.options.sync
                    && !is_synced
                    && let Err(e) = part.sync()
                {
                    // The kernel may show bytes that the disk never got.
                    place.remove_part();
                    return Err(e);
                }
                Ok((part, place))
            });
            let named = named.map_err(|e| e.to_string());
            // Until it has its name, the part is locked.
            let named = named.and_then(|(_part, place)| place.give_name(self.options.overwrite));
            (named, done)
        });
        // Told together: the other thread would wake up for each.
        for (named, done) in named.collect::<Vec<_>>() {
            // Nobody waits if the command is ending.
            let _ = done.send(named);
        }
    }

    /// Writes a file under the name of its part. `last` is the directory of the last file, and its path.
    fn part_of(
        &self,
        file: Complete,
        last: &mut Option<(Vec<u8>, Arc<Directory>)>,
    ) -> io::Result<(Part, Place)> {
        let directory = match last {
            Some((path, directory)) if *path == file.directory => directory.clone(),
            _ => {
                let directory = Arc::new(self.target.directory(&file.directory)?);
                *last = Some((file.directory, directory.clone()));
                directory
            }
        };
        let place = Place {
            directory,
            name: file.name,
            part_name: file.part_name,
        };
        let mut part = Part::open(&place)?;
        part.resume(0, false)?;
        part.append(&file.bytes)?;
        part.finish(&file.attr, self.options.umask)?;
        Ok((part, place))
    }
}
