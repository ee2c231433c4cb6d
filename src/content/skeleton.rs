//! The inner nodes of a file's tree, as far as they are known.
//!
//! They say where leaves begin and what they hash to: a fiftieth of a percent of the data, fetched
//! as raw blocks, each once, only for the regions that are read, and kept.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::{Child, Cid, Codec, MAX_BLOCK, Object, node};
use crate::source::{Blocks, Error, Origin, Proof, Result};

/// Trees deeper than this are refused. Eight levels of 174 children hold more than any disk.
const MAX_DEPTH: usize = 8;

/// What leaves are taken to be long until one is known, in bytes; those of the newer profiles are.
const USUAL_LEAF: u64 = 1 << 20;

/// How many children of inner nodes are remembered below the root, each in some 110 bytes: those of
/// 128 GiB in leaves of 1 MiB. The nodes used least recently make room, and are fetched again when
/// they are needed; a tree of tiny leaves cannot fill the memory.
const MOST_KNOWN: u64 = 128 << 10;

/// How many leaves, or nodes of one level, are looked at together. A read of more goes on behind
/// them, with another request for the data.
const MOST_AT_ONCE: usize = 1024;

/// How many nodes of one level are asked for at the same time.
const REQUESTS: usize = 16;

/// A leaf of the tree and which bytes of the file it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) cid: Cid,
    pub(super) range: Range<u64>,
}

/// A child of an inner node, and which bytes of the file lie below it.
#[derive(Debug, Clone)]
struct Place {
    cid: Cid,
    range: Range<u64>,
    is_leaf: bool,
}

/// What a block below the root turned out to be.
#[derive(Debug, Clone)]
enum Known {
    Branch(Arc<Branch>),
    Leaf,
}

/// An inner node: children one behind the other.
#[derive(Debug)]
struct Branch {
    /// With whether each is known to be a leaf.
    children: Vec<(Cid, bool)>,
    /// Where each child begins, counted from the node's own beginning, and where the last ends.
    edges: Vec<u64>,
}

/// The tree of one file.
pub(super) struct Skeleton {
    blocks: Arc<dyn Blocks>,
    root: Arc<Branch>,
    /// Below the root, by CID; each asked for by one, and waited for by the others.
    known: Cache<Cid, Arc<OnceCell<Known>>>,
}

/// What a root block turned out to be.
pub(super) enum Root {
    /// All of a small file.
    Small(Vec<u8>),
    /// The tree of a large one.
    Tree(Skeleton),
}

impl Skeleton {
    /// Fetches the root of a file's tree.
    pub(super) async fn open(root: Cid, blocks: Arc<dyn Blocks>) -> Result<Root> {
        let unsupported = |what: String| Error::Unsupported { what };
        let (size, data, children) = match fetch(&*blocks, &root, Kind::Node).await? {
            Object::File {
                size,
                data,
                children,
            } => (size, data, children),
            Object::Directory | Object::DirectoryShard => {
                return Err(unsupported(format!(
                    "{root} is the CID of a directory; give the CID of the archive in it"
                )));
            }
            Object::Symlink => {
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
                .weigher(|_, cell: &Arc<OnceCell<Known>>| match cell.get() {
                    Some(Known::Branch(branch)) => 1 + branch.children.len() as u32,
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

    /// The leaves that hold `range`, in order, or the first of them if they are very many; their
    /// nodes are fetched if need be, those of one level at once.
    pub(super) async fn leaves(&self, range: &Range<u64>) -> Result<Vec<Leaf>> {
        let mut places: Vec<Place> = self.root.touched(0, range).take(MOST_AT_ONCE).collect();
        // Once more than there are levels: leaves may have to be looked at to be known as such.
        for _ in 0..=MAX_DEPTH {
            if places.iter().all(|place| place.is_leaf) {
                let leaves = places
                    .into_iter()
                    .map(|Place { cid, range, .. }| Leaf { cid, range });
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

    /// What lies at a place one level further down, as far as it holds some of `range`.
    async fn below(&self, place: Place, range: &Range<u64>) -> Result<Vec<Place>> {
        if place.is_leaf {
            return Ok(vec![place]);
        }
        let len = place.range.end - place.range.start;
        Ok(match self.look_at(&place.cid, len).await? {
            Known::Leaf => vec![Place {
                is_leaf: true,
                ..place
            }],
            Known::Branch(branch) => {
                let touched = branch.touched(place.range.start, range);
                touched.take(MOST_AT_ONCE).collect()
            }
        })
    }

    /// The smallest range around `range` that begins and ends with leaves, by what is known; where
    /// nothing is, leaves are taken to be of the usual length.
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
        // `leaves` refuses what is deeper, so it is not known.
        loop {
            let Some(place) = branch.touched(start, &(at..at + 1)).next() else {
                return at..at + 1; // behind the end
            };
            let cell = self.known.get(&place.cid);
            match cell.as_ref().and_then(|cell| cell.get()) {
                _ if place.is_leaf => return place.range,
                Some(Known::Leaf) => return place.range,
                Some(Known::Branch(known)) => {
                    (branch, start) = (known.clone(), place.range.start);
                }
                None => {
                    let begin = at - (at - place.range.start) % USUAL_LEAF;
                    return begin..(begin + USUAL_LEAF).min(place.range.end);
                }
            }
        }
    }

    /// Finds out what a block below the root is that holds `len` bytes of the file.
    async fn look_at(&self, cid: &Cid, len: u64) -> Result<Known> {
        let cell = self.known.get_with(*cid, Arc::default);
        if let Some(known) = cell.get() {
            // Two parents may share a child, and one of them may lie about its size.
            return known.of_len(cid, len);
        }
        let fetched = cell.get_or_try_init(|| async {
            match fetch(&*self.blocks, cid, Kind::Node).await? {
                Object::File {
                    size,
                    data,
                    children,
                } if !children.is_empty() => {
                    let branch = Branch::of(cid, size, &data, &children)?;
                    Ok(Known::Branch(Arc::new(branch)))
                }
                Object::File { size, .. } if size == len => Ok(Known::Leaf),
                _ => Err(wrong_size(cid, len)),
            }
        });
        let known = fetched.await?.of_len(cid, len)?;
        // Anew, for its weight is known now.
        self.known.insert(*cid, cell);
        Ok(known)
    }

    /// A leaf as a block, for when its bytes cannot be had or proven otherwise.
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

impl Known {
    fn of_len(&self, cid: &Cid, len: u64) -> Result<Self> {
        match self {
            Known::Branch(branch) if branch.len() != len => Err(wrong_size(cid, len)),
            known => Ok(known.clone()),
        }
    }
}

fn wrong_size(cid: &Cid, len: u64) -> Error {
    malformed(
        cid,
        &format!("it does not hold {len} bytes of the file, as said above it"),
    )
}

fn malformed(cid: &Cid, what: &str) -> Error {
    Error::Unsupported {
        what: format!("the CID's tree is malformed: block {cid}: {what}"),
    }
}

impl Branch {
    /// The inner node of these children.
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
        // They were compared with `size`, also for overflow, when the node was decoded.
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

    /// The children that hold some of `range`, with their places in the file; this node begins at
    /// `start` of it.
    fn touched(&self, start: u64, range: &Range<u64>) -> impl Iterator<Item = Place> {
        let from = range.start.saturating_sub(start);
        let to = range.end.saturating_sub(start).min(self.len());
        // The last child that begins at or before `from`; of those without bytes the last.
        let first = self
            .edges
            .partition_point(|edge| *edge <= from)
            .saturating_sub(1);
        let children = self.children.iter().zip(self.edges.windows(2)).skip(first);
        children
            .take_while(move |(_, edge)| edge[0] < to)
            // What holds nothing of the file need not be looked at.
            .filter(|(_, edge)| edge[0] < edge[1])
            .map(move |((cid, is_leaf), edge)| Place {
                cid: *cid,
                range: start + edge[0]..start + edge[1],
                is_leaf: *is_leaf,
            })
    }
}

/// Whether a child is known to be a leaf; else it is looked at when it is needed.
fn is_leaf(child: &Child) -> std::result::Result<bool, String> {
    match child.cid.codec() {
        // Nobody exchanges such a block, and it could not be proven in pieces.
        Codec::Raw if child.size > MAX_BLOCK as u64 => {
            Err(format!("a leaf of {} bytes is too large", child.size))
        }
        Codec::Raw => Ok(true),
        // A dag-pb child as small as a block may be a leaf, or a branch of small leaves, which has
        // far more around them. If the link lies, its leaves do not prove.
        Codec::DagPb if child.size <= MAX_BLOCK as u64 => {
            let (before, behind) = node::around_leaf(child.size);
            let as_leaf = child.size + (before.len() + behind.len()) as u64;
            Ok(child.tree_size == Some(as_leaf))
        }
        Codec::DagPb => Ok(false),
        Codec::Other(code) => Err(format!("a block of codec 0x{code:x} is no part of a file")),
    }
}

/// What a block is fetched as.
enum Kind {
    Node,
    Leaf,
}

/// Fetches a block, proves and reads it.
async fn fetch(blocks: &dyn Blocks, cid: &Cid, kind: Kind) -> Result<Object> {
    let block = match cid.inlined() {
        Some(block) => block.to_vec().into(),
        None => {
            let wanted = *cid;
            let proof: Proof = Arc::new(move |block| wanted.verify(block).is_ok());
            if let Err(super::Mismatch::UnknownHash { code }) = cid.verify(&[]) {
                return Err(Error::Unsupported {
                    what: format!(
                        "{cid} has a hash of unknown kind (0x{code:x}), which cannot be verified; '--verify crc' goes on without proof"
                    ),
                });
            }
            let name = cid.to_string();
            match kind {
                Kind::Node => blocks.block(&name, MAX_BLOCK, proof).await?,
                Kind::Leaf => blocks.leaf_block(&name, MAX_BLOCK, proof).await?,
            }
        }
    };
    Object::decode(cid, &block).map_err(|e| malformed(cid, &e.to_string()))
}

/// Who gave something, if nobody in particular did.
pub(super) fn nobody() -> Origin {
    Origin::new("block")
}
