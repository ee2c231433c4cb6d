//! Mounts a library of archives, or one: the only room that names fuser and errno.
//!
//! The adapter translates the kernel's requests to calls of [`Library`](crate::library::Library) and
//! [`Volume`](crate::volume::Volume); the
//! session lasts from mount(2) to the end of the process; `unmount` and `ask` talk to a mount from
//! another process.

mod adapter;
mod ask;
mod attributes;
mod crash;
mod errno;
mod failpoint;
mod holders;
mod library_names;
mod logged;
mod malloc_arenas;
mod mounts;
mod replies;
mod report;
mod served;
mod session;
mod signals;
mod stuck;
mod unmount;
mod xattr;

pub use ask::{Found, archives, is_source, mounts, reload, report};
pub use holders::Holder;
pub use malloc_arenas::share_memory;
pub use mounts::{Unfit, check_mountpoint};
pub use report::{ArchiveReport, ReloadReport, Report, Stream};
pub use session::{KernelOptions, MountError, Mounted, Stopper, mount};
pub use signals::{OnHangup, Signals};
pub use stuck::Stuck;
pub use unmount::unmount;
