//! Many archives: their names now, which of them are open, and what opens and closes them.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::archives::{Archives, LibraryOptions};
use super::directory::Directory;
use super::error::{NameError, Unopened};
use super::file::{ClosedFile, File};
use super::inode::{LARGEST_ENTRY, Part};
use super::item::Item;
use super::open_ones::OpenOnes;
use super::slot::{Opening, Outcome, Slot, Touched};
use super::snapshot::{Content, Snapshot};
use super::walk::Walk;
use crate::archive::{Kind, Timestamp};
use crate::fs::{Attr, Ino};
use crate::volume::{OpenError, Volume};

/// Permission bits of directories before the mask.
const DIR_MODE: u16 = 0o755;

/// How many earlier snapshots are kept for listings that are not at their end.
const EARLIER: usize = 8;

/// The longest pause between two searches for idle archives.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);

/// The archives of a mount that shows many.
pub(super) struct Many {
    pub(super) archives: Arc<dyn Archives>,
    options: LibraryOptions,
    names: RwLock<Names>,
    /// Archives that are shown though the list does not have them.
    found: Mutex<Vec<Item>>,
    /// Held during a reload, so that reloads do not overtake each other.
    reloading: tokio::sync::Mutex<()>,
    pub(super) open: OpenOnes,
    walk: Mutex<Walk>,
    pub(super) watcher: OnceLock<Box<dyn Fn(Change) + Send + Sync>>,
    runtime: Handle,
    pub(super) closed: CancellationToken,
}

/// The names now, and before.
pub(super) struct Names {
    pub(super) now: Arc<Snapshot>,
    pub(super) earlier: VecDeque<Arc<Snapshot>>,
}

/// What the kernel must forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The bytes of a file, some of which were wrong.
    Bytes(Ino),
    /// What it knows of a name in a directory.
    Name {
        /// The directory.
        directory: Ino,
        /// The name.
        name: String,
    },
}

/// What an inode number stands for.
pub enum Found {
    /// A file or directory of an open archive.
    File(File),
    /// The same of an archive that is not open.
    Closed(ClosedFile),
    /// A directory of the library.
    Directory(Directory),
    /// Nothing any longer.
    Gone,
}

/// What a reload did, and the task that makes the kernel forget names.
type Replaced = (Reloaded, JoinHandle<()>);

/// What a reload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reloaded {
    /// How many archives there are now.
    pub archives: usize,
    /// How many of them are new, or have another source.
    pub added: usize,
    /// How many are gone, or have another source.
    pub removed: usize,
}

impl Many {
    /// No archives yet.
    pub(super) fn new(
        archives: Arc<dyn Archives>,
        options: LibraryOptions,
        runtime: Handle,
    ) -> Arc<Self> {
        let many = Arc::new(Self {
            archives,
            options,
            names: RwLock::new(Names {
                now: Arc::new(Snapshot::empty()),
                earlier: VecDeque::new(),
            }),
            found: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            open: OpenOnes::default(),
            walk: Mutex::default(),
            watcher: OnceLock::new(),
            runtime,
            closed: CancellationToken::new(),
        });
        many.close_idle_ones();
        many.refresh();
        many
    }

    pub(super) fn names(&self) -> RwLockReadGuard<'_, Names> {
        // The names are replaced as a whole.
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(self: &Arc<Self>, ino: Ino) -> Found {
        let (part, entry) = Part::split(ino);
        let names = self.names();
        let now = &names.now;
        let Some(slot) = now.slot(part) else {
            let directory = Directory::new(now, part).filter(|_| entry == Ino::ROOT);
            return directory.map_or(Found::Gone, Found::Directory);
        };
        let (touched, is_step) = slot.touch(Instant::now());
        let opening = match touched {
            Touched::Open(volume) => {
                if is_step {
                    self.step(now, slot);
                }
                return Found::File(File::new(volume, Some(slot.clone()), entry));
            }
            Touched::Opening(opening) => Ok(opening),
            Touched::Failed(error) => Err(error),
            // It has just become stale.
            Touched::Closed => self
                .begin(slot, false)
                .ok_or_else(|| Arc::new(Unopened::Changed)),
        };
        if is_step {
            self.step(now, slot);
        }
        Found::Closed(ClosedFile::new(slot.clone(), entry, opening))
    }

    /// A program looks into an archive that was not open, or was opened ahead: opens the next ones if it walks.
    fn step(self: &Arc<Self>, snapshot: &Snapshot, slot: &Arc<Slot>) {
        let Some(node) = snapshot.node(slot.part()) else {
            return;
        };
        let directory = snapshot.parent(node);
        let Ok(position) = snapshot.position(directory, &node.name) else {
            return;
        };
        let ahead = {
            let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
            walk.enters(directory.part, position)
        };
        let next = snapshot
            .children(directory)
            .skip(ahead.start)
            .take(ahead.len());
        for node in next {
            if let Content::Archive(slot) = &node.content {
                self.begin(slot, true);
            }
        }
    }

    /// Begins to open an archive, unless others have begun. `None` if it is not to be opened.
    fn begin(self: &Arc<Self>, slot: &Arc<Slot>, is_ahead: bool) -> Option<Opening> {
        let open = || {
            let (many, slot) = (self.clone(), slot.clone());
            async move { many.open(&slot).await }.boxed()
        };
        let (opening, is_new) = slot.begin(is_ahead, open)?;
        if is_new {
            // Also if those who wait give up.
            self.runtime.spawn(opening.clone());
        }
        Some(opening)
    }

    async fn open(self: Arc<Self>, slot: &Arc<Slot>) -> Outcome {
        // Without an end, all who wait for the attempt would get errors for as long as the mount exists.
        let attempt = AssertUnwindSafe(self.attempt(slot)).catch_unwind().await;
        let opened = attempt.unwrap_or_else(|_| {
            Err(Unopened::Setup(
                "opening it panicked; please report this".into(),
            ))
        });
        let error = match opened {
            Ok(volume) => return Ok(volume),
            Err(error) => Arc::new(error),
        };
        let name = slot.item().name();
        match &*error {
            Unopened::Gone => {}
            Unopened::Directory => slot.ended(),
            Unopened::Changed => {
                log::warn!("{name}: {error}; it has new inode numbers now");
                // Before anybody hears of it: the kernel looks the name up again at once.
                self.show_again().await;
                slot.ended();
            }
            Unopened::Open(_) | Unopened::Setup(_) | Unopened::TooManyNames => {
                let pause = slot.failed(&error, Instant::now()).pause.as_secs();
                log::warn!("{name}: it cannot be opened: {error}; not tried again for {pause} s");
            }
        }
        Err(error)
    }

    async fn attempt(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Arc<Volume>, Unopened> {
        let result = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Unopened::Gone),
            result = self.archives.open(slot.item()) => result,
        };
        match result {
            Err(Unopened::Open(error)) if matches!(*error, OpenError::Directory(_)) => {
                Err(self.open_directory(slot, *error).await)
            }
            result => self.keep(slot, result?, Instant::now()),
        }
    }

    /// Shows the archives in a directory that seemed to be an archive.
    async fn open_directory(self: &Arc<Self>, slot: &Slot, error: OpenError) -> Unopened {
        let items = match self.archives.directory(slot.item()).await {
            None => return error.into(),
            Some(Err(why)) => return why,
            Some(Ok(items)) if items.is_empty() => return error.into(),
            Some(Ok(items)) => items,
        };
        let _turn = self.reloading.lock().await;
        let before = self.found().clone();
        slot.set_directory(true);
        {
            let mut found = self.found();
            found.retain(|item| item != slot.item());
            found.extend(items);
        }
        match self.replace_again(None) {
            Ok(_) => Unopened::Directory,
            Err(error) => {
                // Else no later list would fit.
                slot.set_directory(false);
                *self.found() = before;
                Unopened::Setup(error.to_string())
            }
        }
    }

    /// Shows an archive that the list does not have, for a lookup of its name.
    pub(super) async fn add(self: &Arc<Self>, item: Item) {
        let _turn = self.reloading.lock().await;
        let (before, name) = (self.found().clone(), item.name().to_owned());
        self.found().push(item);
        // A name that is there already stays what it is.
        if self.replace_again(Some(&name)).is_err() {
            *self.found() = before;
        }
    }

    fn found(&self) -> MutexGuard<'_, Vec<Item>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an archive that was opened.
    fn keep(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        volume: Volume,
        now: Instant,
    ) -> Result<Arc<Volume>, Unopened> {
        // Each name has a number, and so has each directory that only names imply.
        if volume.tree().largest().0 > LARGEST_ENTRY {
            return Err(Unopened::TooManyNames);
        }
        let volume = Arc::new(volume);
        slot.opened(&volume, now)?;
        let (many, part) = (Arc::downgrade(self), slot.part());
        volume.on_wrong(move |ino| {
            let many = many.upgrade();
            if let Some(watcher) = many.as_ref().and_then(|many| many.watcher.get()) {
                watcher(Change::Bytes(part.ino(ino)));
            }
        });
        self.open.add(slot, now);
        Ok(volume)
    }

    pub(super) async fn reload(self: &Arc<Self>) -> Result<Reloaded, String> {
        let (reloaded, told) = {
            let _turn = self.reloading.lock().await;
            let items = self.archives.list().await?;
            self.replace(items, None)
                .map_err(|error| error.to_string())?
        };
        // Not in its turn: the kernel may wait for a lookup that adds an archive, which needs a turn.
        let _ = told.await;
        Ok(reloaded)
    }

    /// Builds the names anew, for archives that have changed.
    pub(super) fn renew(self: &Arc<Self>) {
        let many = self.clone();
        self.runtime.spawn(async move { many.show_again().await });
    }

    async fn show_again(self: &Arc<Self>) {
        let _turn = self.reloading.lock().await;
        // The names fitted together before.
        let _ = self.replace_again(None);
    }

    /// Shows the archives of the last list, and those that were found. Must be called with `reloading` held.
    fn replace_again(self: &Arc<Self>, answered: Option<&str>) -> Result<Replaced, NameError> {
        let now = self.names().now.clone();
        let listed = now.slots().filter(|slot| !slot.is_directory());
        let items = listed.map(|slot| slot.item().clone()).collect();
        self.replace(items, answered)
    }

    /// Shows these archives, and those that were found. Must be called with `reloading` held. `answered`: a name in
    /// the root that a lookup asks for, which the kernel need not forget. Returns also when the kernel has
    /// forgotten the others.
    fn replace(
        self: &Arc<Self>,
        mut items: Vec<Item>,
        answered: Option<&str>,
    ) -> Result<Replaced, NameError> {
        let before = self.names().now.clone();
        let found = self.found().clone();
        // Of several found ones with a name, the first.
        let mut names: HashSet<&str> = items.iter().map(Item::name).collect();
        let is_new: Vec<bool> = found.iter().map(|item| names.insert(item.name())).collect();
        let found = found.iter().zip(is_new).filter(|(_, is_new)| *is_new);
        let found: Vec<Item> = found.map(|(item, _)| item.clone()).collect();
        // What turned out to be a directory stays one.
        let above = |item: &Item| {
            let name = item.name().to_owned();
            let ends: Vec<usize> = name.match_indices('/').map(|(at, _)| at).collect();
            ends.into_iter().map(move |end| name[..end].to_owned())
        };
        let directories: HashSet<String> = found.iter().flat_map(above).collect();
        items.retain(|item| !directories.contains(item.name()));
        items.extend(found);
        let after = Arc::new(Snapshot::new(items, &before)?);
        let changes = before.changes(&after);
        {
            let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            names.now = after.clone();
            names.earlier.push_front(before.clone());
            names.earlier.truncate(EARLIER);
        }
        for slot in before.slots() {
            if after.node(slot.part()).is_none() {
                slot.close_unused(Instant::now());
            }
        }
        let reloaded = Reloaded {
            archives: after.slots().count(),
            added: changes.added,
            removed: changes.removed,
        };
        let many = self.clone();
        let mut names = changes.names;
        names.retain(|(directory, name)| *directory != Part::ROOT || Some(&**name) != answered);
        // The kernel may make it wait for a lookup that is answered meanwhile.
        let told = self.runtime.spawn_blocking(move || {
            let Some(watcher) = many.watcher.get() else {
                return;
            };
            for (directory, name) in names {
                watcher(Change::Name {
                    directory: directory.ino(Ino::ROOT),
                    name: name.into(),
                });
            }
        });
        Ok((reloaded, told))
    }

    /// Directories have no time of their own, so that it is the same after every remount. One link means that
    /// the number of subdirectories is not known, as in Btrfs.
    pub(super) fn attr(&self, ino: Ino) -> Attr {
        let tree = &self.options.tree;
        Attr {
            ino,
            kind: Kind::Dir,
            perm: DIR_MODE & !tree.dmask,
            nlink: 1,
            size: 0,
            blocks512: 0,
            mtime: Timestamp::default(),
            uid: tree.uid,
            gid: tree.gid,
        }
    }

    /// Makes the list anew from time to time, if the options say so.
    fn refresh(self: &Arc<Self>) {
        let Some(pause) = self.options.refresh else {
            return;
        };
        let (many, closed) = (Arc::downgrade(self), self.closed.clone());
        self.runtime.spawn(async move {
            while tokio::time::timeout(pause, closed.cancelled())
                .await
                .is_err()
            {
                let Some(many) = many.upgrade() else { return };
                if let Err(why) = many.reload().await {
                    log::warn!("the list is not changed: {why}");
                }
            }
        });
    }

    /// Closes archives that nobody uses, from time to time, for as long as the library lives.
    fn close_idle_ones(self: &Arc<Self>) {
        let (many, closed) = (Arc::downgrade(self), self.closed.clone());
        let idle = self.options.idle;
        let pause = (idle / 4).clamp(Duration::from_millis(100), LOOK_AT_LEAST);
        self.runtime.spawn(async move {
            while tokio::time::timeout(pause, closed.cancelled())
                .await
                .is_err()
            {
                let Some(many) = many.upgrade() else { return };
                many.open.close_idle(idle, Instant::now());
            }
        });
    }
}

#[cfg(test)]
mod tests;
