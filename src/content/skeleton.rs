//! The inner nodes of a file's tree, as far as they are known.
//!
//! They say where leaves begin and what they hash to: a fiftieth of a percent of the data, fetched
//! as raw blocks, each once, only for the regions that are read, and kept.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use tokio::sync::OnceCell;

use super::{Child, Cid, Codec, MAX_BLOCK, Object, node};
use crate::source::{Blocks, Error, Origin, Proof, Result};

/// Trees deeper than this are refused. Eight levels of 174 children hold more than any disk.
const MAX_DEPTH: usize = 8;

/// What leaves are taken to be long until one is known, in bytes; those of the newer profiles are.
const USUAL_LEAF: u64 = 1 << 20;

/// A leaf of the tree and which bytes of the file it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) cid: Cid,
    pub(super) range: Range<u64>,
}

/// An inner node: children one behind the other.
#[derive(Debug)]
struct Branch {
    children: Vec<Child>,
    /// Where each child begins, counted from the node's own beginning, and where the last ends.
    edges: Vec<u64>,
    /// Whether the children are leaves; else they are branches.
    holds_leaves: bool,
}

/// The tree of one file.
pub(super) struct Skeleton {
    blocks: Arc<dyn Blocks>,
    root: Arc<Branch>,
    /// Below the root, by CID; each asked for by one, and waited for by the others.
    known: Mutex<HashMap<Cid, Arc<OnceCell<Arc<Branch>>>>>,
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
        let (size, data, children) = match fetch(&*blocks, &root).await? {
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
        let root = Arc::new(branch(&*blocks, &root, size, &data, children).await?);
        Ok(Root::Tree(Self {
            blocks,
            root,
            known: Mutex::default(),
        }))
    }

    /// Length of the file in bytes.
    pub(super) fn size(&self) -> u64 {
        self.root.len()
    }

    /// The leaves that hold `range`, in order; their nodes are fetched if need be, those of one
    /// level at once.
    pub(super) async fn leaves(&self, range: &Range<u64>) -> Result<Vec<Leaf>> {
        self.leaves_below(self.root.clone(), 0, range, 1).await
    }

    fn leaves_below<'a>(
        &'a self,
        branch: Arc<Branch>,
        start: u64,
        range: &'a Range<u64>,
        depth: usize,
    ) -> BoxFuture<'a, Result<Vec<Leaf>>> {
        async move {
            let touched = branch.touched(start, range);
            if branch.holds_leaves {
                return Ok(touched.collect());
            }
            if depth >= MAX_DEPTH {
                return Err(Error::Unsupported {
                    what: format!("the CID's tree is deeper than {MAX_DEPTH} levels"),
                });
            }
            let below = touched.map(|child| async move {
                let len = child.range.end - child.range.start;
                let branch = self.branch(&child.cid, len).await?;
                let start = child.range.start;
                self.leaves_below(branch, start, range, depth + 1).await
            });
            Ok(try_join_all(below).await?.concat())
        }
        .boxed()
    }

    /// The smallest range around `range` that begins and ends with leaves, by what is known; where
    /// nothing is, leaves are taken to be of the usual length.
    pub(super) fn bounds(&self, range: &Range<u64>) -> Range<u64> {
        if range.is_empty() {
            return range.clone();
        }
        let first = self.leaf_at(range.start);
        let last = match first.contains(&(range.end - 1)) {
            true => first.clone(),
            false => self.leaf_at(range.end - 1),
        };
        first.start..last.end
    }

    fn leaf_at(&self, place: u64) -> Range<u64> {
        let (mut branch, mut start) = (self.root.clone(), 0);
        let here = place..place + 1;
        loop {
            let child = branch.touched(start, &here).next();
            let Some(child) = child else {
                return place..place + 1; // behind the end
            };
            if branch.holds_leaves {
                return child.range;
            }
            let cell = self.cell(&child.cid);
            let Some(known) = cell.get() else {
                let begin = place - (place - child.range.start) % USUAL_LEAF;
                return begin..(begin + USUAL_LEAF).min(child.range.end);
            };
            (branch, start) = (known.clone(), child.range.start);
        }
    }

    fn cell(&self, cid: &Cid) -> Arc<OnceCell<Arc<Branch>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(*cid).or_default().clone()
    }

    async fn branch(&self, cid: &Cid, len: u64) -> Result<Arc<Branch>> {
        let cell = self.cell(cid);
        let fetched = cell.get_or_try_init(|| async {
            match fetch(&*self.blocks, cid).await? {
                Object::File {
                    size,
                    data,
                    children,
                } if size == len && !children.is_empty() => Ok(Arc::new(
                    branch(&*self.blocks, cid, size, &data, children).await?,
                )),
                _ => Err(Error::Unsupported {
                    what: format!(
                        "the CID's tree is malformed: block {cid} is no inner node of {len} bytes"
                    ),
                }),
            }
        });
        fetched.await.cloned()
    }

    /// A leaf as a block, for when its bytes cannot be had or proven otherwise.
    pub(super) async fn leaf(&self, leaf: &Leaf) -> Result<Vec<u8>> {
        let len = leaf.range.end - leaf.range.start;
        match fetch(&*self.blocks, &leaf.cid).await? {
            Object::File { data, children, .. }
                if children.is_empty() && data.len() as u64 == len =>
            {
                Ok(data)
            }
            _ => Err(Error::Unsupported {
                what: format!(
                    "the CID's tree is malformed: block {} is no leaf of {len} bytes",
                    leaf.cid
                ),
            }),
        }
    }
}

impl Branch {
    fn len(&self) -> u64 {
        self.edges.last().copied().unwrap_or(0)
    }

    /// The children that hold some of `range`, with their places in the file; this node begins at
    /// `start` of it.
    fn touched(&self, start: u64, range: &Range<u64>) -> impl Iterator<Item = Leaf> {
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
            .map(move |(child, edge)| Leaf {
                cid: child.cid,
                range: start + edge[0]..start + edge[1],
            })
    }
}

/// The inner node of these children. In a balanced tree all are of one kind, so one tells.
async fn branch(
    blocks: &dyn Blocks,
    cid: &Cid,
    size: u64,
    data: &[u8],
    children: Vec<Child>,
) -> Result<Branch> {
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
    let holds_leaves = match children.first() {
        Some(child) => is_leaf(blocks, child).await?,
        None => true,
    };
    Ok(Branch {
        children,
        edges,
        holds_leaves,
    })
}

/// Whether a child is a leaf.
async fn is_leaf(blocks: &dyn Blocks, child: &Child) -> Result<bool> {
    if child.cid.codec() != Codec::DagPb {
        return Ok(true);
    }
    if child.size > MAX_BLOCK as u64 {
        return Ok(false);
    }
    // A dag-pb child as small as a block may be a leaf, or a branch of small leaves, which has far
    // more around them. If the link lies, its leaves do not prove.
    let (before, behind) = node::around_leaf(child.size);
    let as_leaf = child.size + (before.len() + behind.len()) as u64;
    if child.tree_size == Some(as_leaf) {
        return Ok(true);
    }
    Ok(match fetch(blocks, &child.cid).await? {
        Object::File { children, .. } => children.is_empty(),
        _ => true,
    })
}

/// Fetches a block, proves and reads it.
async fn fetch(blocks: &dyn Blocks, cid: &Cid) -> Result<Object> {
    let malformed = |what: String| Error::Unsupported {
        what: format!("the CID's tree is malformed: block {cid}: {what}"),
    };
    let block = match cid.inlined() {
        Some(block) => block.to_vec().into(),
        None => {
            let wanted = *cid;
            let proof: Proof = Arc::new(move |block| wanted.verify(block).is_ok());
            if let Err(super::Mismatch::UnknownHash { code }) = cid.verify(&[]) {
                return Err(Error::Unsupported {
                    what: format!(
                        "{cid} has a hash of unknown kind (0x{code:x}), which cannot be verified; leave '--verify trustless' out to go on without proof"
                    ),
                });
            }
            blocks.block(&cid.to_string(), MAX_BLOCK, proof).await?
        }
    };
    Object::decode(cid, &block).map_err(|e| malformed(e.to_string()))
}

/// Who gave something, if nobody in particular did.
pub(super) fn nobody() -> Origin {
    Origin::new("block")
}
