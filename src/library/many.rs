//! Many archives: their names now, which of them are open, and what opens and closes them.

use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::runtime::Handle;
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
            Touched::Closed => self
                .begin(slot, false)
                .ok_or_else(|| Arc::new(Unopened::Gone)),
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
        let attempt = AssertUnwindSafe(self.archives.open(slot.item())).catch_unwind();
        let result = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Unopened::Gone),
            result = attempt => {
                result.unwrap_or_else(|_| Err(Unopened::Setup("opening it panicked; please report this".into())))
            }
        };
        let result = match result {
            Err(Unopened::Open(error)) if matches!(*error, OpenError::Directory(_)) => {
                Err(self.open_directory(slot, *error).await)
            }
            result => result,
        };
        let (now, name) = (Instant::now(), slot.item().name());
        let opened = result.and_then(|volume| self.keep(slot, volume, now));
        opened.map_err(|error| {
            let error = Arc::new(error);
            match &*error {
                Unopened::Gone | Unopened::Directory => {}
                Unopened::Changed => {
                    log::warn!("{name}: {error}; it has new inode numbers now");
                    self.renew();
                }
                Unopened::Open(_) | Unopened::Setup(_) | Unopened::TooManyNames => {
                    let pause = slot.failed(&error, now).pause.as_secs();
                    log::warn!(
                        "{name}: it cannot be opened: {error}; not tried again for {pause} s"
                    );
                }
            }
            error
        })
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
        slot.set_directory();
        {
            let mut found = self.found();
            found.retain(|item| item != slot.item());
            found.extend(items);
        }
        match self.replace_again() {
            Ok(_) => Unopened::Directory,
            Err(error) => Unopened::Setup(error.to_string()),
        }
    }

    /// Shows an archive that the list does not have.
    pub(super) async fn add(self: &Arc<Self>, item: Item) {
        let _turn = self.reloading.lock().await;
        self.found().push(item);
        // A name that is there already stays what it is.
        let _ = self.replace_again();
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
        let _turn = self.reloading.lock().await;
        let items = self.archives.list().await?;
        self.replace(items).map_err(|error| error.to_string())
    }

    /// Builds the names anew, for archives that have changed.
    pub(super) fn renew(self: &Arc<Self>) {
        let many = self.clone();
        self.runtime.spawn(async move {
            let _turn = many.reloading.lock().await;
            // The names fitted together before.
            let _ = many.replace_again();
        });
    }

    /// Shows the archives of the last list, and those that were found. Must be called with `reloading` held.
    fn replace_again(self: &Arc<Self>) -> Result<Reloaded, NameError> {
        let now = self.names().now.clone();
        let listed = now.slots().filter(|slot| !slot.is_directory());
        self.replace(listed.map(|slot| slot.item().clone()).collect())
    }

    /// Shows these archives, and those that were found. Must be called with `reloading` held.
    fn replace(self: &Arc<Self>, mut items: Vec<Item>) -> Result<Reloaded, NameError> {
        let before = self.names().now.clone();
        let listed: HashSet<&str> = items.iter().map(Item::name).collect();
        let found = self.found().clone().into_iter();
        let found: Vec<Item> = found.filter(|item| !listed.contains(item.name())).collect();
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
        // The kernel may make it wait for a lookup that is answered meanwhile.
        self.runtime.spawn_blocking(move || {
            let Some(watcher) = many.watcher.get() else {
                return;
            };
            for (directory, name) in changes.names {
                watcher(Change::Name {
                    directory: directory.ino(Ino::ROOT),
                    name: name.into(),
                });
            }
        });
        Ok(reloaded)
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
