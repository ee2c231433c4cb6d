//! One read request of the kernel: its bytes, and what statistics and traces tell of it.

use std::time::{Instant, SystemTime};

use super::failpoint::panic_if_asked;
use super::served::Served;
use crate::fs::Ino;
use crate::library::File;
use crate::reader::{Traced, TracedKind};
use crate::volume::FileError;

/// A read request that is being answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct OngoingRead {
    ino: Ino,
    /// The moment of the file handle: see [`Volume::open`](crate::volume::Volume::open).
    moment: u64,
    offset: u64,
    size: u32,
    since: Instant,
}

type Bytes = Result<Vec<u8>, FileError>;

impl OngoingRead {
    pub(super) fn new(ino: Ino, moment: u64, offset: u64, size: u32) -> Self {
        Self {
            ino,
            moment,
            offset,
            size,
            since: Instant::now(),
        }
    }

    /// The bytes, or the error, if that is known without waiting.
    pub(super) fn without_waiting(&self, served: &Served, file: &File) -> Option<Bytes> {
        let volume = file.volume();
        panic_if_asked("thread", volume, self.ino);
        if !file.is_settled() {
            return None;
        }
        let span = match volume.span(self.ino, self.offset, self.size) {
            Ok(span) => span,
            Err(error) => return Some(Err(error)),
        };
        let mut bytes = Vec::with_capacity((span.end - span.start) as usize);
        if !volume.try_read(self.ino, self.moment, &span, &mut bytes) {
            return None;
        }
        let bytes = Ok(bytes);
        self.record(served, file, &bytes, true);
        Some(bytes)
    }

    pub(super) async fn wait(self, served: &Served, file: &File) -> Bytes {
        let volume = file.volume();
        panic_if_asked("task", volume, self.ino);
        let bytes = volume.read(self.ino, self.moment, self.offset, self.size);
        let bytes = bytes.await;
        self.record(served, file, &bytes, false);
        bytes
    }

    fn record(&self, served: &Served, file: &File, result: &Bytes, from_memory: bool) {
        let took = self.since.elapsed();
        served.tally.read_times.add(took);
        let volume = file.volume();
        volume.archive().trace().add(|| {
            let bytes = match result {
                Ok(bytes) => bytes.len() as u64,
                Err(_) => self.size.into(),
            };
            let range = self.offset..self.offset.saturating_add(bytes);
            Traced {
                kind: TracedKind::Read,
                began: SystemTime::now() - took,
                took,
                file: Some(volume.tree().path(self.ino)),
                from: match result {
                    Ok(_) if from_memory => "memory".into(),
                    Ok(_) => volume.came_from(self.ino, &range),
                    Err(_) => String::new(),
                },
                range,
                error: result.as_ref().err().map(FileError::to_string),
            }
        });
    }
}
