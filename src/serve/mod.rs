//! The node: serves byte ranges and raw blocks of local blobs over HTTP/1.1 (RFC 9110, whose
//! sections the comments cite).
//!
//! A node knows nothing about archives. It answers
//! - `GET /ipfs/<cid>[/<name>]` with the blob of that CID, or with the part that a `Range` header
//!   asks for. The name must be the blob's own;
//! - `GET /ipfs/<cid>/<any name>?range=<offset>,<size>`, the form of the links in packed playlists,
//!   with that range of the blob. The name decides the media type and nothing else;
//! - `?format=raw`, or the Accept header that means the same, with the raw block that the CID names,
//!   so that clients can verify ranges;
//! - `GET /` with a page that lists what is served, looks into archives and plays them. It runs in the
//!   browser and uses the answers above; `GET /index.json` is the list for programs;
//! - `GET /<directory>/`, and `GET /` of a client that names JSON, with a list of that directory, as web servers
//!   list theirs.
//!
//! [`Node`] keeps the blobs, `server` runs the connections, and `answer` (with `block`, `listing`, `page`
//! and `preflight`) builds the answers. The rules stand in `range`, `window`, `conditions`, `form`,
//! `paths` and `media`, which do no I/O.

mod answer;
mod blob;
mod block;
mod conditions;
mod form;
mod listing;
mod media;
mod node;
mod page;
mod paths;
mod preflight;
mod range;
mod response;
mod server;
mod window;

pub use blob::Blob;
pub use node::{BlobId, Node};
pub use paths::blob_path;
