//! Reading: ranges of a blob, and the entries of an archive, from a source.
//!
//! [`BlobReader`] reads any range of a blob; [`Archive`] reads entries. Both hold what they fetched
//! in blocks within one bound on memory, request no byte twice, and fetch ahead of sequential reads.
//!
//! `schedule/` decides what to request, without I/O. The executor carries it out.

mod archive;
mod blob;
mod block;
mod bound;
mod check;
mod counters;
mod crc;
mod error;
mod executor;
mod index;
mod latency;
mod next_file;
mod pool;
mod recent;
mod regions;
mod schedule;
mod scouts;
mod tar;
mod trace;
mod watch;

pub use archive::Archive;
pub use blob::{BlobReader, ReaderOptions};
pub use bound::SharedMemory;
pub use counters::{RequestCounts, Status, StreamStatus};
pub use error::Error;
pub use latency::{Latencies, Timing};
pub(crate) use recent::Recent;
pub use trace::{Trace, Traced, TracedKind};
pub use watch::Watch;
