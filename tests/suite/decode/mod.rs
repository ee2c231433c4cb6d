//! Compressed entries: any range of them, from any state of memory and cache, and what is wrong with them.

mod abandoned;
mod ahead;
mod codecs;
mod damaged;
mod entries;
mod forged;
mod gated;
mod hostile;
mod input;
mod locked;
mod mounted;
mod prompt;
mod ranges;
mod seek_table;
mod sequential;
mod shared;
mod walks;
mod xz;
