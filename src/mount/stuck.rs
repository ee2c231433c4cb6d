//! Why a mount does not answer, or cannot be unmounted.

use std::fmt;

/// Why a mount does not answer, or cannot be unmounted.
#[derive(Debug)]
pub enum Stuck {
    /// Nothing is mounted there, or something else.
    NotOurs(String),
    /// The kernel, fusermount3 or the process of the mount refused.
    Refused(String),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stuck::NotOurs(what) | Stuck::Refused(what) => f.write_str(what),
        }
    }
}
