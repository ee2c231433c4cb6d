//! aiozfs shows a remote archive as a read-only directory.
//!
//! A **blob** is an immutable sequence of bytes, named by a CID or found at a URL or in a file.
//! An **archive** is a blob that is a ZIP or a tar. A stored entry is one extent of the blob, and reading it
//! is reading the blob. A compressed entry is an extent that is decoded.
//!
//! # Rooms, and which way the doors open
//!
//! | room | what it does | may use |
//! |---|---|---|
//! | [`ranges`] | byte ranges, sets of them; decimal numbers and hexadecimal; sorting | |
//! | [`archive`] | ZIP and tar bytes to index and extents, and the records that a writer needs. No I/O, no clock | `ranges` |
//! | [`playlist`] | HLS and DASH text: finds, adds and removes range links. Pure | `ranges` |
//! | [`source`] | the trait `Source`; file, memory, retry, offline | `ranges` |
//! | [`http`] | one HTTP server: connections, requests, answers | `source`, `ranges` |
//! | [`stores`] | object stores: addresses, credentials, signatures, requests, listings | `source`, `http`, `ranges` |
//! | [`gateways`] | many servers as one `Source` | `source`, `http`, `ranges` |
//! | [`content`] | CIDs, hash trees, verification of ranges | `source`, `ranges` |
//! | [`cache`] | bytes on disk that outlive the mount | `source`, `content`, `ranges` |
//! | [`reader`] | the blob, readable: scheduler and executor, blocks in memory, the memory bound | `archive`, `source`, `ranges` |
//! | [`decode`] | plain bytes of compressed and encrypted entries: decoders, checkpoints, decoded bytes in memory | `archive`, `reader`, `ranges` |
//! | [`fs`] | names, inodes, attributes, directory order. Sync, no I/O | `archive`, `ranges` |
//! | [`volume`] | "open this location with these options": stacks the sources, recalls or builds index and tree, shows playlists playable | `archive`, `playlist`, `source`, `http`, `stores`, `gateways`, `content`, `cache`, `reader`, `decode`, `fs`, `ranges` |
//! | [`library`] | many archives in one tree of names: inode numbers, opening at the first use, closing when idle, reloading | `volume`, `fs`, `archive`, `reader`, `source` |
//! | [`mount`] | the only room that names fuser and errno; of `archive`, `reader`, `decode`, `content` and `source` it names errors and kinds of files | `library`, `volume`, `fs`, `archive`, `reader`, `decode`, `source`, `content` |
//! | [`metrics`] | the statistics of a mount as OpenMetrics, over HTTP | `mount` |
//! | [`pack`] | a folder to an archive | `archive`, `playlist`, `ranges` |
//! | [`publish`] | an archive into an object store | `stores`, `http`, `source`, `ranges` |
//! | [`serve`] | the node: ranges and raw blocks over HTTP, and the page for browsers | `source`, `content`, `ranges` |
//! | [`cli`] | arguments and configuration to options, results to text | all |
//!
//! `tests/rooms` reads this table and fails on a use that is not in it. `doc/DESIGN.md` describes how the rooms work
//! together.

// They panic when their reader is gone; `cli` has `tell!` and `show::print`.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod archive;
pub mod cache;
pub mod cli;
pub mod content;
pub mod decode;
pub mod fs;
pub mod gateways;
pub mod http;
pub mod library;
pub mod metrics;
pub mod mount;
pub mod pack;
pub mod playlist;
pub mod publish;
pub mod ranges;
pub mod reader;
pub mod serve;
pub mod source;
pub mod stores;
pub mod volume;
