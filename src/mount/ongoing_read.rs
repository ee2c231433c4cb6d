//! One read request of the kernel, from its arrival to its answer.

use std::ops::Range;
use std::time::{Instant, SystemTime};

use super::served::Served;
use crate::fs::Ino;
use crate::reader::{Traced, TracedKind};
use crate::volume::FileError;

/// A read request of the kernel that is being answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct OngoingRead {
    ino: Ino,
    offset: u64,
    size: u32,
    since: Instant,
}

impl OngoingRead {
    pub(super) fn new(ino: Ino, offset: u64, size: u32) -> Self {
        let since = Instant::now();
        Self {
            ino,
            offset,
            size,
            since,
        }
    }

    /// The read ends with bytes that were in memory.
    pub(super) fn found(&self, served: &Served, bytes: usize) {
        self.ended(served, bytes as u64, None, |_| "memory".into());
    }

    /// The read ends with bytes that it waited for, or with an error.
    pub(super) fn waited(&self, served: &Served, result: &Result<Vec<u8>, FileError>) {
        let from = |range: &Range<u64>| match result {
            Ok(_) => served.volume.came_from(self.ino, range),
            Err(_) => String::new(),
        };
        let bytes = result
            .as_ref()
            .map_or(u64::from(self.size), |b| b.len() as u64);
        self.ended(served, bytes, result.as_ref().err(), from);
    }

    fn ended(
        &self,
        served: &Served,
        bytes: u64,
        error: Option<&FileError>,
        from: impl FnOnce(&Range<u64>) -> String,
    ) {
        let took = self.since.elapsed();
        served.tally.read_times.add(took);
        served.volume.archive().trace().add(|| {
            let range = self.offset..self.offset.saturating_add(bytes);
            Traced {
                kind: TracedKind::Read(self.ino.0),
                began: SystemTime::now() - took,
                took,
                from: from(&range),
                range,
                error: error.map(FileError::to_string),
            }
        });
    }
}
