//! Decodes blocks strictly: dag-pb nodes and the UnixFS message inside.
//!
//! Blocks are untrusted input. Memory is bounded by the block, which has at most [`MAX_BLOCK`] bytes; no
//! count in a block is trusted for an allocation.

use thiserror::Error;

use super::directory::{NamedLink, Shard};
use super::protobuf::{Fields, Malformed, Value, take_varint};
use super::{Cid, Codec, ParseCidError};

/// The largest block in bytes, which all implementations exchange (trustless gateway specification,
/// "block size limit").
pub const MAX_BLOCK: usize = 2 << 20;

/// A decoded block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// A file, or a part of one: its bytes are `data`, then those of the children in order.
    File {
        /// Total length in bytes.
        size: u64,
        /// The bytes in this block.
        data: Vec<u8>,
        /// The blocks below; their sizes and `data` add up to `size`.
        children: Vec<Child>,
    },
    /// A directory of one block.
    Directory(Vec<NamedLink>),
    /// A part of a directory that is split into many blocks (a HAMT shard).
    DirectoryShard(Shard),
    /// A symbolic link.
    Symlink {
        /// Its target.
        target: Vec<u8>,
    },
    /// Another codec, another UnixFS type, or dag-pb without UnixFS.
    Other {
        /// Its description for messages.
        what: String,
    },
}

/// A child of a file's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Its CID.
    pub cid: Cid,
    /// The number of bytes of the file below it.
    pub size: u64,
    /// The total size of its block and all blocks below ("Tsize"), if the link has it: an unchecked hint.
    pub tree_size: Option<u64>,
}

impl Object {
    /// Decodes a block by its CID's codec. The caller has verified it ([`Cid::verify`]).
    ///
    /// # Errors
    /// If the block is too large or malformed.
    pub fn decode(cid: &Cid, block: &[u8]) -> Result<Self, DecodeError> {
        if block.len() > MAX_BLOCK {
            return Err(DecodeError::TooLarge { len: block.len() });
        }
        match cid.codec() {
            Codec::Raw => Ok(Object::File {
                size: block.len() as u64,
                data: block.to_vec(),
                children: Vec::new(),
            }),
            Codec::DagPb => Self::of_node(PbNode::decode(block)?),
            Codec::Other(code) => Ok(Object::Other {
                what: format!("a block of codec 0x{code:x}"),
            }),
        }
    }

    fn of_node(node: PbNode<'_>) -> Result<Self, DecodeError> {
        let Some(data) = node.data else {
            return Ok(Object::Other {
                what: "a dag-pb node without UnixFS".into(),
            });
        };
        let unixfs = UnixFs::decode(data)?;
        match unixfs.kind {
            // 0 is "raw": leaves of old importers.
            0 | 2 => unixfs.into_file(&node.links),
            1 => Ok(Object::Directory(node.links)),
            4 => Ok(Object::Symlink {
                target: unixfs.data.to_vec(),
            }),
            5 => {
                let shard = Shard::new(unixfs.hash, unixfs.fanout, node.links);
                Ok(Object::DirectoryShard(shard.map_err(malformed)?))
            }
            kind => Ok(Object::Other {
                what: format!("UnixFS of type {kind}"),
            }),
        }
    }
}

/// Why a block cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum DecodeError {
    /// More than [`MAX_BLOCK`] bytes.
    #[error("a block of {len} bytes is too large")]
    TooLarge { len: usize },
    /// Not a protobuf message, or one with unknown or repeated fields.
    #[error("malformed {what}")]
    Malformed {
        /// The message or field.
        what: &'static str,
    },
    /// A link without a CID, or with an invalid one.
    #[error("a link is no CID: {cause}")]
    Link { cause: ParseCidError },
    #[error("{links} links, but {sizes} sizes")]
    SizesMissing { links: usize, sizes: usize },
    /// The data and the sizes of the children do not add up to the file's size.
    #[error("the sizes do not add up")]
    SizesDiffer {
        /// The size in the node.
        says: Option<u64>,
        /// The sum; `None` if it exceeds 64 bits.
        sum: Option<u64>,
    },
}

fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what }
}

/// A dag-pb node (<https://ipld.io/specs/codecs/dag-pb/spec/>, "Serial format").
struct PbNode<'a> {
    links: Vec<NamedLink>,
    data: Option<&'a [u8]>,
}

impl<'a> PbNode<'a> {
    fn decode(block: &'a [u8]) -> Result<Self, DecodeError> {
        let what = "dag-pb node";
        let mut node = PbNode {
            links: Vec::new(),
            data: None,
        };
        let mut links_ended = false;
        for field in Fields::of(block) {
            match field.map_err(|Malformed| malformed(what))? {
                (1, Value::Bytes(data)) if node.data.is_none() => {
                    node.data = Some(data);
                    // Data before all links is an old order that still occurs; data between links is not
                    // allowed.
                    links_ended = !node.links.is_empty();
                }
                (2, Value::Bytes(link)) if !links_ended => node.links.push(decode_link(link)?),
                _ => return Err(malformed(what)),
            }
        }
        Ok(node)
    }
}

fn decode_link(link: &[u8]) -> Result<NamedLink, DecodeError> {
    let what = "dag-pb link";
    let no_cid = |cause| DecodeError::Link { cause };
    let (mut cid, mut name, mut tree_size, mut last) = (None, "", None, 0);
    for field in Fields::of(link) {
        let (number, value) = field.map_err(|Malformed| malformed(what))?;
        // Hash, name, size, in this order and without repetition.
        if number <= last {
            return Err(malformed(what));
        }
        last = number;
        match (number, value) {
            (1, Value::Bytes(bytes)) => {
                let parsed = Cid::from_bytes(bytes);
                cid = Some(parsed.map_err(no_cid)?);
            }
            (2, Value::Bytes(bytes)) => {
                name = std::str::from_utf8(bytes).map_err(|_| malformed(what))?;
            }
            (3, Value::Number(size)) => tree_size = Some(size),
            _ => return Err(malformed(what)),
        }
    }
    Ok(NamedLink {
        cid: cid.ok_or(no_cid(ParseCidError::Empty))?,
        name: name.to_owned(),
        tree_size,
    })
}

/// The UnixFS message (<https://specs.ipfs.tech/unixfs/>, "data").
struct UnixFs<'a> {
    kind: u64,
    data: &'a [u8],
    size: Option<u64>,
    block_sizes: Vec<u64>,
    /// Of a shard: the multicodec code of the function that hashes names.
    hash: Option<u64>,
    /// Of a shard: how many children it may have.
    fanout: Option<u64>,
}

impl<'a> UnixFs<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, DecodeError> {
        let what = "UnixFS message";
        let (mut kind, mut data, mut size) = (None, None, None);
        let (mut hash, mut fanout) = (None, None);
        let mut block_sizes = Vec::new();
        for field in Fields::of(message) {
            match field.map_err(|Malformed| malformed(what))? {
                (1, Value::Number(value)) if kind.is_none() => kind = Some(value),
                (2, Value::Bytes(bytes)) if data.is_none() => data = Some(bytes),
                (3, Value::Number(value)) if size.is_none() => size = Some(value),
                (4, Value::Number(value)) => block_sizes.push(value),
                // Packed, which protobuf allows.
                (4, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        let value = take_varint(&mut packed);
                        block_sizes.push(value.map_err(|Malformed| malformed(what))?);
                    }
                }
                (5, Value::Number(value)) if hash.is_none() => hash = Some(value),
                (6, Value::Number(value)) if fanout.is_none() => fanout = Some(value),
                (1..=6, _) => return Err(malformed(what)),
                // Mode, modification time, and future fields.
                _ => {}
            }
        }
        Ok(UnixFs {
            kind: kind.ok_or(malformed(what))?,
            data: data.unwrap_or_default(),
            size,
            block_sizes,
            hash,
            fanout,
        })
    }

    fn into_file(self, links: &[NamedLink]) -> Result<Object, DecodeError> {
        if links.len() != self.block_sizes.len() {
            return Err(DecodeError::SizesMissing {
                links: links.len(),
                sizes: self.block_sizes.len(),
            });
        }
        let own = self.data.len() as u64;
        let sum = self
            .block_sizes
            .iter()
            .try_fold(own, |sum, size| sum.checked_add(*size));
        // The size is optional in the message; without it, the sum is the size.
        let size = match (self.size, sum) {
            (None, Some(sum)) => sum,
            (Some(says), Some(sum)) if says == sum => says,
            (says, sum) => return Err(DecodeError::SizesDiffer { says, sum }),
        };
        let children = links.iter().zip(&self.block_sizes);
        Ok(Object::File {
            size,
            data: self.data.to_vec(),
            children: children
                .map(|(link, size)| Child {
                    cid: link.cid,
                    size: *size,
                    tree_size: link.tree_size,
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Version;
    use crate::content::node::{Link, inner, leaf};
    use crate::content::protobuf::{put_bytes, put_number};
    use proptest::prelude::*;

    fn decode(block: &[u8]) -> Result<Object, DecodeError> {
        Object::decode(&Cid::of_block(Version::V0, Codec::DagPb, block), block)
    }

    /// A node with this UnixFS message and no links.
    fn unixfs(fields: &[(u32, u64)]) -> Vec<u8> {
        let mut message = Vec::new();
        for (field, value) in fields {
            put_number(&mut message, *field, *value);
        }
        let mut block = Vec::new();
        put_bytes(&mut block, 1, &message);
        block
    }

    fn links(sizes: &[u64]) -> Vec<Link> {
        let link = |size: &u64| Link {
            cid: Cid::of_block(Version::V1, Codec::Raw, &size.to_le_bytes()),
            file_bytes: *size,
            tree_bytes: *size,
        };
        sizes.iter().map(link).collect()
    }

    #[test]
    fn kinds() {
        // The empty directory, whose CID is known to everybody.
        let directory = unixfs(&[(1, 1)]);
        let cid = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
        assert_eq!(
            Cid::of_block(Version::V0, Codec::DagPb, &directory).to_string(),
            cid
        );
        assert_eq!(decode(&directory), Ok(Object::Directory(Vec::new())));
        let target = Vec::new();
        assert_eq!(decode(&unixfs(&[(1, 4)])), Ok(Object::Symlink { target }));
        let shard = unixfs(&[(1, 5), (5, 0x22), (6, 256)]);
        assert!(matches!(decode(&shard), Ok(Object::DirectoryShard(_))));
        assert!(matches!(
            decode(&unixfs(&[(1, 3)])),
            Ok(Object::Other { .. })
        ));
        assert!(matches!(decode(b""), Ok(Object::Other { .. })));
        let file = |bytes: &[u8]| Object::File {
            size: bytes.len() as u64,
            data: bytes.to_vec(),
            children: Vec::new(),
        };
        assert_eq!(decode(&leaf(b"abc")), Ok(file(b"abc")));
        assert_eq!(decode(&leaf(b"")), Ok(file(b"")));
        assert_eq!(decode(&unixfs(&[(1, 2)])), Ok(file(b"")));
        let raw = Cid::of_block(Version::V1, Codec::Raw, b"abc");
        assert_eq!(Object::decode(&raw, b"abc"), Ok(file(b"abc")));
        let cbor = Cid::of_block(Version::V1, Codec::Other(0x71), b"abc");
        assert!(matches!(
            Object::decode(&cbor, b"abc"),
            Ok(Object::Other { .. })
        ));
    }

    #[test]
    fn a_node_and_its_children() {
        let (_, block) = inner(Version::V1, &links(&[5, 7, 1]));
        let Ok(Object::File { size, children, .. }) = decode(&block) else {
            panic!("a file");
        };
        let sizes: Vec<u64> = children.iter().map(|child| child.size).collect();
        assert_eq!((size, sizes), (13, vec![5, 7, 1]));
    }

    #[test]
    fn malformed_blocks_are_refused() {
        assert!(matches!(
            decode(&vec![0; MAX_BLOCK + 1]),
            Err(DecodeError::TooLarge { .. })
        ));
        let differ = |block: &[u8]| {
            assert!(
                matches!(decode(block), Err(DecodeError::SizesDiffer { .. })),
                "{block:?}"
            )
        };
        differ(&unixfs(&[(1, 2), (3, 1)]));
        let (_, overflowing) = inner(Version::V1, &links(&[5, 7]));
        // The file's size, 12, becomes 13.
        let mut lying = overflowing.clone();
        let at = lying.len() - 5;
        assert_eq!(lying[at..at + 2], [12, 0x20]);
        lying[at] = 13;
        differ(&lying);
        assert!(matches!(
            decode(&unixfs(&[(1, 2), (3, 1), (4, 1)])),
            Err(DecodeError::SizesMissing { links: 0, sizes: 1 })
        ));
        for (what, block) in [
            ("no type", unixfs(&[(3, 0)])),
            ("two types", unixfs(&[(1, 2), (1, 2)])),
            ("unknown field", vec![0x18, 0x00]),
            ("two data", [unixfs(&[(1, 1)]), unixfs(&[(1, 1)])].concat()),
            ("a link of nothing but a name", vec![0x12, 0x02, 0x12, 0x00]),
            ("cut", overflowing[..overflowing.len() - 1].to_vec()),
            ("data between links", {
                let (_, one) = inner(Version::V1, &links(&[5]));
                [&one[..], &one[..one.len() - 8]].concat()
            }),
        ] {
            assert!(decode(&block).is_err(), "{what}");
        }
    }

    #[test]
    fn sums_beyond_64_bits_are_refused() {
        let mut message = Vec::new();
        put_number(&mut message, 1, 2);
        for _ in 0..2 {
            put_number(&mut message, 4, u64::MAX);
        }
        let (_, block) = inner(Version::V1, &links(&[1, 2]));
        let data_at = block.len() - 10;
        assert_eq!(block[data_at..data_at + 2], [0x0a, 8]);
        let mut block = block[..data_at].to_vec();
        put_bytes(&mut block, 1, &message);
        assert!(matches!(
            decode(&block),
            Err(DecodeError::SizesDiffer {
                says: None,
                sum: None
            })
        ));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn damaged_nodes_never_panic_nor_grow(
            sizes in prop::collection::vec(any::<u32>(), 0..20),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let sizes: Vec<u64> = sizes.into_iter().map(u64::from).collect();
            let (_, mut block) = inner(Version::V1, &links(&sizes));
            let at = at.index(block.len());
            block[at] = byte;
            if let Ok(Object::File { size, data, children }) = decode(&block) {
                let sum: u64 = children.iter().map(|child| child.size).sum();
                prop_assert_eq!(size, sum + data.len() as u64);
            }
        }
    }
}
