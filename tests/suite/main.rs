//! The integration tests, in one program: a module for each room that they test.
//!
//! One program is linked once and has one set of helpers, in which the compiler finds what nothing uses. The tests
//! run in parallel in it, so a test must not change what belongs to the process: the environment, the working
//! directory, limits. A test that measures memory or descriptors measures those of a process that it starts.
//! `cargo test --test suite mount::faults` runs the tests of one file.

mod archive;
mod cache;
mod cli;
#[path = "../common/mod.rs"]
mod common;
mod content;
mod decode;
mod http;
mod metrics;
mod mount;
mod pack;
mod page;
mod players;
mod playlist;
mod publish;
mod reader;
mod serve;
mod soak;
mod stores;
mod tar;
