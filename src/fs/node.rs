//! Numbers of nodes.
//!
//! 0 is the root, then come the entries in the order of the index, then the implied directories.

/// The number of a node.
pub(super) type Node = u32;

/// The root directory.
pub(super) const ROOT: Node = 0;

/// The parent of an entry that is not shown: a directory that another entry names again.
pub(super) const NOWHERE: Node = Node::MAX;
