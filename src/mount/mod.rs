//! A volume, mounted: the only room that names fuser and errno.
//!
//! [`Volume`] is what is mounted, and knows nothing of the kernel; the adapter translates; the
//! session lasts from mount(2) to the end.

mod adapter;
mod crash;
mod errno;
mod heaps;
mod mounts;
mod playlists;
mod provoke;
mod report;
mod session;
mod signals;
mod told;
mod unmount;
mod volume;
mod xattr;

pub use heaps::share_memory;
pub use mounts::{Unfit, check_mountpoint};
pub use report::{Report, Stream, is_source, report};
pub use session::{KernelOptions, MountError, Mounted, Stopper, mount};
pub use signals::Signals;
pub use unmount::{Stuck, unmount};
pub use volume::Volume;
