//! The line, readable: where the archive's wants meet the source's bytes.
//!
//! [`Line`] reads any range of a blob; [`Archive`] reads entries. Both hold what they fetched in
//! blocks within one bound on memory, ask for no byte twice, and fetch ahead of sequential reads.

mod ahead;
mod archive;
mod ask;
mod block;
mod check;
mod counters;
mod crc;
mod error;
mod fetch;
mod latency;
mod ledger;
mod line;
mod pace;
mod pool;
mod recall;
mod succession;

pub use archive::Archive;
pub use counters::{Status, Stream};
pub use error::Error;
pub use line::{Line, LineOptions};
