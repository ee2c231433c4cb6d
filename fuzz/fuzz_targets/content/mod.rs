//! What of the content room stands alone: CIDs, and the decoder of blocks.

#[path = "../../../src/content/cid.rs"]
mod cid;
#[path = "../../../src/content/directory.rs"]
mod directory;
#[path = "../../../src/content/object.rs"]
mod object;
#[path = "../../../src/content/protobuf.rs"]
mod protobuf;

pub use cid::{Cid, Codec, Mismatch, ParseCidError, Version, parse_cid};
pub use object::{Child, DecodeError, MAX_BLOCK, Object};
