//! Encodes dag-pb nodes of UnixFS files.

use super::protobuf::{put_bytes, put_header, put_number};
use super::{Cid, Codec, Profile, Version};

/// The UnixFS type of a file (<https://specs.ipfs.tech/unixfs/>, "data" message).
pub(super) const FILE: u64 = 2;

/// The UnixFS type of leaves of trickle trees in Kubo, and of all leaves of old importers.
pub(super) const RAW: u64 = 0;

/// A link to a child of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) cid: Cid,
    /// Bytes of the file below this link.
    pub(super) file_bytes: u64,
    /// Bytes of all blocks below this link, itself included ("Tsize").
    pub(super) tree_bytes: u64,
}

/// The dag-pb leaf that holds `data`.
pub(super) fn leaf(data: &[u8]) -> Vec<u8> {
    let (before, behind) = around_leaf(FILE, data.len() as u64);
    [&before[..], data, &behind].concat()
}

/// The prefix and suffix of `len` bytes of a file in their dag-pb leaf, whose UnixFS type is `kind`.
pub(super) fn around_leaf(kind: u64, len: u64) -> (Vec<u8>, Vec<u8>) {
    let mut behind = Vec::new();
    put_number(&mut behind, 3, len);
    let mut unixfs = Vec::new();
    put_number(&mut unixfs, 1, kind);
    // An empty file has no data field, in Kubo as in the JavaScript importer.
    if len > 0 {
        put_header(&mut unixfs, 2, len);
    }
    let mut before = Vec::new();
    let unixfs_len = unixfs.len() as u64 + len + behind.len() as u64;
    put_header(&mut before, 1, unixfs_len);
    before.extend(unixfs);
    (before, behind)
}

/// The link to the leaf that holds `data`.
pub(super) fn leaf_link(profile: &Profile, data: &[u8]) -> Link {
    let file_bytes = data.len() as u64;
    let (cid, tree_bytes) = if profile.raw_leaves {
        let cid = Cid::of_block(profile.version, Codec::Raw, data);
        (cid, file_bytes)
    } else {
        let block = leaf(data);
        let cid = Cid::of_block(profile.version, Codec::DagPb, &block);
        (cid, block.len() as u64)
    };
    Link {
        cid,
        file_bytes,
        tree_bytes,
    }
}

/// The inner node above `links`, and the link to it.
pub(super) fn inner(version: Version, links: &[Link]) -> (Link, Vec<u8>) {
    let file_bytes = links.iter().map(|link| link.file_bytes).sum();
    let mut unixfs = Vec::new();
    put_number(&mut unixfs, 1, FILE);
    put_number(&mut unixfs, 3, file_bytes);
    for link in links {
        put_number(&mut unixfs, 4, link.file_bytes);
    }
    let mut block = Vec::new();
    let mut encoded = Vec::new();
    // dag-pb specification, "Serial format": links (field 2) come before data (field 1), and a
    // link has hash, name and size in this order; the name is there even when it is empty.
    for link in links {
        encoded.clear();
        put_bytes(&mut encoded, 1, &link.cid.to_bytes());
        put_bytes(&mut encoded, 2, b"");
        put_number(&mut encoded, 3, link.tree_bytes);
        put_bytes(&mut block, 2, &encoded);
    }
    put_bytes(&mut block, 1, &unixfs);
    let below: u64 = links.iter().map(|link| link.tree_bytes).sum();
    let link = Link {
        cid: Cid::of_block(version, Codec::DagPb, &block),
        file_bytes,
        tree_bytes: below + block.len() as u64,
    };
    (link, block)
}
