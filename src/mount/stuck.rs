//! Why a mount does not answer, or cannot be unmounted.

use thiserror::Error;

/// Why a mount does not answer, or cannot be unmounted.
#[derive(Debug, Error)]
pub enum Stuck {
    /// Nothing is mounted there, or something else.
    #[error("{0}")]
    NotOurs(String),
    /// The kernel, fusermount3 or the process of the mount refused.
    #[error("{0}")]
    Refused(String),
}
