//! Compressed entries: any range of them, from any state of memory and cache, and what is wrong with them.

mod damaged;
mod entries;
mod mounted;
mod ranges;
