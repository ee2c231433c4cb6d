//! The DAG index: the inner nodes of a file's hash tree, as far as they were fetched.
//!
//! They tell the offset and hash of each leaf, and are 0.02 % of the data. They are fetched as raw
//! blocks, only for the regions that are read, and cached.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::block::{Kind, fetch, malformed};
use super::{Child, Cid, Codec, MAX_BLOCK, Object, node};
use crate::source::{Blocks, Error, Origin, Result};

/// The deepest tree that is read. Eight levels of 174 children hold more than any disk.
const MAX_DEPTH: usize = 8;

/// The assumed length of a leaf before one is known, in bytes: that of the newer profiles.
const USUAL_LEAF: u64 = 1 << 20;

/// The most children of inner nodes below the root that are cached, about 110 bytes each: enough for
/// 128 GiB in leaves of 1 MiB. The least recently used nodes are evicted and fetched again when they are
/// needed, so a tree of tiny leaves cannot fill the memory.
const MOST_KNOWN: u64 = 128 << 10;

/// The most leaves, or nodes of one level, that one look-up returns. A longer read continues with another
/// look-up and another request for data.
const MOST_AT_ONCE: usize = 1024;

/// The most concurrent requests for nodes of one level.
const REQUESTS: usize = 16;

/// A leaf of the tree and its range of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) cid: Cid,
    pub(super) range: Range<u64>,
}

/// A child of an inner node and its range of the file.
#[derive(Debug, Clone)]
struct ChildRange {
    cid: Cid,
    range: Range<u64>,
    is_leaf: bool,
}

/// A fetched block below the root.
#[derive(Debug, Clone)]
enum Fetched {
    Branch(Arc<Branch>),
    Leaf,
}

/// An inner node.
#[derive(Debug)]
struct Branch {
    /// Each with whether it is known to be a leaf.
    children: Vec<(Cid, bool)>,
    /// The offset of each child within the node's range, then the end of the last.
    edges: Vec<u64>,
}

/// The hash tree of one file.
pub(super) struct DagIndex {
    blocks: Arc<dyn Blocks>,
    root: Arc<Branch>,
    /// Nodes below the root, by CID. Concurrent look-ups share one request.
    known: Cache<Cid, Arc<OnceCell<Fetched>>>,
}

/// A decoded root block.
pub(super) enum Root {
    /// The content of a file of one block.
    Small(Vec<u8>),
    /// The tree of a larger file.
    Tree(DagIndex),
}

impl DagIndex {
    /// Fetches the root.
    pub(super) async fn open(root: Cid, blocks: Arc<dyn Blocks>) -> Result<Root> {
        let unsupported = |what: String| Error::Unsupported { what };
        let (size, data, children) = match fetch(&*blocks, &root, Kind::First).await? {
            Object::File {
                size,
                data,
                children,
            } => (size, data, children),
            Object::Directory(_) | Object::DirectoryShard(_) => {
                return Err(unsupported(format!(
                    "{root} is the CID of a directory; give the CID of the archive in it"
                )));
            }
            Object::Symlink { .. } => {
                return Err(unsupported(format!(
                    "{root} is the CID of a symbolic link; give that of the archive"
                )));
            }
            Object::Other { what } => {
                return Err(unsupported(format!(
                    "{root} is not the CID of a file, but of {what}"
                )));
            }
        };
        if children.is_empty() {
            return Ok(Root::Small(data));
        }
        let root = Arc::new(Branch::of(&root, size, &data, &children)?);
        Ok(Root::Tree(Self {
            blocks,
            root,
            known: Cache::builder()
                .max_capacity(MOST_KNOWN)
                .weigher(|_, cell: &Arc<OnceCell<Fetched>>| match cell.get() {
                    Some(Fetched::Branch(branch)) => 1 + branch.children.len() as u32,
                    _ => 1,
                })
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }))
    }

    /// Length of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.root.len()
    }

    /// The leaves that overlap `range`, in order, at most about [`MOST_AT_ONCE`]. Fetches missing nodes,
    /// those of one level concurrently.
    pub(super) async fn leaves(&self, range: &Range<u64>) -> Result<Vec<Leaf>> {
        let mut places: Vec<ChildRange> =
            self.root.overlapping(0, range).take(MOST_AT_ONCE).collect();
        // One step more than levels: a leaf may have to be fetched to be recognized.
        for _ in 0..=MAX_DEPTH {
            if places.iter().all(|place| place.is_leaf) {
                let leaves = places
                    .into_iter()
                    .map(|ChildRange { cid, range, .. }| Leaf { cid, range });
                return Ok(leaves.collect());
            }
            let below = stream::iter(places).map(|place| self.below(place, range));
            let mut below = below.buffered(REQUESTS);
            let mut next = Vec::new();
            while let Some(places) = below.try_next().await? {
                next.extend(places);
                if next.len() >= MOST_AT_ONCE {
                    next.truncate(MOST_AT_ONCE);
                    break;
                }
            }
            drop(below);
            places = next;
        }
        Err(Error::Unsupported {
            what: format!("the CID's tree is deeper than {MAX_DEPTH} levels"),
        })
    }

    /// The children of a node that overlap `range`; a leaf stays as it is.
    async fn below(&self, place: ChildRange, range: &Range<u64>) -> Result<Vec<ChildRange>> {
        if place.is_leaf {
            return Ok(vec![place]);
        }
        let len = place.range.end - place.range.start;
        Ok(match self.fetch_node(&place.cid, len).await? {
            Fetched::Leaf => vec![ChildRange {
                is_leaf: true,
                ..place
            }],
            Fetched::Branch(branch) => {
                let overlapping = branch.overlapping(place.range.start, range);
                overlapping.take(MOST_AT_ONCE).collect()
            }
        })
    }

    /// Widens `range` to whole leaves. Where nodes were not fetched, assumes leaves of the usual length.
    pub(super) fn bounds(&self, range: &Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return range.clone();
        }
        let first = self.leaf_at(range.start);
        let last = if first.contains(&(range.end - 1)) {
            first.clone()
        } else {
            self.leaf_at(range.end - 1)
        };
        first.start..last.end
    }

    fn leaf_at(&self, at: u64) -> Range<u64> {
        let (mut branch, mut start) = (self.root.clone(), 0);
        // Ends, since `leaves` never caches nodes of a deeper tree.
        loop {
            let Some(place) = branch.overlapping(start, &(at..at + 1)).next() else {
                return at..at + 1; // past the end
            };
            let cell = self.known.get(&place.cid);
            match cell.as_ref().and_then(|cell| cell.get()) {
                _ if place.is_leaf => return place.range,
                Some(Fetched::Leaf) => return place.range,
                Some(Fetched::Branch(known)) => {
                    (branch, start) = (known.clone(), place.range.start);
                }
                None => {
                    let begin = at - (at - place.range.start) % USUAL_LEAF;
                    return begin..(begin + USUAL_LEAF).min(place.range.end);
                }
            }
        }
    }

    /// Fetches a block below the root that should hold `len` bytes of the file, unless it is cached.
    async fn fetch_node(&self, cid: &Cid, len: u64) -> Result<Fetched> {
        let cell = self.known.get_with(*cid, Arc::default);
        if let Some(known) = cell.get() {
            // Two parents may share a child, and one may have a wrong size for it.
            return known.with_len(cid, len);
        }
        let fetched = cell.get_or_try_init(|| async {
            match fetch(&*self.blocks, cid, Kind::Node).await? {
                Object::File {
                    size,
                    data,
                    children,
                } if !children.is_empty() => {
                    let branch = Branch::of(cid, size, &data, &children)?;
                    Ok(Fetched::Branch(Arc::new(branch)))
                }
                Object::File { size, .. } if size == len => Ok(Fetched::Leaf),
                _ => Err(wrong_size(cid, len)),
            }
        });
        let known = fetched.await?.with_len(cid, len)?;
        // Inserted again, since its weight is known now.
        self.known.insert(*cid, cell);
        Ok(known)
    }

    /// Fetches a leaf as a block, if its range is refused or does not verify.
    pub(super) async fn leaf(&self, leaf: &Leaf) -> Result<Vec<u8>> {
        let len = leaf.range.end - leaf.range.start;
        match fetch(&*self.blocks, &leaf.cid, Kind::Leaf).await? {
            Object::File { data, children, .. }
                if children.is_empty() && data.len() as u64 == len =>
            {
                Ok(data)
            }
            _ => Err(wrong_size(&leaf.cid, len)),
        }
    }
}

impl Fetched {
    fn with_len(&self, cid: &Cid, len: u64) -> Result<Self> {
        match self {
            Fetched::Branch(branch) if branch.len() != len => Err(wrong_size(cid, len)),
            known => Ok(known.clone()),
        }
    }
}

fn wrong_size(cid: &Cid, len: u64) -> Error {
    malformed(
        cid,
        &format!("it does not hold {len} bytes of the file, as its parent says"),
    )
}

impl Branch {
    /// The inner node with these children.
    fn of(cid: &Cid, size: u64, data: &[u8], children: &[Child]) -> Result<Self> {
        if !data.is_empty() {
            return Err(Error::Unsupported {
                what: format!(
                    "the CID's tree is of an unknown layout: inner node {cid} holds data itself"
                ),
            });
        }
        let mut edges = Vec::with_capacity(children.len() + 1);
        edges.push(0);
        // Decoding has checked that the sizes add up to `size` without overflow.
        edges.extend(children.iter().scan(0u64, |at, child| {
            *at = at.saturating_add(child.size);
            Some(*at)
        }));
        debug_assert_eq!(edges.last(), Some(&size));
        let kinds = children.iter().map(|child| {
            let is_leaf = is_leaf(child).map_err(|what| malformed(cid, &what))?;
            Ok((child.cid, is_leaf))
        });
        Ok(Self {
            children: kinds.collect::<Result<_>>()?,
            edges,
        })
    }

    fn len(&self) -> u64 {
        self.edges.last().copied().unwrap_or(0)
    }

    /// The children that overlap `range`, with their ranges of the file. This node begins at `start`.
    fn overlapping(&self, start: u64, range: &Range<u64>) -> impl Iterator<Item = ChildRange> {
        let from = range.start.saturating_sub(start);
        let to = range.end.saturating_sub(start).min(self.len());
        // The last child that begins at or before `from`.
        let first = self
            .edges
            .partition_point(|edge| *edge <= from)
            .saturating_sub(1);
        let children = self.children.iter().zip(self.edges.windows(2)).skip(first);
        children
            .take_while(move |(_, edge)| edge[0] < to)
            // Empty children are skipped.
            .filter(|(_, edge)| edge[0] < edge[1])
            .map(move |((cid, is_leaf), edge)| ChildRange {
                cid: *cid,
                range: start + edge[0]..start + edge[1],
                is_leaf: *is_leaf,
            })
    }
}

/// Whether a child is known to be a leaf; if not, it is fetched when it is needed.
///
/// # Errors
/// If it cannot be part of a file.
fn is_leaf(child: &Child) -> std::result::Result<bool, String> {
    match child.cid.codec() {
        // No implementation exchanges such a block, and it cannot be verified in parts.
        Codec::Raw if child.size > MAX_BLOCK as u64 => {
            Err(format!("a leaf of {} bytes is too large", child.size))
        }
        Codec::Raw => Ok(true),
        // A dag-pb child of at most a block may be a leaf, or a branch of small leaves, whose blocks have
        // more overhead. If the link's size is wrong, the leaf does not verify.
        Codec::DagPb if child.size <= MAX_BLOCK as u64 => {
            let (before, behind) = node::around_leaf(node::FILE, child.size);
            let as_leaf = child.size + (before.len() + behind.len()) as u64;
            Ok(child.tree_size == Some(as_leaf))
        }
        Codec::DagPb => Ok(false),
        Codec::Other(code) => Err(format!("a block of codec 0x{code:x} is no part of a file")),
    }
}

/// The origin of bytes that came as verified blocks.
pub(super) fn block_origin() -> Origin {
    Origin::new("block")
}
