//! Lists directories.
//!
//! What a directory holds is the publisher's word: nothing but the memory and the time of the reader
//! bounds it. So a listing ends with an error at a number of blocks and of bytes that no real directory has.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};

use super::block::{Kind, fetch, malformed};
use super::directory::{Place, Slot};
use super::{Cid, Codec, NamedLink, Object};
use crate::ranges::arrange;
use crate::source::{Blocks, Error, Result};

/// The most blocks of one directory: with 256 slots each, enough for ten million entries.
const MOST_BLOCKS: usize = 100_000;

/// The most memory for the names of one directory, in bytes.
const MOST_NAMES: usize = 128 << 20;

/// What an entry takes in memory beside its name.
const ENTRY: usize = size_of::<NamedLink>();

/// How many blocks are requested at once.
const REQUESTS: usize = 32;

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its CID.
    pub cid: Cid,
    /// What it is.
    pub kind: ListedKind,
    /// Of a file: its size in bytes. `None` if it is not known.
    pub size: Option<u64>,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListedKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something that is not UnixFS.
    Other,
    /// Its block was not fetched, or no server gave it.
    Unknown,
}

/// Whether `cid` is that of a directory.
pub async fn is_directory(blocks: &dyn Blocks, cid: Cid) -> Result<bool> {
    let object = fetch(blocks, &cid, Kind::First).await?;
    Ok(matches!(
        object,
        Object::Directory(_) | Object::DirectoryShard(_)
    ))
}

/// The entries of directory `cid`, sorted by name; `None` if it is no directory. Only for files of one raw
/// block kind and size are known.
pub async fn list(blocks: &dyn Blocks, cid: Cid) -> Result<Option<Vec<Listed>>> {
    let mut links = match fetch(blocks, &cid, Kind::First).await? {
        Object::Directory(links) => links,
        Object::DirectoryShard(shard) => {
            let mut walk = Walk::default();
            let mut next = walk.take(&cid, Place::default(), Object::DirectoryShard(shard))?;
            while !next.is_empty() {
                let fetches = next.into_iter().map(|(cid, place)| async move {
                    (cid, place, fetch(blocks, &cid, Kind::Node).await)
                });
                let mut fetched = stream::iter(fetches).buffer_unordered(REQUESTS);
                let mut below = Vec::new();
                while let Some((cid, place, object)) = fetched.next().await {
                    below.extend(walk.take(&cid, place, object?)?);
                }
                next = below;
            }
            walk.entries
        }
        _ => return Ok(None),
    };
    arrange(&mut links, |a, b| a.name.cmp(&b.name));
    if let Some(pair) = links.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let what = format!("two entries named '{}'", pair[0].name);
        return Err(malformed(&cid, &what));
    }
    let listed = links.into_iter().map(|link| {
        let is_raw = link.cid.codec() == Codec::Raw;
        Listed {
            name: link.name,
            cid: link.cid,
            kind: if is_raw {
                ListedKind::File
            } else {
                ListedKind::Unknown
            },
            size: link.tree_size.filter(|_| is_raw),
        }
    });
    Ok(Some(listed.collect()))
}

/// Fetches the first blocks of entries of unknown kind to find out kind and size. What cannot be fetched
/// stays unknown.
pub async fn kinds(blocks: &dyn Blocks, entries: &mut [Listed]) {
    let unknown = entries.iter_mut().filter(|e| e.kind == ListedKind::Unknown);
    let fetches = unknown.map(|entry| async {
        let object = fetch(blocks, &entry.cid, Kind::Node).await;
        (entry.kind, entry.size) = match object {
            Ok(Object::File { size, .. }) => (ListedKind::File, Some(size)),
            Ok(Object::Directory(_) | Object::DirectoryShard(_)) => (ListedKind::Directory, None),
            Ok(Object::Symlink { .. }) => (ListedKind::Symlink, None),
            Ok(Object::Other { .. }) => (ListedKind::Other, None),
            Err(error) => {
                log::debug!("{}: {error}", entry.cid);
                (ListedKind::Unknown, None)
            }
        };
    });
    let fetched = stream::iter(fetches).buffer_unordered(REQUESTS);
    fetched.for_each(|()| std::future::ready(())).await;
}

/// A walk through all blocks of a directory.
#[derive(Default)]
struct Walk {
    entries: Vec<NamedLink>,
    seen: HashSet<Cid>,
    /// The memory that the entries take.
    bytes: usize,
}

impl Walk {
    /// Takes a block's entries, and returns the blocks below.
    fn take(&mut self, cid: &Cid, place: Place, object: Object) -> Result<Vec<(Cid, Place)>> {
        let Object::DirectoryShard(shard) = object else {
            return Err(malformed(cid, "it is no part of a directory"));
        };
        let bits = shard.bits();
        let mut below = Vec::new();
        for (slot, leads_to) in shard.into_slots() {
            let place = place.below(slot, bits);
            let place = place.ok_or_else(|| malformed(cid, "a directory that is too deep"))?;
            match leads_to {
                Slot::Below(cid) => {
                    // Names of different slots differ, so two slots share no block.
                    if !self.seen.insert(cid) {
                        return Err(malformed(&cid, "two places in one directory"));
                    }
                    below.push((cid, place));
                }
                Slot::Entry(entry) => {
                    if !place.is_of(&entry.name) {
                        let what = format!("'{}' is in a wrong place", entry.name);
                        return Err(malformed(cid, &what));
                    }
                    self.bytes += entry.name.len() + ENTRY;
                    self.entries.push(entry);
                }
            }
        }
        if self.seen.len() > MOST_BLOCKS || self.bytes > MOST_NAMES {
            return Err(Error::Unsupported {
                what: "the directory has too many entries to list; a path below it can be given"
                    .into(),
            });
        }
        Ok(below)
    }
}
