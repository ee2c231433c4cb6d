//! The library that a mount serves: one archive at its root, or many.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::archives::{Archives, LibraryOptions};
use super::directory::Child;
use super::error::ListError;
use super::file::File;
use super::inode::Part;
use super::item::Item;
use super::many::{Change, Found, Many};
use super::names::Reloaded;
use super::past::Totals;
use super::slot::Slot;
use super::status::ArchiveStatus;
use crate::fs::{Attr, Ino};
use crate::reader::Trace;
use crate::volume::Volume;

/// What a mount shows: one archive, or many. Clones share it.
#[derive(Clone)]
pub struct Library(Shown);

#[derive(Clone)]
enum Shown {
    One(Arc<Volume>),
    Many(Arc<Many>),
}

impl Library {
    /// A single archive, whose root is the root of the mount.
    pub fn one(volume: Volume) -> Self {
        Self(Shown::One(Arc::new(volume)))
    }

    /// Many archives. The list is made by [`reload`](Self::reload). `runtime` runs what is opened.
    pub fn many(archives: Arc<dyn Archives>, options: LibraryOptions, runtime: Handle) -> Self {
        Self(Shown::Many(Many::new(archives, options, runtime)))
    }

    /// The only archive of the mount, if it has only one.
    pub fn single(&self) -> Option<&Arc<Volume>> {
        match &self.0 {
            Shown::One(volume) => Some(volume),
            Shown::Many(_) => None,
        }
    }

    /// What happens in all archives.
    pub fn trace(&self) -> &Trace {
        match &self.0 {
            Shown::One(volume) => volume.archive().trace(),
            Shown::Many(many) => &many.trace,
        }
    }

    /// Sets what is called when the kernel must forget something. It may block. Only the first call counts.
    pub fn watch(&self, watcher: impl Fn(Change) + Send + Sync + 'static) {
        match &self.0 {
            Shown::One(volume) => volume.on_wrong(move |ino| watcher(Change::Bytes(ino))),
            Shown::Many(many) => drop(many.watcher.set(Box::new(watcher))),
        }
    }

    /// What an inode number stands for. If its archive is not open, begins to open it.
    pub fn find(&self, ino: Ino) -> Found {
        match &self.0 {
            Shown::One(volume) => Found::File(File::new(volume.clone(), None, ino)),
            Shown::Many(many) => many.find(ino),
        }
    }

    fn many_archives(&self) -> Option<&Arc<Many>> {
        match &self.0 {
            Shown::One(_) => None,
            Shown::Many(many) => Some(many),
        }
    }

    /// The archive of an inode number, if there are many.
    fn slot(&self, ino: Ino) -> Option<(&Arc<Many>, Arc<Slot>)> {
        let many = self.many_archives()?;
        let slot = many.names.now().slot(Part::split(ino).0)?.clone();
        Some((many, slot))
    }

    /// The attributes of a directory of the library, or of the root of an archive in it, which are known
    /// without opening the archive.
    pub fn attr(&self, ino: Ino) -> Option<Attr> {
        let many = self.many_archives()?;
        let (part, entry) = Part::split(ino);
        let is_known = entry == Ino::ROOT && many.names.now().has(part);
        is_known.then(|| many.attr(ino))
    }

    /// The attributes of what a directory of the library has, also if it is no longer there.
    pub fn child_attr(&self, child: &Child<'_>) -> Option<Attr> {
        Some(self.many_archives()?.attr(child.ino))
    }

    /// Whether what a directory of the library has is still there.
    pub fn is_named(&self, child: &Child<'_>) -> bool {
        let is_named = |many: &Arc<Many>| many.names.now().is_named(Part::split(child.ino).0);
        self.many_archives().is_none_or(is_named)
    }

    /// Where the archive is whose root has this inode number, as
    /// [`Location::shown`](crate::volume::Location::shown) has it. `None` for the only archive of a mount.
    pub fn origin(&self, ino: Ino) -> Option<(&'static str, String)> {
        let (_, slot) = self.slot(ino)?;
        (slot.part.ino(Ino::ROOT) == ino).then(|| slot.item.location().shown())
    }

    /// The archive that a name in the root stands for though the list does not have it.
    pub fn named(&self, directory: Ino, name: &[u8]) -> Option<Item> {
        let many = self.many_archives()?;
        if directory != Ino::ROOT {
            return None;
        }
        many.archives.named(std::str::from_utf8(name).ok()?)
    }

    /// Shows an archive that the list does not have.
    pub fn add(&self, item: Item) {
        if let Shown::Many(many) = &self.0 {
            many.add(item);
        }
    }

    /// A program has closed a file that was [opened](File::opened).
    pub fn released(&self, ino: Ino) {
        if let Some((many, slot)) = self.slot(ino)
            && !slot.file_closed()
            && !many.names.now().is_named(slot.part)
        {
            slot.close_unused(Instant::now(), &many.names.past);
        }
    }

    /// The archive of a file has changed on its server: it gets new inode numbers, under the same name. The first call
    /// returns the task that does this.
    pub fn changed(&self, ino: Ino) -> Option<JoinHandle<()>> {
        let (many, slot) = self.slot(ino)?;
        slot.set_stale().then(|| many.renew())
    }

    /// Whether an inode number is that of an archive whose place another one has taken, because it changed.
    pub fn is_replaced(&self, ino: Ino) -> bool {
        let is_replaced = |(many, slot): (&Arc<Many>, Arc<Slot>)| {
            slot.is_stale() && !many.names.now().is_named(slot.part)
        };
        self.slot(ino).is_some_and(is_replaced)
    }

    /// Makes the list anew, and shows it at once and as a whole. Archives that are in it with the same name and
    /// source go on undisturbed; of those that are gone, open files can be read until they are closed.
    ///
    /// # Errors
    /// If there is no list. Then nothing has changed.
    pub async fn reload(&self) -> Result<Reloaded, ListError> {
        match &self.0 {
            Shown::One(_) => Err(ListError::Wrong(
                "it is a mount of a single archive, which has no list".into(),
            )),
            Shown::Many(many) => many.reload().await,
        }
    }

    /// What can be told of each archive, in the order of names.
    pub fn statuses(&self) -> Vec<ArchiveStatus> {
        match &self.0 {
            Shown::One(_) => Vec::new(),
            Shown::Many(many) => {
                let now = many.names.now();
                now.slots().map(|slot| slot.status()).collect()
            }
        }
    }

    /// The totals of the closed archives, and the archives that are open now. Each archive is in exactly one of the
    /// two.
    pub fn totals(&self) -> (Totals, Vec<Arc<Volume>>) {
        match &self.0 {
            Shown::One(volume) => (Totals::default(), vec![volume.clone()]),
            Shown::Many(many) => {
                let past = many.names.past.lock();
                let open = many.open.all();
                let open = open.iter().filter_map(|slot| slot.volume()).collect();
                (past.clone(), open)
            }
        }
    }

    /// How many archives there are.
    pub fn archives(&self) -> usize {
        match &self.0 {
            Shown::One(_) => 1,
            Shown::Many(many) => many.names.now().slots().count(),
        }
    }

    /// The number of names of the library itself, its root included.
    pub fn names(&self) -> usize {
        match &self.0 {
            Shown::One(_) => 1,
            Shown::Many(many) => many.names.now().len(),
        }
    }

    /// Fails all reads that wait, and all later ones.
    pub fn close(&self) {
        match &self.0 {
            Shown::One(volume) => volume.close(),
            Shown::Many(many) => {
                many.closed.cancel();
                many.open.all().iter().for_each(|slot| slot.close());
            }
        }
    }
}
