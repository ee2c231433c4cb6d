//! What a library needs from outside: which archives there are, and how one is opened.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::error::{ListError, Unopened};
use super::item::Item;
use crate::fs::TreeOptions;
use crate::reader::Trace;
use crate::source::Urgency;
use crate::volume::Volume;

/// How an archive is to be opened.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// Whether a program waits for it.
    pub urgency: Urgency,
    /// Ask its server which version it has: the one that was last seen may be an old one.
    pub asks: bool,
    /// Where its reader adds events, under the archive's name.
    pub trace: Trace,
}

/// The archives of a library.
pub trait Archives: Send + Sync {
    /// The archives that there are now.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Item>, ListError>>;

    /// Opens one.
    fn open<'a>(
        &'a self,
        item: &'a Item,
        request: OpenRequest,
    ) -> BoxFuture<'a, Result<Volume, Unopened>>;

    /// The archives in what seemed to be an archive and is a directory: their names below it, and where they
    /// are. `None` if such directories are not shown.
    fn directory<'a>(
        &'a self,
        _item: &'a Item,
    ) -> BoxFuture<'a, Option<Result<Vec<Item>, Unopened>>> {
        Box::pin(async { None })
    }

    /// The archive that a name in the root stands for though the list does not have it; `None` if there is
    /// none.
    fn named(&self, _name: &str) -> Option<Item> {
        None
    }
}

/// How a library is shown.
#[derive(Debug, Clone)]
pub struct LibraryOptions {
    /// Owners and permissions of its directories.
    pub tree: TreeOptions,
    /// An archive that was not used for this long is closed. Its inode numbers stay.
    pub idle: Duration,
    /// How often the list is made anew; `None` for only when it is [reloaded](super::Library::reload).
    pub refresh: Option<Duration>,
}
