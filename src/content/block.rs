//! Fetches blocks, verifies them against their CIDs, and decodes them.

use std::sync::Arc;

use super::{Cid, MAX_BLOCK, Mismatch, Object};
use crate::source::{BlockCheck, Blocks, Error, Result};

/// Which block is fetched.
pub(super) enum Kind {
    /// The first one, when content is opened.
    First,
    Node,
    Leaf,
}

/// Fetches, verifies and decodes a block.
pub(super) async fn fetch(blocks: &dyn Blocks, cid: &Cid, kind: Kind) -> Result<Object> {
    let block = match cid.inlined() {
        Some(block) => block.to_vec().into(),
        None => {
            let wanted = *cid;
            let check: BlockCheck = Arc::new(move |block| wanted.verify(block).is_ok());
            if let Err(Mismatch::UnknownHash { code }) = cid.verify(&[]) {
                return Err(Error::Unsupported {
                    what: format!(
                        "{cid} has a hash of unknown kind (0x{code:x}), which cannot be verified; '--verify crc' continues without verification"
                    ),
                });
            }
            let name = cid.to_string();
            match kind {
                Kind::First => blocks.first_block(&name, MAX_BLOCK, check).await?,
                Kind::Node => blocks.block(&name, MAX_BLOCK, check).await?,
                Kind::Leaf => blocks.leaf_block(&name, MAX_BLOCK, check).await?,
            }
        }
    };
    Object::decode(cid, &block).map_err(|e| malformed(cid, &e.to_string()))
}

/// The error of a block that cannot be part of a tree.
pub(super) fn malformed(cid: &Cid, what: &str) -> Error {
    Error::Unsupported {
        what: format!("the CID's tree is malformed: block {cid}: {what}"),
    }
}
