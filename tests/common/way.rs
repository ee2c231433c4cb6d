//! The ways to an archive: the same tests go down each.

use std::ops::Deref;
use std::path::Path;

use super::fault::FaultNode;
use super::mount::Mount;
use super::node::Node;

/// How a mount gets at its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the file itself.
    File,
    /// By a URL, from a server of ranges.
    Url,
    /// By its CID, from `aiozfs serve`.
    Cid,
}

impl Way {
    pub const ALL: [Way; 3] = [Way::File, Way::Url, Way::Cid];

    pub fn mount(self, archive: &Path) -> Served {
        match self {
            Way::File => Served::by(Mount::new(archive), Server::Nobody),
            Way::Url => {
                let node = FaultNode::start(std::fs::read(archive).expect("the archive"));
                Served::by(Mount::new(node.url()), Server::Url(node))
            }
            Way::Cid => {
                let node = Node::of(archive);
                Served::by(Mount::with(&node.cid, &node.options()), Server::Cid(node))
            }
        }
    }
}

/// A mount and who serves it, which goes after it.
pub struct Served {
    mount: Mount,
    _server: Server,
}

enum Server {
    Nobody,
    Url(FaultNode),
    Cid(Node),
}

impl Served {
    fn by(mount: Mount, server: Server) -> Self {
        Self {
            mount,
            _server: server,
        }
    }
}

impl Deref for Served {
    type Target = Mount;

    fn deref(&self) -> &Mount {
        &self.mount
    }
}
