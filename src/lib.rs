//! aiozfs shows a remote archive as a read-only directory.
//!
//! A **blob** is an immutable line of bytes, named by a CID or found at a URL or in a file.
//! An **archive** is a blob that is a ZIP whose entries are stored without compression, so that
//! every entry is one extent of the line, and reading a file is reading the line.
//!
//! # Rooms, and which way the doors open
//!
//! | room | what it does | may use |
//! |---|---|---|
//! | [`archive`] | ZIP bytes to index and extents, and the records a writer needs. Pure | |
//! | [`playlist`] | HLS and DASH text: links found, added, stripped. Pure | |
//! | [`source`] | where bytes come from: trait `Source`, file, HTTP, memory, retry | |
//! | [`content`] | CIDs, block trees and hashes | `source` |
//! | [`cache`] | proven bytes on disk, for all mounts of a user | `source`, `content` |
//! | [`reader`] | the blob, readable: scheduler and executor, blocks in memory | `archive`, `source` |
//! | [`fs`] | names, inodes, attributes, directory order. Sync, no I/O | `archive` |
//! | [`mount`] | the only room that names fuser and errno | `fs`, `reader`, `playlist` |
//! | [`pack`] | a folder to an archive | `archive`, `playlist` |
//! | [`serve`] | the node: HTTP ranges over local files | `source`, `content` |
//! | [`cli`] | arguments, configuration, progress, exit codes; composes the others | all |
//!
//! `tests/rooms.rs` fails on a door that is not in this table. `doc/DESIGN.md` says why.

pub mod archive;
pub mod cache;
pub mod cli;
pub mod content;
pub mod fs;
pub mod mount;
pub mod pack;
pub mod playlist;
pub mod reader;
pub mod serve;
pub mod source;
