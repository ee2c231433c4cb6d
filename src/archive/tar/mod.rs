//! The tar format: walks headers, with the extensions of POSIX (pax), GNU and star.
//!
//! | feature | where it is described |
//! |---|---|
//! | ustar and pax headers | POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format" |
//! | long names, base-256 numbers, old sparse members | GNU tar manual, "Basic Tar Format" |
//! | sparse members in pax headers, versions 0.0, 0.1 and 1.0 | GNU tar manual, "Storing Sparse Files" |

mod builder;
mod describe;
mod extended;
mod header;
mod map;
mod recognize;
mod walk;

pub use header::is_header;
pub use recognize::{Recognized, recognize};
pub use walk::TarWalk;

/// Headers and data begin at multiples of this, in bytes.
pub const TAR_BLOCK: u64 = 512;
