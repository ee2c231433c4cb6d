//! All blocks of a local file, from the hashes of its leaves.
//!
//! The inner nodes of a balanced tree follow from the leaves' hashes, and the leaves' bytes are in the
//! file. So 36 bytes per leaf suffice to serve any block: 38 MB for a TiB in leaves of 1 MiB.

use std::io::{self, Read};
use std::ops::Range;

use super::node::{self, Link};
use super::{Cid, Codec, Profile};

/// Length of a sha2-256 hash, which all CIDs here have.
const HASH: usize = 32;

/// The hash tree of a local file.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    profile: Profile,
    size: u64,
    root: Cid,
    /// In the order of the file.
    leaves: Vec<[u8; HASH]>,
    /// Levels of inner nodes, from the leaves' parents to the root.
    branches: Vec<Vec<Link>>,
    /// Numbers of all blocks, sorted by hash: leaves are numbered first, then branches by level.
    by_hash: Vec<u32>,
}

/// A block of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// An inner node, encoded.
    Node(Vec<u8>),
    /// A leaf: a range of the file, with its prefix and suffix.
    Leaf {
        /// The prefix; empty in a raw leaf.
        before: Vec<u8>,
        /// The range of the file.
        range: Range<u64>,
        /// The suffix; empty in a raw leaf.
        behind: Vec<u8>,
    },
}

impl Block {
    /// Length of the block in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Block::Node(block) => block.len() as u64,
            Block::Leaf {
                before,
                range,
                behind,
            } => (before.len() + behind.len()) as u64 + range.end - range.start,
        }
    }

    /// Whether it has no bytes: the raw leaf of an empty file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tree {
    /// The tree of the bytes of `reader`. `progress` as in [`import_reader`](super::import_reader).
    pub fn import(
        mut reader: impl Read,
        profile: Profile,
        mut progress: impl FnMut(u64) -> bool,
    ) -> io::Result<Self> {
        let (mut leaves, mut size) = (Vec::new(), 0);
        let mut leaf = Vec::with_capacity(profile.leaf_size);
        loop {
            leaf.clear();
            let mut next = reader.by_ref().take(profile.leaf_size as u64);
            let got = next.read_to_end(&mut leaf)? as u64;
            // An empty file has one leaf.
            if got > 0 || leaves.is_empty() {
                let hash = node::leaf_link(&profile, &leaf).cid.digest().try_into();
                leaves.push(hash.expect("sha2-256 gives 32 bytes"));
            }
            if got == 0 {
                break;
            }
            size += got;
            if !progress(got) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
            }
            // The end was seen. A file that grows meanwhile would give a short leaf in the middle.
            if got < profile.leaf_size as u64 {
                break;
            }
        }
        Self::build(profile, size, leaves)
            .ok_or_else(|| io::Error::other("the file has too many leaves"))
    }

    /// The tree with the concatenated leaf hashes of [`leaf_hashes`](Self::leaf_hashes); `None` if their
    /// number does not fit a file of `size` bytes. The caller compares [`cid`](Self::cid).
    pub fn of_leaf_hashes(profile: Profile, size: u64, hashes: &[u8]) -> Option<Self> {
        let (leaves, rest) = hashes.as_chunks::<HASH>();
        match rest {
            [] => Self::build(profile, size, leaves.to_vec()),
            _ => None,
        }
    }

    /// The tree of a file of one leaf, from its CID; `None` if `cid` does not fit the profile or the file
    /// is longer than a leaf.
    pub fn of_one_leaf(profile: Profile, size: u64, cid: &Cid) -> Option<Self> {
        let tree = Self::of_leaf_hashes(profile, size, cid.digest())?;
        (tree.root == *cid).then_some(tree)
    }

    /// The concatenated hashes of its leaves.
    pub fn leaf_hashes(&self) -> &[u8] {
        self.leaves.as_flattened()
    }

    /// The file's CID.
    pub fn cid(&self) -> Cid {
        self.root
    }

    /// Length of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number of leaves; an empty file has one.
    pub fn leaves(&self) -> usize {
        self.leaves.len()
    }

    /// The block of this CID, in either version. Of identical leaves, any.
    pub fn find(&self, cid: &Cid) -> Option<Block> {
        let wanted = cid.digest();
        let at = self
            .by_hash
            .binary_search_by(|number| self.hash(*number).cmp(wanted))
            .ok()?;
        let number = self.by_hash[at];
        if !self.name(number).names_same(cid) {
            return None;
        }
        Some(self.block(number))
    }

    /// All inner nodes with their CIDs, from the leaves up.
    pub fn nodes(&self) -> impl Iterator<Item = (Cid, Vec<u8>)> {
        let levels = self.branches.iter().enumerate();
        levels.flat_map(move |(level, branches)| {
            let all = branches.iter().enumerate();
            all.map(move |(at, link)| (link.cid, self.node(level, at)))
        })
    }

    fn build(profile: Profile, size: u64, leaves: Vec<[u8; HASH]>) -> Option<Self> {
        let count = size.div_ceil(profile.leaf_size as u64).max(1);
        if leaves.len() as u64 != count {
            return None;
        }
        let mut tree = Self {
            profile,
            size,
            root: leaf_name(profile, &leaves[0]),
            leaves,
            branches: Vec::new(),
            by_hash: Vec::new(),
        };
        let mut below = tree.leaves.len();
        let mut blocks = u32::try_from(below).ok()?;
        while below > 1 {
            let level = tree.branches.len();
            below = below.div_ceil(profile.width);
            let links = (0..below).map(|at| node::inner(profile.version, &tree.links(level, at)).0);
            let links: Vec<Link> = links.collect();
            tree.root = links[0].cid;
            blocks = blocks.checked_add(u32::try_from(below).ok()?)?;
            tree.branches.push(links);
        }
        let mut by_hash: Vec<u32> = (0..blocks).collect();
        by_hash.sort_unstable_by(|a, b| tree.hash(*a).cmp(tree.hash(*b)));
        tree.by_hash = by_hash;
        Some(tree)
    }

    /// The leaf of a block number, or else the level and position of the branch.
    fn place(&self, number: u32) -> Result<usize, (usize, usize)> {
        let number = number as usize;
        let Some(mut at) = number.checked_sub(self.leaves.len()) else {
            return Ok(number);
        };
        let mut level = 0;
        // With the named profiles at most eight levels.
        while at >= self.branches[level].len() {
            at -= self.branches[level].len();
            level += 1;
        }
        Err((level, at))
    }

    fn hash(&self, number: u32) -> &[u8] {
        match self.place(number) {
            Ok(leaf) => &self.leaves[leaf],
            Err((level, at)) => self.branches[level][at].cid.digest(),
        }
    }

    fn name(&self, number: u32) -> Cid {
        match self.place(number) {
            Ok(leaf) => leaf_name(self.profile, &self.leaves[leaf]),
            Err((level, at)) => self.branches[level][at].cid,
        }
    }

    fn block(&self, number: u32) -> Block {
        match self.place(number) {
            Ok(leaf) => {
                let range = self.leaf_range(leaf);
                let (before, behind) = if self.profile.raw_leaves {
                    Default::default()
                } else {
                    node::around_leaf(node::FILE, range.end - range.start)
                };
                Block::Leaf {
                    before,
                    range,
                    behind,
                }
            }
            Err((level, at)) => Block::Node(self.node(level, at)),
        }
    }

    fn node(&self, level: usize, at: usize) -> Vec<u8> {
        node::inner(self.profile.version, &self.links(level, at)).1
    }

    fn leaf_range(&self, leaf: usize) -> Range<u64> {
        let full = self.profile.leaf_size as u64;
        let start = leaf as u64 * full;
        start..(start + full).min(self.size)
    }

    /// The links of a branch; level 0 is right above the leaves.
    fn links(&self, level: usize, at: usize) -> Vec<Link> {
        let width = self.profile.width;
        let here = |below: usize| at * width..((at + 1) * width).min(below);
        match level.checked_sub(1) {
            Some(below) => self.branches[below][here(self.branches[below].len())].to_vec(),
            None => here(self.leaves.len())
                .map(|leaf| self.leaf_link(leaf))
                .collect(),
        }
    }

    fn leaf_link(&self, leaf: usize) -> Link {
        let range = self.leaf_range(leaf);
        let file_bytes = range.end - range.start;
        let around = if self.profile.raw_leaves {
            0
        } else {
            let (before, behind) = node::around_leaf(node::FILE, file_bytes);
            before.len() + behind.len()
        };
        Link {
            cid: leaf_name(self.profile, &self.leaves[leaf]),
            file_bytes,
            tree_bytes: file_bytes + around as u64,
        }
    }
}

fn leaf_name(profile: Profile, hash: &[u8; HASH]) -> Cid {
    let codec = if profile.raw_leaves {
        Codec::Raw
    } else {
        Codec::DagPb
    };
    Cid::from_sha256(profile.version, codec, hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Importer, Version};
    use std::collections::HashMap;

    fn profiles() -> [Profile; 3] {
        [
            Profile::new("raw", 8, 3, true, Version::V1),
            Profile::new("pb0", 8, 3, false, Version::V0),
            Profile::new("pb1", 8, 2, false, Version::V1),
        ]
    }

    /// The block's bytes.
    fn bytes_of(block: Block, file: &[u8]) -> Vec<u8> {
        match block {
            Block::Node(block) => block,
            Block::Leaf {
                before,
                range,
                behind,
            } => {
                let data = &file[range.start as usize..range.end as usize];
                [&before[..], data, &behind].concat()
            }
        }
    }

    #[test]
    fn tree_has_exactly_the_importer_s_blocks() {
        let bytes: Vec<u8> = (0..=255).collect();
        for profile in profiles() {
            for len in [0, 1, 7, 8, 9, 24, 25, 72, 73, 216, 217, 255] {
                let file = &bytes[..len];
                let mut nodes = HashMap::new();
                let mut importer = Importer::with_nodes(profile, |cid, block| {
                    nodes.insert(*cid, block.to_vec());
                });
                importer.push(file);
                let root = importer.finish();
                let tree = Tree::import(file, profile, |_| true).expect("read");
                assert_eq!((tree.cid(), tree.size()), (root, len as u64));
                assert_eq!(tree.nodes().collect::<HashMap<_, _>>(), nodes);
                for (cid, block) in &nodes {
                    assert_eq!(tree.find(cid), Some(Block::Node(block.clone())));
                    assert_eq!(tree.find(&cid.to_v1()), tree.find(cid));
                }
                assert_eq!(tree.leaves(), len.div_ceil(8).max(1));
                for at in 0..tree.leaves() {
                    let data = &file[at * 8..(at * 8 + 8).min(len)];
                    let (codec, block) = if profile.raw_leaves {
                        (Codec::Raw, data.to_vec())
                    } else {
                        (Codec::DagPb, node::leaf(data))
                    };
                    let cid = Cid::of_block(profile.version, codec, &block);
                    let found = tree.find(&cid).expect("a leaf");
                    assert_eq!(found.len(), block.len() as u64);
                    assert_eq!(bytes_of(found, file), block);
                    // The same hash under another codec names no block of the tree.
                    let hash = cid.digest().try_into().expect("32 bytes");
                    let other = Cid::from_sha256(Version::V1, Codec::Other(0x71), hash);
                    assert_eq!(tree.find(&other), None);
                }
                let other = Cid::of_block(Version::V1, Codec::Raw, b"something else");
                assert_eq!(tree.find(&other), None);
            }
        }
    }

    #[test]
    fn tree_is_rebuilt_from_its_leaf_hashes() {
        let bytes = [7; 100];
        for profile in profiles() {
            let tree = Tree::import(&bytes[..], profile, |_| true).expect("read");
            let mut hashes = tree.leaf_hashes().to_vec();
            let again = |size, hashes: &[u8]| Tree::of_leaf_hashes(profile, size, hashes);
            assert_eq!(again(100, &hashes).as_ref(), Some(&tree));
            assert_eq!(again(200, &hashes), None);
            assert_eq!(again(100, &hashes[1..]), None);
            assert_eq!(again(100, &hashes[HASH..]), None);
            hashes[40] ^= 1;
            assert_ne!(again(100, &hashes).expect("a tree").cid(), tree.cid());

            let small = Tree::import(&bytes[..5], profile, |_| true).expect("read");
            let by_cid = |size| Tree::of_one_leaf(profile, size, &small.cid());
            assert_eq!((by_cid(5).as_ref(), by_cid(9)), (Some(&small), None));
            let foreign = Cid::of_block(Version::V1, Codec::Other(0x71), b"x");
            assert_eq!(Tree::of_one_leaf(profile, 5, &foreign), None);
        }
    }

    #[test]
    fn an_import_can_be_stopped() {
        let stopped = Tree::import(&[0; 10][..], profiles()[0], |_| false);
        let kind = stopped.map_err(|e| e.kind());
        assert_eq!(kind, Err(io::ErrorKind::Interrupted));
    }
}
