//! CIDs, and the trees of blocks behind them.
//!
//! A [`Cid`] names a blob by its content: the root of a tree of hashed blocks. [`Importer`]
//! computes the CID that a stream of bytes has under a [`Profile`]; [`Object::decode`] tells what
//! a root block is (a file, a directory...) and which blocks lie below it. [`Tree`] has all blocks
//! of a file that is at hand.
//!
//! [`Proven`] is the decorator that proves ranges against a CID.
//!
//! Nothing here trusts a block: [`Cid::verify`] compares a block with its name,
//! and the decoder refuses whatever is not exactly what the specifications say.
//! Specifications: <https://github.com/multiformats/cid>,
//! <https://ipld.io/specs/codecs/dag-pb/spec/>, <https://specs.ipfs.tech/unixfs/>.

mod cid;
mod data;
mod import;
mod leaf;
mod node;
mod object;
mod profile;
mod protobuf;
mod proven;
mod skeleton;
mod tree;
mod ways;

pub use cid::{Cid, Codec, Mismatch, ParseCidError, Version, parse_cid};
pub use import::{Importer, import_reader};
pub use object::{Child, DecodeError, MAX_BLOCK, Object};
pub use profile::Profile;
pub use proven::Proven;
pub use tree::{Block, Tree};
