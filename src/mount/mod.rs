//! Mounts a library of archives, or one: the only room that names fuser and errno.
//!
//! The adapter translates the kernel's requests to calls of [`Library`](crate::library::Library) and
//! [`Volume`](crate::volume::Volume). The session lasts from mount(2) to the end of the process. `unmount` and `ask`
//! talk to a mount from another process.

mod adapter;
mod archive_names;
mod archives_page;
mod ask;
mod attributes;
mod control_files;
mod crash;
mod errno;
mod error_kind;
mod failpoint;
mod file_request;
mod holders;
mod library_names;
mod listings;
mod logged;
mod mounts;
mod ongoing_read;
mod process_memory;
mod replies;
mod report;
mod served;
mod session;
mod signals;
mod stuck;
mod tally;
mod trace;
mod unmount;
mod xattr;

pub use ask::{Found, archives, is_source, mounts, reload, report, trace};
pub use holders::Holder;
pub use mounts::{Unfit, check_mountpoint};
pub use process_memory::{give_back_startup, limit_arenas};
pub use report::{CacheReport, GatewayReport, Histogram, Report, RequestReport, Stream};
pub use session::{KernelOptions, MountError, Mounted, Stopper, mount};
pub use signals::{Hangup, Signals};
pub use stuck::Stuck;
pub use trace::{TraceEvent, TracePage};
pub use unmount::unmount;
