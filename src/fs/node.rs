//! Node numbers: 0 is the root, then the entries in the order of the index, then implied directories.

/// The number of a node.
pub(super) type Node = u32;

/// The root directory.
pub(super) const ROOT: Node = 0;

/// The parent of an entry that is not shown, because a later entry describes the same directory.
pub(super) const NOWHERE: Node = Node::MAX;
