//! The list of a node's blobs, as JSON.

use serde::Serialize;

use super::blob::Blob;
use super::paths::blob_path;

/// An element of `/index.json`.
#[derive(Serialize)]
struct Entry<'a> {
    cid: String,
    size: u64,
    name: &'a str,
    /// The path of its URL on this node.
    path: String,
}

/// `/index.json`: an array of objects with cid, size in bytes, name, and path.
pub(super) fn json(blobs: &[Blob]) -> String {
    let entries: Vec<Entry<'_>> = blobs
        .iter()
        .map(|blob| Entry {
            cid: blob.cid.to_string(),
            size: blob.size,
            name: &blob.name,
            path: blob_path(&blob.cid, &blob.name),
        })
        .collect();
    serde_json::to_string_pretty(&entries).expect("strings and numbers are always JSON")
}
