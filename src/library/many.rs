//! Many archives: what their inode numbers stand for, and what opens and closes them.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::archives::{Archives, LibraryOptions, OpenRequest};
use super::directory::Directory;
use super::error::{ListError, Unopened};
use super::file::File;
use super::inode::{LARGEST_ENTRY, Part};
use super::item::Item;
use super::names::{Names, Reloaded};
use super::open_ones::OpenOnes;
use super::shown::Shown;
use super::slot::{Opening, Outcome, Slot, Touched};
use super::snapshot::{Changed, Content};
use super::walk::Walk;
use crate::archive::{Kind, Timestamp};
use crate::fs::{Attr, Ino};
use crate::reader::{Trace, Traced, TracedKind};
use crate::volume::{OpenError, Volume};

/// Permission bits of directories before the mask.
const DIR_MODE: u16 = 0o755;

/// The longest pause between two searches for idle archives.
const LOOK_AT_LEAST: Duration = Duration::from_secs(30);

/// This number of directories of archives is listed at once.
const LISTED_AT_ONCE: usize = 8;

/// The archives of a mount that shows many.
pub(super) struct Many {
    pub(super) archives: Arc<dyn Archives>,
    options: LibraryOptions,
    pub(super) names: Names,
    /// Held while a list is made, so that a later list is not replaced by an earlier one.
    listing: tokio::sync::Mutex<()>,
    pub(super) open: OpenOnes,
    walk: Mutex<Walk>,
    pub(super) trace: Trace,
    pub(super) watcher: OnceLock<Box<dyn Fn(Change) + Send + Sync>>,
    runtime: Handle,
    pub(super) closed: CancellationToken,
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
    /// The same of an archive that is not open. Ends when it is. If it cannot be opened, the cause was logged.
    Closed(BoxFuture<'static, Result<File, Arc<Unopened>>>),
    /// A directory of the library.
    Directory(Directory),
    /// Nothing any longer.
    Gone,
}

impl Many {
    pub(super) fn new(
        archives: Arc<dyn Archives>,
        options: LibraryOptions,
        runtime: Handle,
    ) -> Arc<Self> {
        let many = Arc::new(Self {
            archives,
            options,
            names: Names::new(),
            listing: tokio::sync::Mutex::default(),
            open: OpenOnes::default(),
            walk: Mutex::default(),
            trace: Trace::default(),
            watcher: OnceLock::new(),
            runtime,
            closed: CancellationToken::new(),
        });
        let idle = many.options.idle;
        let pause = (idle / 4).clamp(Duration::from_millis(100), LOOK_AT_LEAST);
        many.every(pause, move |many| async move {
            many.open.close_idle(idle, &many.names.past);
        });
        if let Some(pause) = many.options.refresh {
            many.every(pause, |many| async move {
                if let Err(why) = many.reload().await {
                    log::warn!("cannot reload the list, so the previous one stays: {why}");
                }
            });
        }
        many
    }

    /// What an inode number stands for. Begins to open its archive.
    pub(super) fn find(self: &Arc<Self>, ino: Ino) -> Found {
        let (part, entry) = Part::split(ino);
        let now = self.names.now();
        let Some(slot) = now.slot(part) else {
            let directory = Directory::new(&now, part).filter(|_| entry == Ino::ROOT);
            return directory.map_or(Found::Gone, Found::Directory);
        };
        let closed = |opening: Result<Opening, Arc<Unopened>>| {
            let slot = slot.clone();
            let file = async move { Ok(File::new(opening?.await?, Some(slot), entry)) };
            Found::Closed(file.boxed())
        };
        let open = |request| self.clone().open(slot.clone(), request).boxed();
        let (touched, is_step) = slot.touch(Instant::now(), &self.trace, open);
        let found = match touched {
            Touched::Open(volume) => Found::File(File::new(volume, Some(slot.clone()), entry)),
            Touched::Opening { opening, is_new } => {
                if is_new {
                    // Also if those who wait give up.
                    self.runtime.spawn(opening.clone());
                }
                closed(Ok(opening))
            }
            Touched::Failed(error) => closed(Err(error)),
        };
        if is_step {
            self.step(&now, slot);
        }
        found
    }

    /// A program looks into an archive that was not open, or was opened ahead: opens the next ones if it walks.
    fn step(self: &Arc<Self>, now: &Shown, slot: &Arc<Slot>) {
        let Some((snapshot, node)) = now.node(slot.part) else {
            return;
        };
        let directory = snapshot.parent(node);
        let Ok(position) = snapshot.position(directory, node.name()) else {
            return;
        };
        let ahead = self.walk.lock().enters(directory.part, position);
        let next = snapshot.children_from(directory, ahead.start);
        for node in next.take(ahead.len()) {
            if let Content::Archive(slot) = &node.content {
                let open = |request| self.clone().open(slot.clone(), request).boxed();
                if let Some(opening) = slot.open_ahead(&self.trace, open) {
                    self.runtime.spawn(opening);
                }
            }
        }
    }

    /// Directories have no time of their own, so that it is the same after every remount. One link means that
    /// the number of subdirectories is not known, as in Btrfs.
    pub(super) fn attr(&self, ino: Ino) -> Attr {
        let tree = &self.options.tree;
        Attr {
            ino,
            // As the root of an archive has it.
            generation: 0,
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

    /// Does something from time to time, for as long as the library lives.
    fn every<F: Future<Output = ()> + Send>(
        self: &Arc<Self>,
        pause: Duration,
        act: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) {
        let (many, closed) = (Arc::downgrade(self), self.closed.clone());
        self.runtime.spawn(async move {
            while let Err(_elapsed) = tokio::time::timeout(pause, closed.cancelled()).await {
                let Some(many) = many.upgrade() else { return };
                act(many).await;
            }
        });
    }
}

/// Opening archives.
impl Many {
    async fn open(self: Arc<Self>, slot: Arc<Slot>, request: OpenRequest) -> Outcome {
        // Without an end, all who wait for the attempt would get errors for as long as the mount exists.
        let (trace, began, since) = (request.trace.clone(), SystemTime::now(), Instant::now());
        let attempt = AssertUnwindSafe(self.attempt(&slot, request)).catch_unwind();
        let opened = attempt.await.unwrap_or_else(|_| {
            Err(Unopened::Setup(
                "opening it panicked; please report this".into(),
            ))
        });
        trace.add(|| traced(&opened, began, since.elapsed()));
        let error = match opened {
            Ok(volume) => return Ok(volume),
            Err(error) => Arc::new(error),
        };
        let name = slot.item.name();
        match &*error {
            Unopened::Gone => {}
            Unopened::Directory => slot.set_closed(),
            Unopened::Changed => {
                log::warn!("{name}: {error}; it has new inode numbers now");
                // Before anybody hears of it: the kernel looks the name up again at once.
                let _ = self.renew().await;
                slot.set_closed();
            }
            Unopened::Open(_) | Unopened::Setup(_) | Unopened::TooManyNames => {
                let pause = slot.failed(&error, Instant::now()).as_secs();
                log::warn!("cannot open {name}: {error}; not tried again for {pause} s");
            }
        }
        Err(error)
    }

    async fn attempt(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        request: OpenRequest,
    ) -> Result<Arc<Volume>, Unopened> {
        let result = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(Unopened::Gone),
            result = self.archives.open(&slot.item, request) => result,
        };
        match result {
            Err(Unopened::Open(error)) if matches!(*error, OpenError::Directory(_)) => {
                Err(self.open_directory(slot, *error).await)
            }
            result => self.keep(slot, result?),
        }
    }

    /// Shows the archives in a directory that seemed to be an archive.
    async fn open_directory(self: &Arc<Self>, slot: &Slot, error: OpenError) -> Unopened {
        let items = match self.archives.directory(&slot.item).await {
            None => return error.into(),
            Some(Err(why)) => return why,
            Some(Ok(items)) if items.is_empty() => return error.into(),
            Some(Ok(items)) => items,
        };
        slot.set_directory(true);
        match self.names.expand(&slot.item, items) {
            Ok(changed) => {
                self.forget_names(changed, None);
                Unopened::Directory
            }
            Err(error) => {
                slot.set_directory(false);
                Unopened::Setup(error.to_string())
            }
        }
    }

    fn keep(self: &Arc<Self>, slot: &Arc<Slot>, volume: Volume) -> Result<Arc<Volume>, Unopened> {
        // Each name has a number, and so has each directory that only names imply.
        if volume.tree().largest().0 > LARGEST_ENTRY {
            return Err(Unopened::TooManyNames);
        }
        let volume = Arc::new(volume);
        slot.opened(&volume, Instant::now())?;
        let (many, part) = (Arc::downgrade(self), slot.part);
        volume.on_wrong(move |ino| {
            let many = many.upgrade();
            if let Some(watcher) = many.as_ref().and_then(|many| many.watcher.get()) {
                watcher(Change::Bytes(part.ino(ino)));
            }
        });
        self.open.add(slot, &self.names.past);
        // It may have been opened when the library was closed, which then did not see it.
        if self.closed.is_cancelled() {
            volume.close();
            return Err(Unopened::Gone);
        }
        Ok(volume)
    }
}

/// Changing names.
impl Many {
    /// Shows an archive that the list does not have, for a lookup of its name.
    pub(super) fn add(self: &Arc<Self>, item: Item) {
        let name = item.name().to_owned();
        if let Ok(changed) = self.names.look_up(item) {
            self.forget_names(changed, Some(&name));
        }
    }

    /// Makes the list anew, and lists the directories of archives again. One that cannot be listed stays as it was.
    pub(super) async fn reload(self: &Arc<Self>) -> Result<Reloaded, ListError> {
        let (reloaded, told) = {
            let _turn = self.listing.lock().await;
            let listed = self.archives.list().await?;
            let directories = stream::iter(self.names.directories()).map(async |item| {
                match self.archives.directory(&item).await {
                    Some(Ok(items)) => Some((item, items)),
                    Some(Err(why)) => {
                        log::warn!("cannot list {} again: {why}", item.name());
                        None
                    }
                    None => None,
                }
            });
            let directories = directories.buffer_unordered(LISTED_AT_ONCE);
            let directories = directories.filter_map(std::future::ready).collect().await;
            let changed = self.names.replace(listed, directories)?;
            (changed.0, self.forget_names(changed.1, None))
        };
        let _ = told.await;
        Ok(reloaded)
    }

    /// Gives new slots to archives that have changed. All names are made anew, so this is done in a thread of its own.
    pub(super) fn renew(self: &Arc<Self>) -> JoinHandle<()> {
        let many = self.clone();
        self.runtime.spawn_blocking(move || {
            // The names fitted together before.
            if let Ok(changed) = many.names.renew() {
                many.forget_names(changed, None);
            }
        })
    }

    /// Makes the kernel forget names, in a task: the kernel may make it wait for a lookup that is answered meanwhile.
    /// `answered`: a name in the root that a lookup asks for, which the kernel need not forget.
    fn forget_names(
        self: &Arc<Self>,
        mut names: Vec<Changed>,
        answered: Option<&str>,
    ) -> JoinHandle<()> {
        names.retain(|it| it.directory != Part::ROOT || Some(&*it.name) != answered);
        let many = self.clone();
        self.runtime.spawn_blocking(move || {
            let Some(watcher) = many.watcher.get() else {
                return;
            };
            for Changed {
                directory, name, ..
            } in names
            {
                watcher(Change::Name {
                    directory: directory.ino(Ino::ROOT),
                    name: name.into(),
                });
            }
        })
    }
}

/// What a trace says of an attempt to open an archive.
fn traced(opened: &Result<Arc<Volume>, Unopened>, began: SystemTime, took: Duration) -> Traced {
    let volume = opened.as_ref().ok();
    let from = volume.map_or("", |volume| match volume.origin().0 {
        "file" => "file",
        _ if volume.archive().status().bytes_fetched > 0 => "network",
        _ => "cache",
    });
    Traced {
        kind: TracedKind::Open,
        began,
        took,
        file: None,
        range: 0..volume.map_or(0, |volume| volume.archive().index().blob_size()),
        from: from.to_owned(),
        error: opened.as_ref().err().map(Unopened::to_string),
    }
}

#[cfg(test)]
mod tests;
