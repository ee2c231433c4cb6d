//! The lists of a node's blobs, as JSON.

use std::collections::BTreeSet;

use serde::Serialize;

use super::blob::Blob;
use super::paths::blob_path;

/// The media type of the lists.
pub(super) const MEDIA_TYPE: &str = "application/json";

/// An element of `/index.json`.
#[derive(Serialize)]
struct Entry<'a> {
    cid: String,
    size: u64,
    name: &'a str,
    /// The path of its URL on this node.
    path: String,
}

/// An element of the list of a directory: as nginx writes it (`autoindex_format json`), and of a file its CID and its
/// URL relative to the list, because a reverse proxy may serve this node below a path of its own.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Child<'a> {
    Directory {
        name: &'a str,
    },
    File {
        name: &'a str,
        size: u64,
        cid: String,
        url: String,
    },
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
    array(&entries)
}

/// The directories and blobs directly in the directory `path`, which is empty or ends with a slash. `None` if there
/// are none, except for the root.
pub(super) fn directory(blobs: &[Blob], path: &str) -> Option<String> {
    let root = "../".repeat(path.matches('/').count());
    let (mut directories, mut children) = (BTreeSet::new(), Vec::new());
    for blob in blobs {
        let Some(name) = blob.name.strip_prefix(path) else {
            continue;
        };
        match name.split_once('/') {
            Some((name, _)) if directories.insert(name) => children.push(Child::Directory { name }),
            Some(_) => {}
            None => children.push(Child::File {
                name,
                size: blob.size,
                cid: blob.cid.to_string(),
                url: format!("{root}ipfs/{}", blob.cid),
            }),
        }
    }
    let exists = path.is_empty() || !children.is_empty();
    exists.then(|| array(&children))
}

fn array(entries: &[impl Serialize]) -> String {
    serde_json::to_string_pretty(entries).expect("strings and numbers are always JSON")
}
