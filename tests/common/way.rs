//! The ways to an archive: the same tests go down each.

use std::ops::Deref;
use std::path::Path;

use super::fault::FaultNode;
use super::mount::Mount;

/// How a mount gets at its bytes.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// From the file itself.
    File,
    /// By a URL, from a server of ranges.
    Url,
}

impl Way {
    pub const ALL: [Way; 2] = [Way::File, Way::Url];

    pub fn mount(self, archive: &Path) -> Served {
        self.mount_with(archive, &[])
    }

    pub fn mount_with(self, archive: &Path, args: &[&str]) -> Served {
        match self {
            Way::File => Served {
                mount: Mount::with(archive, args),
                _node: None,
            },
            Way::Url => {
                let node = FaultNode::start(std::fs::read(archive).expect("the archive"));
                Served {
                    mount: Mount::with(node.url(), args),
                    _node: Some(node),
                }
            }
        }
    }
}

/// A mount and who serves it, which goes after it.
pub struct Served {
    mount: Mount,
    _node: Option<FaultNode>,
}

impl Deref for Served {
    type Target = Mount;

    fn deref(&self) -> &Mount {
        &self.mount
    }
}
