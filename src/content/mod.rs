//! CIDs, and the hash trees that they name.
//!
//! A [`Cid`] names a blob by the root of a tree of hashed blocks. [`Importer`] computes the CID of a
//! stream of bytes under a [`Profile`]. [`Object::decode`] decodes a block: a file, a directory, and the
//! blocks below it. [`Tree`] serves all blocks of a local file. [`Verified`] is the decorator that verifies
//! ranges against a CID. [`resolve`] finds a path below a directory's CID, [`list`] lists a directory.
//!
//! No block is trusted: [`Cid::verify`] compares it with its CID, and the decoder refuses everything that
//! the specifications do not allow: <https://github.com/multiformats/cid>,
//! <https://ipld.io/specs/codecs/dag-pb/spec/>, <https://specs.ipfs.tech/unixfs/>.

mod block;
mod cid;
mod dag_index;
mod data;
mod directory;
mod import;
mod ipns;
mod leaf;
mod listing;
mod node;
mod object;
mod path;
mod profile;
mod protobuf;
mod range_or_block;
mod tree;
mod verified;

pub use cid::{Cid, Codec, Mismatch, ParseCidError, Version, parse_cid};
pub use directory::{NamedLink, Shard};
pub use import::{Importer, import_reader};
pub use ipns::{IpnsName, IpnsNameError, IpnsRecord, MAX_RECORD, RecordError};
pub use listing::{Listed, ListedKind, is_directory, kinds, list};
pub use object::{Child, DecodeError, MAX_BLOCK, Object};
pub use path::{PathError, resolve};
pub use profile::Profile;
pub use tree::{Block, Tree};
pub use verified::Verified;
