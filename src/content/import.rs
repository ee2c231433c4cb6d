//! Computes the CID of a stream of bytes.
//!
//! Builds a balanced tree from the left while the bytes arrive. Memory holds one leaf and, for each level,
//! fewer than `width` links that have no parent yet.

use std::io::{self, Read};

use super::node::{self, Link};
use super::{Cid, Profile};

/// How many bytes [`import_reader`] reads at once.
const CHUNK: usize = 1 << 20;

/// Takes a file's bytes in chunks of any length and computes its CID.
pub struct Importer<'a> {
    profile: Profile,
    /// The bytes of an incomplete leaf.
    partial: Vec<u8>,
    /// For each level, from the leaves up, the links without a parent.
    levels: Vec<Vec<Link>>,
    on_node: Box<OnNode<'a>>,
}

/// Called with the CID and the block of each inner node.
type OnNode<'a> = dyn FnMut(&Cid, &[u8]) + Send + 'a;

impl<'a> Importer<'a> {
    /// An importer that computes only the CID.
    pub fn new(profile: Profile) -> Self {
        Self::with_nodes(profile, |_, _| {})
    }

    /// An importer that also reports each inner node, children before parents. A verifier needs these
    /// besides the file. A file of one leaf has none.
    pub fn with_nodes(profile: Profile, on_node: impl FnMut(&Cid, &[u8]) + Send + 'a) -> Self {
        Self {
            profile,
            partial: Vec::new(),
            levels: vec![Vec::new()],
            on_node: Box::new(on_node),
        }
    }

    /// The next bytes of the file.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let full = self.profile.leaf_size;
        while !bytes.is_empty() {
            // Whole leaves are hashed in place.
            if self.partial.is_empty() && bytes.len() >= full {
                let (leaf, rest) = bytes.split_at(full);
                self.add(0, node::leaf_link(&self.profile, leaf));
                bytes = rest;
                continue;
            }
            let (more, rest) = bytes.split_at(bytes.len().min(full - self.partial.len()));
            self.partial.extend_from_slice(more);
            bytes = rest;
            if self.partial.len() == full {
                self.add_partial();
            }
        }
    }

    /// The CID of all bytes pushed.
    pub fn finish(mut self) -> Cid {
        let is_empty = self.levels.iter().all(Vec::is_empty);
        if !self.partial.is_empty() || is_empty {
            self.add_partial();
        }
        // From the leaves up, the remaining links of each level get a parent, until one link is left. A
        // single leaf is the root itself.
        let mut level = 0;
        loop {
            let is_top = level + 1 == self.levels.len();
            match &self.levels[level][..] {
                [root] if is_top => return root.cid,
                [] => {}
                _ => self.gather(level),
            }
            level += 1;
        }
    }

    fn add_partial(&mut self) {
        let link = node::leaf_link(&self.profile, &self.partial);
        self.partial.clear();
        self.add(0, link);
    }

    fn add(&mut self, level: usize, link: Link) {
        self.levels[level].push(link);
        if self.levels[level].len() == self.profile.width {
            self.gather(level);
        }
    }

    /// Creates the parent of the remaining links of a level and adds it to the level above.
    fn gather(&mut self, level: usize) {
        let links = std::mem::take(&mut self.levels[level]);
        let (link, block) = node::inner(self.profile.version, &links);
        (self.on_node)(&link.cid, &block);
        if level + 1 == self.levels.len() {
            self.levels.push(Vec::new());
        }
        self.add(level + 1, link);
    }
}

/// The CID of the bytes of `reader`, and their number. Calls `progress` with the length of each chunk; if
/// it returns `false`, the import ends with [`io::ErrorKind::Interrupted`].
pub fn import_reader(
    mut reader: impl Read,
    profile: Profile,
    mut progress: impl FnMut(u64) -> bool,
) -> io::Result<(Cid, u64)> {
    let mut importer = Importer::new(profile);
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let got = match reader.read(&mut chunk) {
            Ok(0) => return Ok((importer.finish(), size)),
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        importer.push(&chunk[..got]);
        size += got as u64;
        if !progress(got as u64) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Object, Version};
    use std::collections::HashMap;

    const TINY: Profile = Profile::new("tiny", 8, 3, true, Version::V1);

    fn cid_of(bytes: &[u8], chunk: usize) -> Cid {
        let mut importer = Importer::new(TINY);
        bytes.chunks(chunk).for_each(|chunk| importer.push(chunk));
        importer.finish()
    }

    #[test]
    fn chunking_does_not_change_the_cid() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in [0, 1, 8, 23, 24, 25, 72, 255] {
            let whole = cid_of(&bytes[..len], 1024);
            for chunk in [1, 3, 7, 8, 9, 16, 17] {
                assert_eq!(cid_of(&bytes[..len], chunk), whole, "{len} by {chunk}");
            }
        }
    }

    #[test]
    fn the_nodes_lead_from_the_root_to_every_byte() {
        let bytes: Vec<u8> = (0..=255).collect();
        for profile in [TINY, Profile::new("pb", 8, 3, false, Version::V0)] {
            let mut nodes = HashMap::new();
            let mut importer = Importer::with_nodes(profile, |cid, block| {
                nodes.insert(*cid, block.to_vec());
            });
            importer.push(&bytes);
            let root = importer.finish();
            let (mut at, mut todo) = (0, vec![(root, bytes.len() as u64)]);
            while let Some((cid, size)) = todo.pop() {
                if let Some(block) = nodes.get(&cid) {
                    assert_eq!(cid.verify(block), Ok(()));
                    let Ok(Object::File {
                        size: says,
                        data,
                        children,
                    }) = Object::decode(&cid, block)
                    else {
                        panic!("{cid} is a file's node");
                    };
                    assert_eq!((says, data.len()), (size, 0));
                    assert!(children.len() <= 3);
                    todo.extend(children.iter().rev().map(|c| (c.cid, c.size)));
                } else {
                    let data = &bytes[at..at + size as usize];
                    let block = if profile.raw_leaves {
                        data.to_vec()
                    } else {
                        node::leaf(data)
                    };
                    assert_eq!(cid.verify(&block), Ok(()), "the leaf at {at}");
                    at += data.len();
                }
            }
            assert_eq!(at, bytes.len());
            // 32 leaves: 11 nodes, 4 above them, 2 above those, and the root.
            assert_eq!(nodes.len(), 18);
        }
    }

    #[test]
    fn an_import_can_be_stopped() {
        let stopped = import_reader(&[0; 10][..], TINY, |_| false);
        assert_eq!(
            stopped.map_err(|e| e.kind()),
            Err(io::ErrorKind::Interrupted)
        );
        let done = import_reader(&[1, 2][..], TINY, |_| true).expect("read");
        assert_eq!(done, (cid_of(&[1, 2], 2), 2));
    }
}
