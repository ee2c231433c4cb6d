//! The node: byte ranges of local blobs over HTTP/1.1.
//!
//! A node knows nothing of archives. A blob is published under its CID and a name, and
//! `GET /ipfs/<cid>[/<name>]` answers with its bytes, or with those that a `Range` header asks for.
//! `GET /ipfs/<cid>/anything?range=<offset>,<size>` (the link that playlists inside an archive
//! carry) answers with that range; `anything` decides the media type and nothing else. Without
//! `range`, any other name is not found. With `?format=raw`, or the Accept header that means the
//! same, the answer is the block that the CID names: what others prove ranges with.
//!
//! What is answered is decided without I/O in `range`, `window`, `conditions`, `form`, `paths`
//! and `media`;
//! `answer` (`block` for blocks) puts it together, and `node` holds the blobs and the connections.
//! HTTP is RFC 9110, to whose sections the comments point.

mod answer;
mod block;
mod conditions;
mod connection;
mod form;
mod listing;
mod media;
mod node;
mod paths;
mod range;
mod window;

pub use node::{Blob, BlobId, Node};
pub use paths::blob_path;
