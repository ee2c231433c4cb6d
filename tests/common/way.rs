//! The ways to reach an archive. The same tests run over each.

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

    /// Lets the archive be had this way.
    pub fn reach(self, archive: &Path) -> Reached {
        let (source, options, server) = match self {
            Way::File => {
                let path = archive.to_str().expect("a plain path");
                (path.to_owned(), Vec::new(), Server::Nobody)
            }
            Way::Url => {
                let node = FaultNode::start(std::fs::read(archive).expect("the archive"));
                (node.url(), Vec::new(), Server::Url(node))
            }
            Way::Cid => {
                let node = Node::of(archive);
                let options = node.options().map(str::to_owned).to_vec();
                (node.cid.clone(), options, Server::Cid(node))
            }
        };
        Reached {
            source,
            options,
            _server: server,
        }
    }

    pub fn mount(self, archive: &Path) -> Served {
        let reached = self.reach(archive);
        let options: Vec<&str> = reached.options.iter().map(String::as_str).collect();
        Served {
            mount: Mount::with(&reached.source, &options),
            _reached: reached,
        }
    }
}

/// What a command needs to be told to get at an archive, and who serves it.
pub struct Reached {
    pub source: String,
    pub options: Vec<String>,
    _server: Server,
}

enum Server {
    Nobody,
    Url(#[expect(dead_code, reason = "held until it is dropped")] FaultNode),
    Cid(#[expect(dead_code, reason = "held until it is dropped")] Node),
}

/// A mount and who serves it, which goes after it.
pub struct Served {
    mount: Mount,
    _reached: Reached,
}

impl Deref for Served {
    type Target = Mount;

    fn deref(&self) -> &Mount {
        &self.mount
    }
}
